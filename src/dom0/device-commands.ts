/** What `paravane block` and `paravane net` have in common: the commands for devices of guests. */
import type { Command } from 'commander';
import { DOM0, domId } from '../base/ids.ts';
import { parseXenbusState, xenbusStateName } from '../xenbus/state.ts';
import { findDomain } from '../xenstore/domain-name.ts';
import type { Xenstore } from '../xenstore/xenstore.ts';
import {
  connectOrRemove,
  type DeviceEntry,
  type DeviceKind,
  type DeviceRequest,
  detachDevice,
  findDevice,
  listDevices,
  readStatistics,
  removeDevice,
} from './guest-devices.ts';
import { wholeNumber } from './option-values.ts';
import type { StoreCommands } from './store-command.ts';

export const DOMAIN_HELP = 'number or name of the guest';
const TIMEOUT_S = 30;
const STATISTICS_TIMEOUT_MS = 5000;

/** A kind of devices at the command line. */
export interface DeviceForm<Statistics> {
  readonly kind: DeviceKind;
  /** The command whose sub-commands these are: `block`. */
  readonly command: string;
  /** The service that has the back ends: `blkback`. */
  readonly service: string;
  /** What the help says of the argument that names a device, and one such argument. */
  readonly deviceHelp: string;
  readonly example: string;
  parseDevice(argument: string): number;
  /** The columns of `list` after those that all kinds have, and the cells in them. */
  readonly columns: readonly string[];
  cells(readBackKey: (key: string) => Promise<string | undefined>): Promise<string[]>;
  /** The columns of `stats` after the device, and a device's rows in them. */
  readonly statisticsColumns: readonly string[];
  readonly statisticsKey: string;
  parseStatistics(text: string): Statistics;
  statisticsRows(statistics: Statistics): string[][];
}

/** Adds the options of `attach` that say whose back end it is and how long the guest may take. */
export function addAttachOptions(attach: Command, service: string, type: string): Command {
  return attach
    .option('--backend <domid>', `the domain whose ${service} serves it`, wholeNumber(0), DOM0)
    .option('--type <name>', `${service}'s --type there`, type)
    .option('--no-wait', 'do not wait until the guest uses it')
    .option('--timeout <seconds>', 'how long to wait', wholeNumber(1), TIMEOUT_S);
}

/** What those options and the argument `<domain>` say. */
export async function attachRequest(
  store: Xenstore,
  domain: string,
  // commander hands options over without types.
  options: { readonly backend: number; readonly type: string },
): Promise<DeviceRequest> {
  const domid = await findDomain(store, domain);
  return { domid, backend: domId(options.backend), type: options.type };
}

/** Ends `attach`: waits for the guest if it is to, and prints the device's name. */
export async function finishAttach(
  commands: StoreCommands,
  store: Xenstore,
  entry: DeviceEntry,
  options: { readonly wait: boolean; readonly timeout: number },
): Promise<void> {
  if (options.wait) await connectOrRemove(store, entry, options.timeout * 1000);
  commands.line(entry.kind.nameOf(entry.devid));
}

/** Adds `detach`, `list` and `stats`. */
export function addDeviceCommands<Statistics>(
  commands: StoreCommands,
  form: DeviceForm<Statistics>,
): void {
  addDetach(commands, form);
  addList(commands, form);
  addStatistics(commands, form);
}

function addDetach<Statistics>(commands: StoreCommands, form: DeviceForm<Statistics>): void {
  const { kind, command, example } = form;
  commands
    .add('detach', `take ${kind.aNoun} away from a guest`, [
      `paravane ${command} detach guest ${example}`,
    ])
    .argument('<domain>', DOMAIN_HELP)
    .argument('<device>', form.deviceHelp, form.parseDevice)
    .option('--force', 'at once, whatever the guest makes of it')
    .option('--timeout <seconds>', 'how long the guest may take', wholeNumber(1), TIMEOUT_S)
    .action(async (domain: string, device: number, options) => {
      await commands.run(options, async (store) => {
        const entry = await findDevice(store, kind, await findDomain(store, domain), device);
        if (options.force === true) await removeDevice(store, entry);
        else await detachDevice(store, entry, options.timeout * 1000);
      });
    });
}

function addList<Statistics>(commands: StoreCommands, form: DeviceForm<Statistics>): void {
  const { kind, command, columns } = form;
  commands
    .add('list', `list ${kind.noun}s, one a line, with who serves them`, [
      `paravane ${command} list guest`,
    ])
    .argument('[domain]', `${DOMAIN_HELP}; all unless given`)
    .action(async (domain: string | undefined, options) => {
      await commands.run(options, async (store) => {
        const only = domain === undefined ? undefined : await findDomain(store, domain);
        const rows = [['DOMAIN', 'DEVICE', 'BACKEND', 'STATE', ...columns]];
        for (const { domid, devid, back } of await listDevices(store, kind, only)) {
          const read = (key: string) => store.readIfPresent(`${back}/${key}`);
          const [, , , backend, , type] = back.split('/');
          const state = xenbusStateName(parseXenbusState(await read('state')));
          const where = [String(domid), kind.nameOf(devid), `${backend}/${type}`, state];
          rows.push([...where, ...(await form.cells(read))]);
        }
        commands.table(rows);
      });
    });
}

function addStatistics<Statistics>(commands: StoreCommands, form: DeviceForm<Statistics>): void {
  const { kind, command, example, service } = form;
  commands
    .add('stats', `show what ${service} did for ${kind.noun}s since their guests connected`, [
      `paravane ${command} stats guest`,
      `paravane ${command} stats guest ${example} --json`,
    ])
    .argument('<domain>', DOMAIN_HELP)
    .argument('[device]', form.deviceHelp, form.parseDevice)
    .option('--json', `everything there is, as JSON: one ${kind.noun} a line`)
    .action(async (domain: string, only: number | undefined, options) => {
      await commands.run(options, async (store) => {
        const domid = await findDomain(store, domain);
        const entries =
          only === undefined
            ? await listDevices(store, kind, domid)
            : [await findDevice(store, kind, domid, only)];
        const rows = [['DEVICE', ...form.statisticsColumns]];
        for (const entry of entries) {
          const { statisticsKey: key, parseStatistics: parse } = form;
          const statistics = await readStatistics(store, entry, key, parse, STATISTICS_TIMEOUT_MS);
          const device = kind.nameOf(entry.devid);
          if (options.json === true) commands.line(JSON.stringify({ device, ...statistics }));
          else rows.push(...form.statisticsRows(statistics).map((row) => [device, ...row]));
        }
        if (options.json !== true) commands.table(rows);
      });
    });
}
