/** Where Debian's Xen, its Linux kernel and their modules are on this machine. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { resolve } from 'node:path';

/** The root of the checkout. */
export const CHECKOUT = resolve(import.meta.dirname, '../..');

/** What is built once and kept; git ignores it, and it may be removed at any time. */
export const CACHE = resolve(CHECKOUT, '.cache/lab');

export interface Kernel {
  /** As in `/lib/modules/<release>`. */
  readonly release: string;
  /** Path of the compressed kernel. */
  readonly image: string;
}

function newest(names: readonly string[]): string | undefined {
  return [...names].sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1);
}

/** The newest Debian kernel that is installed with its modules: dom0 and the guests all run it. */
export function debianKernel(): Kernel {
  const releases = existsSync('/lib/modules') ? readdirSync('/lib/modules') : [];
  const release = newest(releases.filter((name) => existsSync(`/boot/vmlinuz-${name}`)));
  if (release === undefined) throw new Error('no Debian kernel is installed: run scripts/setup');
  return { release, image: `/boot/vmlinuz-${release}` };
}

/** The compressed Xen hypervisor. */
export function debianXen(): string {
  const boot = existsSync('/boot') ? readdirSync('/boot') : [];
  const name = newest(boot.filter((file) => /^xen-.*-amd64\.gz$/.test(file)));
  if (name === undefined) throw new Error('no Xen hypervisor is installed: run scripts/setup');
  return `/boot/${name}`;
}

/** The files of `modules` and of all they depend on, in the order in which they must be loaded. */
export function moduleFiles(kernel: Kernel, modules: readonly string[]): string[] {
  const files = new Set<string>();
  for (const module of modules) {
    // Lines read "insmod PATH", or "builtin NAME" for what the kernel has already.
    const plan = execFileSync('/sbin/modprobe', ['-S', kernel.release, '--show-depends', module], {
      encoding: 'utf8',
    });
    for (const [, path] of plan.matchAll(/^insmod (\S+)/gm)) files.add(path as string);
  }
  return [...files];
}
