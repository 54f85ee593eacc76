/**
 * Builds the initramfs of dom0 and of the guests: busybox, Debian's kernel modules and an init
 * script. What was built is kept in the cache until one of its parts changes.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { writeInitramfs } from '../../src/dom0/image/initramfs.ts';
import { CACHE, CHECKOUT, debianKernel, debianXen } from './debian.ts';

/** What reaches dom0's root over 9p, its channel to us, and the device nodes in /dev/xen. */
const DOM0_MODULES = [
  '9pnet_virtio',
  '9p',
  'overlay',
  'virtio_pci',
  'virtio_console',
  'xen-evtchn',
  'xen-gntdev',
  'xen-gntalloc',
  'xen-privcmd',
  'xenfs',
];

/** The front ends of a stock guest, and the file system on its disk. */
const GUEST_MODULES = ['xen-blkfront', 'xen-netfront', 'ext4'];

/** The device nodes in /dev/xen, for a guest whose programs speak to other domains. */
export const DEVICE_NODE_MODULES = [
  'xen-evtchn',
  'xen-gntdev',
  'xen-gntalloc',
  'xen-privcmd',
  'xenfs',
];

/** Sixteen characters that stand for `parts`, for a name in the cache. */
export function digest(...parts: string[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${part.length}:${part}`);
  return hash.digest('hex').slice(0, 16);
}

/** The file `name` in the cache; `write` makes it when it is not there yet. */
export function cached(name: string, write: (path: string) => void): string {
  const path = join(CACHE, name);
  if (existsSync(path)) return path;
  mkdirSync(CACHE, { recursive: true });
  const half = `${path}.${process.pid}`;
  try {
    write(half);
    renameSync(half, path);
  } finally {
    rmSync(half, { force: true });
  }
  return path;
}

/** Path of a C program of one file, built so that it runs in a guest, which has no libraries. */
export function guestProgram(source: string): string {
  const name = basename(source, '.c');
  return cached(`${name}-${digest(readFileSync(source, 'utf8'))}`, (path) => {
    const flags = ['-static', '-O2', '-Wall', '-Wextra', '-Werror'];
    execFileSync('cc', [...flags, '-o', path, source], { stdio: ['ignore', 'ignore', 'inherit'] });
  });
}

/** The name of a program in the cache, without the digest that follows it there. */
const programName = (path: string) => basename(path).replace(/-[0-9a-f]{16}$/, '');

function initramfs(
  name: string,
  init: string,
  modules: readonly string[],
  programs: readonly string[] = [],
): string {
  const key = digest(debianKernel().release, init, ...modules, ...programs);
  const files = new Map(programs.map((path) => [join('/bin', programName(path)), path]));
  return cached(`${name}-${key}.gz`, (path) => writeInitramfs(path, { init, modules, files }));
}

const script = (name: string) => readFileSync(join(CHECKOUT, 'scripts/lab', name), 'utf8');

/** Path of dom0's initramfs. */
export function dom0Initramfs(): string {
  return initramfs('dom0', script('dom0-init.sh'), DOM0_MODULES);
}

/**
 * Path of a stock Linux guest's initramfs.
 *
 * @param tail busybox shell script that goes on where `guest-init.sh` ends; it must not return
 * @param programs paths that `guestProgram` gave; each is in the guest's search path by its name
 * @param modules further modules of its kernel
 */
export function guestInitramfs(
  tail: string,
  programs: readonly string[] = [],
  modules: readonly string[] = [],
): string {
  const all = [...GUEST_MODULES, ...modules];
  return initramfs('guest', `${script('guest-init.sh')}\n${tail}\n`, all, programs);
}

/** Path of Xen as the plain ELF file that QEMU's multiboot loader wants. */
export function xenElf(): string {
  const compressed = readFileSync(debianXen());
  const key = digest(compressed.toString('latin1'));
  return cached(`xen-${key}`, (path) => writeFileSync(path, gunzipSync(compressed)));
}
