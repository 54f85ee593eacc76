/** `paravane run driver-domain`. */
import type { Service } from './run-command.ts';

export const driverDomainService: Service = {
  name: 'driver-domain',
  summary: 'keep a driver domain there: make it again whenever it ends, with what it served',

  addOptions(command) {
    command
      .requiredOption('-c, --config <file>', "the domain's configuration for xl")
      .option('--socket <file>', "xenstored's socket or device, instead of the usual one")
      .addHelpText(
        'after',
        `
Makes the domain where there is none of its name. When it has crashed, rebooted or was destroyed, it is
made again under the same domid, and the guests that it served go on where they waited; xl itself would
give it another domid, to which they have granted nothing. Only "xl shutdown" ends it for good. In its
configuration on_crash and on_reboot count for a domain that xl has made, and must be "destroy" then.

Examples:
  paravane build blkback -o blkback.elf >blkback.cfg
  paravane run driver-domain --config blkback.cfg --daemon
  disk = [ 'format=raw,vdev=xvda,access=rw,backend=blkback,target=vbd:51712' ]    a guest's disk
`,
      );
  },

  async start(options, log) {
    const { openDriverDomain } = await import('./driver-domain/open.ts');
    return openDriverDomain({ config: options.config, xenstore: options.socket }, log);
  },
};
