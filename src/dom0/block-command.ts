/** `paravane block`: disks of guests, with and without libxl. */
import { realpath, stat, truncate } from 'node:fs/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { errorMessage, XenError } from '../base/errors.ts';
import { DOM0, domId } from '../base/ids.ts';
import { SECTOR_SIZE } from '../block/block-device.ts';
import type { OperationCount } from '../block/counted-disk.ts';
import { type BlockStatistics, parseStatistics, STATISTICS_KEY } from '../block/statistics.ts';
import { parseXenbusState, xenbusStateName } from '../xenbus/state.ts';
import type { Xenstore } from '../xenstore/xenstore.ts';
import { askToRefresh, attachDisk, DISK } from './block-devices.ts';
import { findDomain } from './domain-name.ts';
import {
  connectOrRemove,
  type DeviceEntry,
  detachDevice,
  findDevice,
  listDevices,
  readStatistics,
  removeDevice,
} from './guest-devices.ts';
import { byteCount, wholeNumber } from './option-values.ts';
import { StoreCommands } from './store-command.ts';
import type { Terminal } from './terminal.ts';
import { virtualDeviceName, virtualDeviceNumber } from './virtual-device.ts';

const DOMAIN_HELP = 'number or name of the guest';
const DEVICE_HELP = 'the disk as the guest names it, such as xvdb';
const TIMEOUT_S = 30;
const STATISTICS_TIMEOUT_MS = 5000;

export function addBlockCommand(
  program: Command,
  terminal: Terminal,
  setExitCode: (code: number) => void,
): void {
  const block = program
    .command('block')
    .summary('attach, detach, list, resize and watch disks of guests')
    .description('Disks of guests: attach, detach, list, resize, statistics.');
  const commands = new StoreCommands(block, terminal, setExitCode);
  addAttach(commands);
  addDetach(commands);
  addList(commands);
  addResize(commands);
  addStatistics(commands);
}

function addAttach(commands: StoreCommands): void {
  commands
    .add('attach', 'give a running guest a disk that blkback serves', [
      'paravane block attach guest /srv/data.img',
      'paravane block attach 3 /dev/vg0/data --vdev xvdc --mode r --rate-limit 50M',
      'paravane block attach guest nbd+unix:///?socket=/run/disk.socket',
    ])
    .argument('<domain>', DOMAIN_HELP)
    .argument(
      '<disk>',
      'a file, a block device, nbd:… or nbd+unix:…, vbd:NUMBER for a disk of ours',
    )
    .option('--vdev <name>', `${DEVICE_HELP}; the next free one unless given`, virtualDeviceNumber)
    .option('--mode <mode>', 'r, w, or w! for a disk that others may write too', parseMode, 'w')
    .option('--cdrom', 'a CD-ROM drive, which is read-only')
    .option('--no-discard', 'offer the guest no way to give storage back')
    .option('--rate-limit <bytes>', 'bytes a second, with K, M or G for more', byteCount)
    .option('--backend <domid>', 'the domain whose blkback serves it', wholeNumber(0), DOM0)
    .option('--type <name>', "blkback's --type there", 'vbd')
    .option('--no-wait', 'do not wait until the guest uses it')
    .option('--timeout <seconds>', 'how long to wait', wholeNumber(1), TIMEOUT_S)
    .action(async (domain: string, disk: string, options) => {
      await commands.run(options, async (store) => {
        const entry = await attachDisk(store, {
          domid: await findDomain(store, domain),
          devid: options.vdev,
          disk: await diskPath(disk, options.backend),
          mode: options.mode,
          cdrom: options.cdrom === true,
          backend: domId(options.backend),
          type: options.type,
          bytesPerSecond: options.rateLimit,
          discard: options.discard,
        });
        if (options.wait) await connectOrRemove(store, entry, options.timeout * 1000);
        commands.line(virtualDeviceName(entry.devid));
      });
    });
}

function addDetach(commands: StoreCommands): void {
  commands
    .add('detach', 'take a disk away from a guest', ['paravane block detach guest xvdb'])
    .argument('<domain>', DOMAIN_HELP)
    .argument('<device>', DEVICE_HELP, virtualDeviceNumber)
    .option('--force', 'at once, whatever the guest makes of it')
    .option('--timeout <seconds>', 'how long the guest may take', wholeNumber(1), TIMEOUT_S)
    .action(async (domain: string, device: number, options) => {
      await commands.run(options, async (store) => {
        const entry = await findDevice(store, DISK, await findDomain(store, domain), device);
        if (options.force === true) await removeDevice(store, entry);
        else await detachDevice(store, entry, options.timeout * 1000);
      });
    });
}

function addList(commands: StoreCommands): void {
  commands
    .add('list', 'list disks, one a line, with who serves them', ['paravane block list guest'])
    .argument('[domain]', `${DOMAIN_HELP}; all unless given`)
    .action(async (domain: string | undefined, options) => {
      await commands.run(options, async (store) => {
        const only = domain === undefined ? undefined : await findDomain(store, domain);
        const rows = [['DOMAIN', 'DEVICE', 'BACKEND', 'STATE', 'MODE', 'MIB', 'DISK']];
        for (const entry of await listDevices(store, DISK, only))
          rows.push(await listRow(store, entry));
        commands.table(rows);
      });
    });
}

