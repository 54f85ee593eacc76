/**
 * A service as an initramfs for Debian's kernel: Node, the `paravane` command and the native shim. It
 * is what a driver domain takes where throughput counts more than memory.
 */
import { readdirSync, realpathSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { nativePath } from '../../hypervisor/linux/native.ts';
import { checkoutDirectory } from './checkout.ts';
import { runTool } from './compiler.ts';
import { inScratch } from './image.ts';
import { writeInitramfs } from './initramfs.ts';
import { sharedLibraries } from './shared-libraries.ts';

/** The device nodes in /dev/xen, and the front end of disks. */
const MODULES = [
  'xen-evtchn',
  'xen-gntdev',
  'xen-gntalloc',
  'xen-privcmd',
  'xenfs',
  'xen-blkfront',
];

const NODE = '/usr/bin/node';
const PROGRAM = '/paravane/dist';

/** A service that ends by itself has failed: the domain reboots, which whoever keeps it is told. */
const initScript = (words: readonly string[]) => `#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in /modules/*; do insmod "$module"; done
mount -t xenfs xenfs /proc/xen
mkdir -p /run /sbin
printf '#!/bin/sh\\nexec /bin/poweroff -f\\n' >/sbin/poweroff
printf '#!/bin/sh\\nexec /bin/reboot -f\\n' >/sbin/reboot
chmod +x /sbin/poweroff /sbin/reboot
${NODE} ${PROGRAM}/paravane.js run ${words.join(' ')}
echo "paravane: the service has ended with status $?"
reboot -f
`;

/**
 * Builds `image`, an initramfs that runs `paravane run WORDS`; its size in bytes. Rejects with
 * `XenError` when the checkout lacks something for it.
 */
export async function buildLinuxImage(words: readonly string[], image: string): Promise<number> {
  const checkout = checkoutDirectory();
  await inScratch(async (directory) => {
    await runTool(join(checkout, 'scripts/build'), [directory]);
    const files = new Map<string, string>();
    for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
      if (name.endsWith('.js')) files.set(join(PROGRAM, name), join(directory, name));
    }
    files.set('/paravane/native/build/Release/paravane_native.node', nativePath());
    files.set(NODE, process.execPath);
    for (const library of sharedLibraries(process.execPath)) {
      files.set(resolve(library), realpathSync(library));
    }
    writeInitramfs(image, { init: initScript(words), modules: MODULES, files });
  });
  return (await stat(image)).size;
}
