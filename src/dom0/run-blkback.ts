/** `paravane run blkback`. */
import { BLOCK_FEATURES } from '../block/features.ts';
import { featureNames } from './feature-names.ts';
import type { Service } from './run-command.ts';

export const blkbackService: Service = {
  name: 'blkback',
  summary: 'serve files, block devices and network disks to guests as disks',

  addOptions(command) {
    command
      .option('--socket <file>', "xenstored's socket or device, instead of the usual one")
      .option('--type <name>', 'the devices to serve, by their directory below backend/', 'vbd')
      .option(
        '--without <features>',
        `what guests are not offered, by commas: ${BLOCK_FEATURES.join(', ')}`,
        featureNames(BLOCK_FEATURES),
        [],
      )
      .option(
        '--driver-domain',
        "serve from a domain that is not the toolstack's: no hotplug scripts, and tidy up after devices",
      )
      .addHelpText(
        'after',
        `
A disk line for a guest's configuration, with the hotplug script of this package:
  disk = [ 'format=raw,vdev=xvda,access=rw,script=/path/to/scripts/hotplug/paravane-block,target=/path/to/disk.img' ]
Instead of a path: nbd://HOST/EXPORT or nbd+unix:///EXPORT?socket=PATH for a disk that an NBD server
has, such as qemu-nbd a qcow2 file; vbd:NUMBER for a disk that another domain serves to this one.
`,
      );
  },

  async start(options, log) {
    const { openBlkback } = await import('../../stubdoms/blkback/dom0.ts');
    const { type, without, driverDomain = false, socket } = options;
    return openBlkback({ type, without, driverDomain, xenstoreSocket: socket }, log);
  },
};