async function listRow(store: Xenstore, entry: DeviceEntry): Promise<string[]> {
  const { domid, devid, back } = entry;
  const read = (key: string) => store.readIfPresent(`${back}/${key}`);
  const [, , , backend, , type] = back.split('/');
  const sectors = Number((await read('sectors')) ?? Number.NaN);
  return [
    String(domid),
    virtualDeviceName(devid),
    `${backend}/${type}`,
    xenbusStateName(parseXenbusState(await read('state'))),
    (await read('mode')) ?? '?',
    Number.isNaN(sectors) ? '?' : String(Math.floor((sectors * SECTOR_SIZE) / 2 ** 20)),
    (await read('physical-device-path')) ?? (await read('params')) ?? '?',
  ];
}

function addResize(commands: StoreCommands): void {
  commands
    .add('resize', 'tell a guest of the new size of its disk', [
      'paravane block resize guest xvdb 20G',
      'lvextend -L 20G /dev/vg0/data && paravane block resize guest xvdc',
    ])
    .argument('<domain>', DOMAIN_HELP)
    .argument('<device>', DEVICE_HELP, virtualDeviceNumber)
    .argument('[size]', 'gives the file this size first; with K, M or G for more', byteCount)
    .option('--shrink', 'even if that cuts the file short')
    .action(async (domain: string, device: number, size: number | undefined, options) => {
      await commands.run(options, async (store) => {
        const entry = await findDevice(store, DISK, await findDomain(store, domain), device);
        if (size !== undefined) await resizeFile(store, entry, size, options.shrink === true);
        await askToRefresh(store, entry);
      });
    });
}

async function resizeFile(
  store: Xenstore,
  { back }: DeviceEntry,
  size: number,
  shrink: boolean,
): Promise<void> {
  const path =
    (await store.readIfPresent(`${back}/physical-device-path`)) ??
    (await store.read(`${back}/params`));
  const operation = `resize ${path}`;
  const stats = await stat(path).catch((error) => {
    throw new XenError('ENOENT', operation, errorMessage(error), error);
  });
  if (!stats.isFile()) {
    throw new XenError('EINVAL', operation, 'it is no file: resize it by its own means first');
  }
  if (size % SECTOR_SIZE !== 0 || size === 0) {
    throw new XenError('EINVAL', operation, `a disk has whole sectors of ${SECTOR_SIZE} bytes`);
  }
  if (size < stats.size && !shrink) {
    throw new XenError('EINVAL', operation, `it has ${stats.size} bytes: --shrink cuts it short`);
  }
  await truncate(path, size);
}

function addStatistics(commands: StoreCommands): void {
  commands
    .add('stats', 'show what blkback did for disks since their guests connected', [
      'paravane block stats guest',
      'paravane block stats guest xvdb --json',
    ])
    .argument('<domain>', DOMAIN_HELP)
    .argument('[device]', DEVICE_HELP, virtualDeviceNumber)
    .option('--json', 'everything there is, as JSON: one disk a line')
    .action(async (domain: string, device: number | undefined, options) => {
      await commands.run(options, async (store) => {
        const domid = await findDomain(store, domain);
        const entries =
          device === undefined
            ? await listDevices(store, DISK, domid)
            : [await findDevice(store, DISK, domid, device)];
        const rows = [['DEVICE', 'OPERATION', 'COUNT', 'FAILED', 'BYTES', 'MEAN MS']];
        for (const entry of entries) {
          const statistics = await readStatistics(
            store,
            entry,
            STATISTICS_KEY,
            parseStatistics,
            STATISTICS_TIMEOUT_MS,
          );
          const device = virtualDeviceName(entry.devid);
          if (options.json === true) commands.line(JSON.stringify({ device, ...statistics }));
          else rows.push(...statisticsRows(device, statistics));
        }
        if (options.json !== true) commands.table(rows);
      });
    });
}

function statisticsRows(device: string, { counts }: BlockStatistics): string[][] {
  return Object.entries(counts as unknown as Record<string, OperationCount>).map(
    ([operation, { operations, failed, bytes, time_ms }]) => [
      device,
      operation,
      String(operations),
      String(failed),
      String(bytes),
      operations === 0 ? '-' : (time_ms / operations).toFixed(2),
    ],
  );
}

function parseMode(argument: string): string {
  if (['r', 'w', 'w!'].includes(argument)) return argument;
  throw new InvalidArgumentError('it is r, w or w!.');
}

/** The disk as the back end is to open it: a file that is here, by its own path, where it is ours to see. */
async function diskPath(disk: string, backend: number): Promise<string> {
  if (/^[a-z+]+:/.test(disk) || backend !== DOM0) return disk;
  try {
    return await realpath(disk);
  } catch (error) {
    throw new XenError('ENOENT', `find disk ${disk}`, 'there is no such file', error);
  }
}
