/** Disks in dom0 that somebody else's back end, or our own, serves to dom0 itself. */
import type { Host } from '../../scripts/lab/host.ts';
import { virtualDeviceNumber } from '../../src/dom0/virtual-device.ts';

/** Our block back end's directory in these tests: Linux's and QEMU's have those that libxl knows. */
export const OUR_TYPE = 'paravane';

const QEMU = '/usr/libexec/xen-qemu-system-i386';
const DOM0 = '/local/domain/0';
/** What dom0 would call such a disk, if its kernel had a front end. */
const DEVICE = 'xvdq';

export type Peer = 'linux' | 'qemu' | 'ours';

/** A disk that dom0 has from a back end in dom0, as the target of a disk of ours. */
export interface PeerDisk {
  readonly target: string;
  /** Takes the disk away, and the back end where it was started for it. */
  remove(): Promise<void>;
}

async function attachToDom0(host: Host, disk: string, type: string): Promise<number> {
  const args = ['--type', type, '--no-wait', '--vdev', DEVICE];
  await host.paravane('block', 'attach', '0', disk, ...args);
  return virtualDeviceNumber(DEVICE);
}

async function detachFromDom0(host: Host, devid: number): Promise<void> {
  await host.paravane('block', 'detach', '0', String(devid));
}

/** Linux's xen-blkback on a loop device. It needs what its hotplug script would have written. */
async function linuxDisk(host: Host, image: string): Promise<PeerDisk> {
  const { lab } = host;
  await lab.run('modprobe loop && modprobe xen-blkback');
  const loop = (await lab.run(['losetup', '--find', '--show', image])).trim();
  const devid = await attachToDom0(host, loop, 'vbd');
  const back = `${DOM0}/backend/vbd/0/${devid}`;
  const numbers = (await lab.run(['stat', '-c', '%t:%T', loop])).trim();
  await lab.run(
    `xenstore-write ${back}/type phy ${back}/physical-device ${numbers} ${back}/hotplug-status connected`,
  );
  return {
    target: `vbd:${devid}`,
    remove: async () => {
      await detachFromDom0(host, devid);
      await lab.run(`losetup -d ${loop} && rmmod xen-blkback`);
    },
  };
}

/** QEMU's back end, as the init script of Debian's xen-utils starts it for dom0's own disks. */
async function qemuDisk(host: Host, image: string): Promise<PeerDisk> {
  const { lab } = host;
  const qemu = lab.start([
    QEMU,
    ...['-xen-domid', '0', '-xen-attach', '-name', 'dom0', '-M', 'xenpv', '-nodefaults'],
    ...[
      '-no-user-config',
      '-nographic',
      '-monitor',
      'none',
      '-serial',
      'none',
      '-parallel',
      'none',
    ],
  ]);
  const devid = await attachToDom0(host, `aio:${image}`, 'qdisk');
  return {
    target: `vbd:${devid}`,
    remove: async () => {
      await detachFromDom0(host, devid);
      await qemu.stop();
    },
  };
}

async function ourDisk(host: Host, image: string): Promise<PeerDisk> {
  const devid = await attachToDom0(host, image, OUR_TYPE);
  return { target: `vbd:${devid}`, remove: () => detachFromDom0(host, devid) };
}

/** Serves `image` to dom0 by the back end of `peer`. */
export function peerDisk(host: Host, peer: Peer, image: string): Promise<PeerDisk> {
  return { linux: linuxDisk, qemu: qemuDisk, ours: ourDisk }[peer](host, image);
}
