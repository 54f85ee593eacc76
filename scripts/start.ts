/**
 * `npm start`: a stock Linux guest on real Xen, all of whose paravirtual services are ours. Leaves
 * the user at the guest's console, or with --check proves the whole path and ends.
 */
import { program } from 'commander';
import { diskGuestInitramfs, Guest, type GuestType, makeDisk, proveDisk } from './lab/guest.ts';
import { diskLine, Host } from './lab/host.ts';
import { Lab } from './lab/lab.ts';
import { MACHINE_DEFAULTS } from './lab/machine.ts';
import { lendTerminal } from './lab/terminal.ts';

interface Row {
  readonly what: string;
  readonly seen: string;
  readonly ok: boolean;
}

function say(text: string): void {
  console.log(`[${(performance.now() / 1000).toFixed(0).padStart(3)} s] ${text}`);
}

interface DiskGuest {
  readonly type: GuestType;
  readonly guest: Guest;
  readonly image: string;
}

async function createGuest(lab: Lab, type: GuestType): Promise<DiskGuest> {
  const image = `/tmp/${type}.img`;
  say(`${type}: makes a disk, and xl create`);
  await makeDisk(lab, image);
  const config = { name: `debian-${type}`, type, ramdisk: diskGuestInitramfs() };
  const guest = await Guest.create(lab, { ...config, disks: [diskLine(image)] });
  return { type, guest, image };
}

async function proveGuest(
  lab: Lab,
  { type, guest, image }: DiskGuest,
  end: 'shutdown' | 'destroy',
): Promise<Row[]> {
  say(`${type}: boots, checks its disk and writes to it`);
  const { givenIsWhole, written, readBack, inDom0 } = await proveDisk(lab, guest, image);
  const [answer] = await guest.type('echo $((6 * 7)) is the answer', /42 is the answer/);
  say(`${type}: xl ${end}`);
  await guest[end]();
  const sameEverywhere = written === readBack && written === inDom0;
  return [
    {
      what: `${type}: a file on its ext4 disk has its SHA-256`,
      seen: givenIsWhole ? 'yes' : 'no',
      ok: givenIsWhole,
    },
    {
      what: `${type}: 64 MiB written, synced, the same in dom0`,
      seen: sameEverywhere
        ? `${written.slice(0, 12)}…`
        : `wrote ${written}, read back ${readBack}, dom0 has ${inDom0}`,
      ok: sameEverywhere,
    },
    { what: `${type}: a line typed at xl console is answered`, seen: answer, ok: true },
  ];
}

async function check(host: Host): Promise<Row[]> {
  const foreign = await host.foreignParts();
  const before = await host.traces();
  // One after the other: xl allows each device ten seconds, whatever else an emulated CPU has to do.
  const { lab } = host;
  const pv = await createGuest(lab, 'pv');
  const pvh = await createGuest(lab, 'pvh');
  const proofs = await Promise.all([
    proveGuest(lab, pv, 'shutdown'),
    proveGuest(lab, pvh, 'destroy'),
  ]);
  say('what did the guests leave behind?');
  const left = await host.leftovers(before);
  const codes = await host.stop();
  return [
    {
      what: 'no C daemon and no kernel back end in dom0',
      seen: foreign.join(' ') || 'none',
      ok: foreign.length === 0,
    },
    ...proofs.flat(),
    {
      what: 'no node, port or domain is left behind',
      seen: left.join('; ') || 'none',
      ok: left.length === 0,
    },
    {
      what: 'our daemons end in good order',
      seen: `exit ${codes.join(', ')}`,
      ok: codes.every((code) => code === 0),
    },
  ];
}

function printTable(rows: readonly Row[]): void {
  const width = Math.max(...rows.map(({ what }) => what.length));
  console.log();
  for (const { what, seen, ok } of rows) {
    console.log(`${ok ? 'ok    ' : 'FAILED'}  ${what.padEnd(width)}  ${seen}`);
  }
}

async function visit({ lab }: Host): Promise<void> {
  const { guest } = await createGuest(lab, 'pv');
  say('this is the console of the guest: press Enter for its prompt, and Ctrl-] to leave');
  await lendTerminal(lab, ['xl', 'console', guest.name]);
  console.log();
  say('the guest, dom0 and Xen are gone');
}

async function main(): Promise<number> {
  program
    .name('npm start --')
    .description('Boots real Xen with a Debian guest on our xenstored, xenconsoled and blkback.')
    .option('--check', 'prove the whole path with a PV and a PVH guest, then end')
    .parse();
  say('boots Xen in QEMU');
  const lab = await Lab.boot(MACHINE_DEFAULTS);
  say('starts xenstored, xenconsoled and blkback in dom0');
  const host = await Host.start(lab);
  try {
    if (!program.opts().check) {
      await visit(host);
      return 0;
    }
    const rows = await check(host);
    printTable(rows);
    return rows.every(({ ok }) => ok) ? 0 : 1;
  } catch (error) {
    console.error(host.lastSeen());
    throw error;
  } finally {
    await lab.close();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
// What may still hold us back is our own standard input.
process.stdin.destroy();
