/** `paravane net`: network interfaces of guests, with and without libxl. */
import { type Command, InvalidArgumentError } from 'commander';
import { errorMessage } from '../base/errors.ts';
import { vifName } from '../net/back-request.ts';
import { parseIpAddress } from '../net/ip-address.ts';
import { type MacAddress, parseMacAddress } from '../net/mac-address.ts';
import { type DirectionCounts, MTU_MAX, MTU_MIN } from '../net/network-interface.ts';
import { type NetStatistics, parseStatistics, STATISTICS_KEY } from '../net/statistics.ts';
import { findDomain } from '../xenstore/domain-name.ts';
import {
  addAttachOptions,
  addDeviceCommands,
  attachRequest,
  type DeviceForm,
  DOMAIN_HELP,
  finishAttach,
} from './device-commands.ts';
import { attachInterface, INTERFACE } from './net-devices.ts';
import { CAPTURE_SOCKET } from './net-socket.ts';
import { byteCount, wholeNumber } from './option-values.ts';
import { collect, StoreCommands } from './store-command.ts';
import type { Terminal } from './terminal.ts';

const DEVICE_HELP = 'the interface by its number, or as eth0';
/** Whole frames, large segments among them. */
const CAPTURE_BYTES = 0x4_0000;

export function addNetCommand(
  program: Command,
  terminal: Terminal,
  setExitCode: (code: number) => void,
): void {
  const net = program
    .command('net')
    .summary('attach, detach, list, watch and capture network interfaces of guests')
    .description('Network interfaces of guests: attach, detach, list, statistics, capture.');
  const commands = new StoreCommands(net, terminal, setExitCode);
  addAttach(commands);
  addDeviceCommands(commands, FORM);
  addCapture(commands, terminal);
}

function interfaceNumber(argument: string): number {
  const [, digits] = /^(?:eth)?(\d{1,5})$/.exec(argument) ?? [];
  if (digits === undefined)
    throw new InvalidArgumentError('it is a number, or a name such as eth0.');
  return Number(digits);
}

const FORM: DeviceForm<NetStatistics> = {
  kind: INTERFACE,
  command: 'net',
  service: 'netback',
  deviceHelp: DEVICE_HELP,
  example: 'eth1',
  parseDevice: interfaceNumber,
  columns: ['MAC', 'NETWORK', 'ADDRESSES'],
  async cells(read) {
    return [(await read('mac')) ?? '?', (await read('bridge')) ?? '-', (await read('ip')) ?? '-'];
  },
  statisticsColumns: ['DIRECTION', 'FRAMES', 'BYTES', 'DROPPED'],
  statisticsKey: STATISTICS_KEY,
  parseStatistics,
  statisticsRows,
};

/** Has `parse` say what is wrong with an argument. */
function checked<Value>(parse: (argument: string) => Value): (argument: string) => Value {
  return (argument) => {
    try {
      return parse(argument);
    } catch (error) {
      throw new InvalidArgumentError(`${errorMessage(error)}.`);
    }
  };
}

function parseMtu(argument: string): number {
  const mtu = wholeNumber(MTU_MIN)(argument);
  if (mtu > MTU_MAX) throw new InvalidArgumentError(`it is ${MTU_MAX} at most.`);
  return mtu;
}

function stationMac(argument: string): MacAddress {
  const mac = parseMacAddress(argument);
  // The lowest bit of the first byte.
  if (Number.parseInt(argument.slice(0, 2), 16) % 2 === 1 || mac === 0) {
    throw new RangeError('it is the address of a group, not of a station');
  }
  return mac;
}

function ipAddress(argument: string): string {
  parseIpAddress(argument);
  return argument;
}

