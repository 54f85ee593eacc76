/** What Linux finds in memory when it boots: busybox, kernel modules, an init script, and what that needs. */
import {
  chmodSync,
  copyFileSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { runToolNow } from './compiler.ts';
import { debianKernel, moduleFiles } from './debian-kernel.ts';

const BUSYBOX = '/bin/busybox';
const DIRECTORIES = ['bin', 'dev', 'proc', 'sys', 'mnt', 'modules', 'tmp'];

/** Packs in the order of the names, so that the same files make the same bytes. */
const PACK =
  'cd "$1" && find . -print0 | LC_ALL=C sort -z |' +
  ' cpio --null --create --format=newc --owner=0:0 --reproducible --quiet | gzip -1 -n > "$2"';

export interface InitramfsContents {
  /** A script for busybox's shell. The modules are in /modules, by the order in which they are loaded. */
  readonly init: string;
  /** Names of modules of Debian's kernel; what they depend on is added. */
  readonly modules: readonly string[];
  /** Files of this machine by the absolute paths that they are to have. */
  readonly files?: ReadonlyMap<string, string>;
}

/** Writes the initramfs to `path`. Throws `XenError` with what a tool said that failed. */
export function writeInitramfs(path: string, contents: InitramfsContents): void {
  const root = mkdtempSync(join(tmpdir(), 'paravane-initramfs-'));
  try {
    for (const directory of DIRECTORIES) mkdirSync(join(root, directory));
    copyFileSync(BUSYBOX, join(root, 'bin/busybox'));
    for (const [target, source] of contents.files ?? []) {
      mkdirSync(dirname(join(root, target)), { recursive: true });
      copyFileSync(source, join(root, target));
      chmodSync(join(root, target), 0o755);
    }
    // The number in front keeps the order in which the modules must be loaded.
    moduleFiles(debianKernel(), contents.modules).forEach((file, index) => {
      copyFileSync(file, join(root, 'modules', `${100 + index}-${basename(file)}`));
    });
    writeFileSync(join(root, 'init'), contents.init);
    chmodSync(join(root, 'init'), 0o755);
    forgetTimes(root);
    runToolNow('bash', ['-o', 'pipefail', '-c', PACK, 'pack', root, path]);
  } finally {
    rmSync(root, { recursive: true });
  }
}

function forgetTimes(directory: string): void {
  for (const entry of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    lutimesSync(join(directory, entry), 0, 0);
  }
  lutimesSync(directory, 0, 0);
}
