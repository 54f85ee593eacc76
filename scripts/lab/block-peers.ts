/** Disks that somebody else's block back end in dom0 serves, or our own, to a guest or to dom0 itself. */
import type { Host } from './host.ts';

/** Our back end's directory beside these: Linux's and QEMU's have those that libxl knows. */
export const OUR_TYPE = 'paravane';

const QEMU = '/usr/libexec/xen-qemu-system-i386';

export type Peer = 'linux' | 'qemu' | 'ours';

/** For whom, and as what. */
export interface DiskUser {
  readonly domid: number;
  /** As `paravane block` takes it. */
  readonly vdev: string;
}

export interface PeerDisk {
  /** Takes the disk away, and the back end where it was started for it. */
  remove(): Promise<void>;
}

async function attach(host: Host, disk: string, type: string, user: DiskUser): Promise<void> {
  const { domid, vdev } = user;
  const options = ['--type', type, '--vdev', vdev, '--no-wait'];
  await host.paravane('block', 'attach', String(domid), disk, ...options);
}

async function detach(host: Host, { domid, vdev }: DiskUser): Promise<void> {
  await host.paravane('block', 'detach', String(domid), vdev);
}

/** Where the back end's keys are, by the only disk of that type and domain. */
async function backPath(host: Host, type: string, { domid }: DiskUser): Promise<string> {
  const directory = `/local/domain/0/backend/${type}/${domid}`;
  return `${directory}/${(await host.lab.run(['xenstore-list', directory])).trim()}`;
}

/** Linux's xen-blkback on a loop device. It needs what its hotplug script would have written. */
async function linuxDisk(host: Host, image: string, user: DiskUser): Promise<PeerDisk> {
  const { lab } = host;
  await lab.run('modprobe loop && modprobe xen-blkback');
  const loop = (await lab.run(['losetup', '--find', '--show', image])).trim();
  await attach(host, loop, 'vbd', user);
  const back = await backPath(host, 'vbd', user);
  const numbers = (await lab.run(['stat', '-c', '%t:%T', loop])).trim();
  await lab.run(
    `xenstore-write ${back}/type phy ${back}/physical-device ${numbers} ${back}/hotplug-status connected`,
  );
  return {
    remove: async () => {
      await detach(host, user);
      await lab.run(`losetup -d ${loop} && rmmod xen-blkback`);
    },
  };
}

/** QEMU's back end, as libxl starts it for a PV guest. */
async function qemuDisk(host: Host, image: string, user: DiskUser): Promise<PeerDisk> {
  const qemu = host.lab.start([
    QEMU,
    ...['-xen-domid', String(user.domid), '-xen-attach', '-M', 'xenpv', '-nodefaults'],
    ...['-no-user-config', '-nographic', '-monitor', 'none', '-serial', 'none'],
  ]);
  await attach(host, `aio:${image}`, 'qdisk', user);
  return {
    remove: async () => {
      await detach(host, user);
      await qemu.stop();
    },
  };
}

async function ourDisk(host: Host, image: string, user: DiskUser): Promise<PeerDisk> {
  await attach(host, image, OUR_TYPE, user);
  return { remove: () => detach(host, user) };
}

const DISKS = { linux: linuxDisk, qemu: qemuDisk, ours: ourDisk };

/** Has the back end of `peer` serve `image`; ours must run with the type `OUR_TYPE`. */
export function peerDisk(host: Host, peer: Peer, image: string, user: DiskUser): Promise<PeerDisk> {
  return DISKS[peer](host, image, user);
}
