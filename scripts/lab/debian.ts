/** Where the lab finds what it is made of: the checkout, Debian's Xen and its Linux kernel. */
import { existsSync, readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { newest } from '../../src/dom0/image/debian-kernel.ts';

export { debianKernel } from '../../src/dom0/image/debian-kernel.ts';

/** The root of the checkout. */
export const CHECKOUT = resolve(import.meta.dirname, '../..');

/** What is built once and kept; git ignores it, and it may be removed at any time. */
export const CACHE = resolve(CHECKOUT, '.cache/lab');

/** The compressed Xen hypervisor. */
export function debianXen(): string {
  const boot = existsSync('/boot') ? readdirSync('/boot') : [];
  const name = newest(boot.filter((file) => /^xen-.*-amd64\.gz$/.test(file)));
  if (name === undefined) throw new Error('no Xen hypervisor is installed: run scripts/setup');
  return `/boot/${name}`;
}
