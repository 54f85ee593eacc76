/** `paravane block`: disks of guests, with and without libxl. */
import { realpath, stat, truncate } from 'node:fs/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { errorMessage, XenError } from '../base/errors.ts';
import { DOM0 } from '../base/ids.ts';
import { SECTOR_SIZE } from '../block/block-device.ts';
import type { OperationCount } from '../block/counted-disk.ts';
import { type BlockStatistics, parseStatistics, STATISTICS_KEY } from '../block/statistics.ts';
import { findDomain } from '../xenstore/domain-name.ts';
import type { Xenstore } from '../xenstore/xenstore.ts';
import { askToRefresh, attachDisk, DISK } from './block-devices.ts';
import {
  addAttachOptions,
  addDeviceCommands,
  attachRequest,
  type DeviceForm,
  DOMAIN_HELP,
  finishAttach,
} from './device-commands.ts';
import { type DeviceEntry, findDevice } from './guest-devices.ts';
import { byteCount } from './option-values.ts';
import { StoreCommands } from './store-command.ts';
import type { Terminal } from './terminal.ts';
import { virtualDeviceNumber } from './virtual-device.ts';

const DEVICE_HELP = 'the disk as the guest names it, such as xvdb';

const FORM: DeviceForm<BlockStatistics> = {
  kind: DISK,
  command: 'block',
  service: 'blkback',
  deviceHelp: DEVICE_HELP,
  example: 'xvdb',
  parseDevice: virtualDeviceNumber,
  columns: ['MODE', 'MIB', 'DISK'],
  async cells(read) {
    const sectors = Number((await read('sectors')) ?? Number.NaN);
    return [
      (await read('mode')) ?? '?',
      Number.isNaN(sectors) ? '?' : String(Math.floor((sectors * SECTOR_SIZE) / 2 ** 20)),
      (await read('physical-device-path')) ?? (await read('params')) ?? '?',
    ];
  },
  statisticsColumns: ['OPERATION', 'COUNT', 'FAILED', 'BYTES', 'MEAN MS'],
  statisticsKey: STATISTICS_KEY,
  parseStatistics,
  statisticsRows,
};

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
  addDeviceCommands(commands, FORM);
  addResize(commands);
}

function addAttach(commands: StoreCommands): void {
  const attach = commands
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
    .option('--rate-limit <bytes>', 'bytes a second, with K, M or G for more', byteCount);
  addAttachOptions(attach, 'blkback', 'vbd').action(
    async (domain: string, disk: string, options) => {
      await commands.run(options, async (store) => {
        const entry = await attachDisk(store, {
          ...(await attachRequest(store, domain, options)),
          devid: options.vdev,
          disk: await diskPath(disk, options.backend),
          mode: options.mode,
          cdrom: options.cdrom === true,
          bytesPerSecond: options.rateLimit,
          discard: options.discard,
        });
        await finishAttach(commands, store, entry, options);
      });
    },
  );
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

function statisticsRows({ counts }: BlockStatistics): string[][] {
  return Object.entries(counts as unknown as Record<string, OperationCount>).map(
    ([operation, { operations, failed, bytes, time_ms }]) => [
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
