/** `paravane run blkback`. */
import type { Service } from './run-command.ts';

export const blkbackService: Service = {
  name: 'blkback',
  summary: 'serve raw files and block devices to guests as disks',

  addOptions(command) {
    command
      .option('--socket <file>', "xenstored's socket, instead of the usual one")
      .option('--type <name>', 'the devices to serve, by their directory below backend/', 'vbd')
      .addHelpText(
        'after',
        `
A disk line for a guest's configuration, with the hotplug script of this package:
  disk = [ 'format=raw,vdev=xvda,access=rw,script=/path/to/scripts/hotplug/paravane-block,target=/path/to/disk.img' ]
`,
      );
  },

  async start(options, log) {
    const { openBlkback } = await import('../../stubdoms/blkback/dom0.ts');
    return openBlkback({ type: options.type, xenstoreSocket: options.socket }, log);
  },
};
