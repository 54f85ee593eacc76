/** Vchans in the lab: the programs at their ends, in dom0 and in guests that have them on their disks. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { basename, join } from 'node:path';
import { buildSync } from 'esbuild';
import { CHECKOUT } from '../../scripts/lab/debian.ts';
import { Guest, programGuestInitramfs } from '../../scripts/lab/guest.ts';
import { diskLine } from '../../scripts/lab/host.ts';
import type { Lab } from '../../scripts/lab/lab.ts';
import { makeProgramDisk } from '../../scripts/lab/tools-disk.ts';
import { compile } from '../xenstored/c-daemon/stand-in.ts';

const DIST = join(CHECKOUT, 'dist');
export const OURS = `${process.execPath} ${join(DIST, 'paravane.js')} vchan`;
/** libxenvchan's own bridge. */
export const THEIRS = '/usr/lib/xen-4.17/bin/vchan-socket-proxy';

export interface VchanPrograms {
  /** Seen at this path in dom0 too. Whoever made the programs removes it. */
  readonly directory: string;
  /** test/vchan/c-end.c, compiled. */
  readonly cEnd: string;
  /** vchan-web.ts as one file. */
  readonly web: string;
  /** vchan-rings.ts as one file. */
  readonly rings: string;
  /** vchan-flow.sh. */
  readonly flow: string;
  readonly certificate: string;
  readonly key: string;
  /** An image with all of these and with both bridges. */
  readonly disk: string;
}

export function makePrograms(): VchanPrograms {
  // Below the checkout, where what is bundled finds the native shim.
  const directory = mkdtempSync(join(CHECKOUT, '.cache/vchan-'));
  const at = (name: string) => join(directory, name);
  const programs = {
    directory,
    cEnd: at('c-end'),
    web: at('vchan-web.mjs'),
    rings: at('vchan-rings.mjs'),
    flow: join(CHECKOUT, 'test/xen/vchan-flow.sh'),
    certificate: at('certificate.pem'),
    key: at('key.pem'),
    disk: at('programs.img'),
  };
  compile(join(CHECKOUT, 'test/vchan/c-end.c'), programs.cEnd, '-O2', '-lxenvchan');
  for (const outfile of [programs.web, programs.rings]) {
    const entryPoints = [join(CHECKOUT, 'test/xen', `${basename(outfile, '.mjs')}.ts`)];
    buildSync({ entryPoints, outfile, bundle: true, platform: 'node', format: 'esm' });
  }
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const subject = ['-subj', '/CN=guest', '-addext', 'subjectAltName=DNS:guest', '-days', '3'];
  const output = ['-keyout', programs.key, '-out', programs.certificate];
  execFileSync('openssl', ['req', '-x509', ...ec, ...subject, ...output], { stdio: 'pipe' });
  const { cEnd, web, rings, flow, certificate, key } = programs;
  const shim = join(CHECKOUT, 'native/build/Release/paravane_native.node');
  const files = [DIST, web, rings, flow, certificate, key];
  makeProgramDisk(programs.disk, [process.execPath, shim, THEIRS, cEnd], files);
  return programs;
}

/** A guest with the programs, up to its shell. */
export async function startProgramGuest(lab: Lab, name: string, disk: string) {
  const guest = await Guest.create(lab, {
    name,
    type: 'pv',
    ramdisk: programGuestInitramfs(),
    disks: [diskLine(disk, 'xvda', 'ro')],
    memory_mib: 320,
  });
  await guest.shows(/GUEST-PROGRAMS-READY/);
  await guest.shows(/guest# /);
  const domid = (await lab.run(['xl', 'domid', name])).trim();
  return { guest, domid };
}

/**
 * A bash function for dom0: `transfer BYTES SENDER RECEIVER` runs both commands, with random bytes as
 * the input of one, and fails unless they come out of the other. It starts the server before the client:
 * the commands name themselves as `server …` and `client …` by their first word.
 */
export const TRANSFER = `
set -eu
cd "$(mktemp -d)"
mkfifo never-ends
transfer() {
  head -c "$1" /dev/urandom >sent
  # The receiver's input must not end, or it would end the connection.
  bash -c "$3" <>never-ends >received & receiver=$!
  bash -c "$2" <sent >/dev/null & sender=$!
  wait $sender && wait $receiver && cmp sent received && echo "whole $1"
}
`;