function addAttach(commands: StoreCommands): void {
  const attach = commands
    .add('attach', 'give a running guest an interface that netback serves', [
      'paravane net attach guest',
      'paravane net attach guest --bridge xenbr0 --mac 00:16:3e:00:00:01',
      'paravane net attach 3 --bridge lan.10 --ip 10.0.0.5 --rate-limit 10M --mtu 9000',
    ])
    .argument('<domain>', DOMAIN_HELP)
    .option('--number <number>', `${DEVICE_HELP}; the next free one unless given`, interfaceNumber)
    .option('--mac <address>', 'its MAC address; one by chance unless given', checked(stationMac))
    .option('--bridge <network>', 'a bridge, or with netback --switch NAME[.VLAN][:VLAN…]')
    .option('--ip <address>', 'an address that is its own', collect(checked(ipAddress)))
    .option('--mtu <bytes>', 'what it carries in a frame', parseMtu)
    .option('--rate-limit <bytes>', 'bytes a second that the guest may send', byteCount)
    .option('--no-filter', 'the guest may use addresses that are not its own')
    .option(
      '--script <file>',
      "a hotplug script that others run; Linux's own back end has to have one",
    );
  addAttachOptions(attach, 'netback', 'vif').action(async (domain: string, options) => {
    await commands.run(options, async (store) => {
      const entry = await attachInterface(store, {
        ...(await attachRequest(store, domain, options)),
        devid: options.number,
        mac: options.mac,
        bridge: options.bridge,
        addresses: options.ip ?? [],
        mtu: options.mtu,
        bytesPerSecond: options.rateLimit,
        filter: options.filter,
        script: options.script,
      });
      await finishAttach(commands, store, entry, options);
    });
  });
}

/** `4 room, 1 filter`, or `-`: what was dropped at either of two places. */
function droppedText(...places: DirectionCounts<string>[]): string {
  const sums = new Map<string, number>();
  for (const { dropped } of places) {
    for (const [why, count] of Object.entries(dropped)) {
      if (count > 0) sums.set(why, (sums.get(why) ?? 0) + count);
    }
  }
  return sums.size === 0 ? '-' : [...sums].map(([why, count]) => `${count} ${why}`).join(', ');
}

function statisticsRows({ counts, port }: NetStatistics): string[][] {
  const row = (
    direction: string,
    passed: DirectionCounts<string>,
    place: DirectionCounts<string>,
  ) => [direction, String(passed.frames), String(passed.bytes), droppedText(passed, place)];
  return [row('from guest', counts.received, port.in), row('to guest', counts.sent, port.out)];
}

function addCapture(commands: StoreCommands, terminal: Terminal): void {
  commands
    .add('capture', 'write the frames of an interface into a file for tcpdump and Wireshark', [
      'paravane net capture guest -w guest.pcap',
      'paravane net capture guest eth1 -w - | tcpdump -n -r -',
      'paravane net capture guest --count 100 --bytes 128 -w headers.pcap',
      'paravane net capture --port uplink0 -w uplink.pcap',
    ])
    .argument('[domain]', `${DOMAIN_HELP}, of this host's netback`)
    .argument('[device]', DEVICE_HELP, interfaceNumber, 0)
    .option(
      '--port <name>',
      "instead of a guest's, a port of the switch: dhcp, uplink0, a TAP device",
    )
    .requiredOption('-w, --write <file>', 'where to, or - for the standard output')
    .option('-c, --count <frames>', 'end after so many', wholeNumber(1))
    .option('--bytes <count>', 'what is kept of each frame', wholeNumber(1), CAPTURE_BYTES)
    .option('--capture-socket <file>', "netback's socket", CAPTURE_SOCKET)
    .action(async (domain: string | undefined, device: number, options, command: Command) => {
      if ((domain === undefined) === (options.port === undefined)) {
        command.error('error: what is captured is an interface of a domain, or a --port');
      }
      await commands.run(options, async (store) => {
        const { captureFrames } = await import('./net-capture.ts');
        const port =
          domain === undefined
            ? (options.port as string)
            : vifName(await findDomain(store, domain), String(device));
        let end = () => {};
        const until = new Promise<void>((resolve) => {
          end = resolve;
        });
        process.once('SIGINT', end).once('SIGTERM', end);
        try {
          const frames = await captureFrames({
            socket: options.captureSocket,
            port,
            bytesMax: options.bytes,
            file: options.write,
            framesMax: options.count,
            until,
          });
          terminal.error(`${frames} frames\n`);
        } finally {
          process.off('SIGINT', end).off('SIGTERM', end);
        }
      });
    });
}
