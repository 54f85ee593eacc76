/** Debian's Linux kernel on this machine, and its modules. */
import { existsSync, readdirSync } from 'node:fs';
import { XenError } from '../../base/errors.ts';
import { runToolNow } from './compiler.ts';

export interface Kernel {
  /** As in `/lib/modules/<release>`. */
  readonly release: string;
  /** Path of the compressed kernel. */
  readonly image: string;
}

/** The last of the names, by the numbers in them. */
export function newest(names: readonly string[]): string | undefined {
  return [...names].sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1);
}

/** The newest kernel that is installed with its modules. Throws ENOENT when there is none. */
export function debianKernel(): Kernel {
  const releases = existsSync('/lib/modules') ? readdirSync('/lib/modules') : [];
  const release = newest(releases.filter((name) => existsSync(`/boot/vmlinuz-${name}`)));
  if (release === undefined) {
    const detail = 'none is installed in /boot with its modules: run scripts/setup';
    throw new XenError('ENOENT', "find Debian's kernel", detail);
  }
  return { release, image: `/boot/vmlinuz-${release}` };
}

/** The files of `modules` and of all they depend on, in the order in which they must be loaded. */
export function moduleFiles(kernel: Kernel, modules: readonly string[]): string[] {
  const files = new Set<string>();
  for (const module of modules) {
    // Lines read "insmod PATH", or "builtin NAME" for what the kernel has already.
    const plan = runToolNow('/sbin/modprobe', ['-S', kernel.release, '--show-depends', module]);
    for (const [, path] of plan.matchAll(/^insmod (\S+)/gm)) files.add(path as string);
  }
  return [...files];
}
