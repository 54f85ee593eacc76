/**
 * A disk with Debian's own programs for a guest whose initramfs has busybox alone: they and their
 * libraries stand on an ext4 file system at the paths that they have here, for chroot(8).
 */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { sharedLibraries } from '../../src/dom0/image/shared-libraries.ts';
import { cached, digest } from './initramfs.ts';

const SPARE_MIB = 16;
const PROGRAM_DISK_MIB = 400;

/** Path of a program in Debian's usual directories. */
function programPath(name: string): string {
  for (const directory of ['/usr/bin', '/usr/sbin']) {
    const path = join(directory, name);
    if (existsSync(path)) return path;
  }
  throw new Error(`${name} is not installed: run scripts/setup`);
}

/** Path of an image with `programs`; kept until one of them changes. */
export function toolsDisk(programs: readonly string[]): string {
  const paths = programs.map(programPath);
  const key = digest(...paths.map((path) => `${path} ${statSync(path).mtimeMs}`));
  return cached(`tools-${key}.img`, (image) => {
    const root = mkdtempSync(join(tmpdir(), 'paravane-tools-'));
    try {
      for (const directory of ['dev', 'proc', 'sys', 'tmp', 'mnt'])
        mkdirSync(join(root, directory));
      for (const path of new Set(
        paths.flatMap((program) => [program, ...sharedLibraries(program)]),
      )) {
        mkdirSync(join(root, dirname(path)), { recursive: true });
        cpSync(realpathSync(path), join(root, path));
      }
      const kib = Number(execFileSync('du', ['-sk', root], { encoding: 'utf8' }).split('\t')[0]);
      const size = `${Math.ceil(kib / 1024 / 0.9) + SPARE_MIB}M`;
      execFileSync('truncate', ['-s', size, image]);
      execFileSync('mkfs.ext4', ['-q', '-O', '^has_journal', '-d', root, image]);
    } finally {
      rmSync(root, { recursive: true });
    }
  });
}

/**
 * Makes an image of a file system with programs of this machine, the libraries that they need, and files
 * and directories beside, all at the paths that they have here. It is to be attached for reading.
 */
export function makeProgramDisk(
  image: string,
  programs: readonly string[],
  files: readonly string[],
): void {
  const root = mkdtempSync(join(tmpdir(), 'paravane-programs-'));
  try {
    const needed = programs.flatMap((path) => [path, ...sharedLibraries(path)]);
    for (const file of new Set([...needed, ...files])) {
      cpSync(file, join(root, file), { recursive: true, dereference: true });
    }
    writeFileSync(image, '');
    truncateSync(image, PROGRAM_DISK_MIB * 2 ** 20);
    execFileSync('mkfs.ext4', ['-q', '-d', root, image]);
  } finally {
    rmSync(root, { recursive: true });
  }
}
