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
  /** Gives the image, and the disk that is made of it, another size, while it is in use. */
  resize(mib: number): Promise<void>;
  /** Takes the disk away, and the back end where it was started for it. */
  remove(): Promise<void>;
}

export interface PeerDiskOptions {
  /** 512 unless given. QEMU counts in units of other sectors, so its disks have those. */
  readonly sectorSize?: 512 | 4096;
}

const QEMU_LIMIT_MS = 60_000;

const growImage = (host: Host, image: string, mib: number) =>
  host.lab.run(['truncate', '-s', `${mib}M`, image]);

async function loopDevice(host: Host, image: string, sectorSize: number): Promise<string> {
  await host.lab.run('modprobe loop');
  const options = ['--find', '--show', '--sector-size', String(sectorSize)];
  return (await host.lab.run(['losetup', ...options, image])).trim();
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
async function linuxDisk(
  host: Host,
  image: string,
  user: DiskUser,
  { sectorSize = 512 }: PeerDiskOptions,
): Promise<PeerDisk> {
  const { lab } = host;
  await lab.run('modprobe xen-blkback');
  const loop = await loopDevice(host, image, sectorSize);
  await attach(host, loop, 'vbd', user);
  const back = await backPath(host, 'vbd', user);
  const numbers = (await lab.run(['stat', '-c', '%t:%T', loop])).trim();
  await lab.run(
    `xenstore-write ${back}/type phy ${back}/physical-device ${numbers} ${back}/hotplug-status connected`,
  );
  return {
    resize: async (mib) => {
      await growImage(host, image, mib);
      await lab.run(['losetup', '--set-capacity', loop]);
    },
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
    ...['-no-user-config', '-nographic', '-monitor', 'none', '-serial', 'none', '-qmp', 'stdio'],
  ]);
  await qemu.waitFor(/"QMP"/, QEMU_LIMIT_MS);
  const command = async (execute: string, argument: object = {}) => {
    const from = qemu.output.length;
    qemu.write(`${JSON.stringify({ execute, arguments: argument })}\n`);
    const [line] = await qemu.waitFor(/\{"(return|error)".*\}/, QEMU_LIMIT_MS, from);
    if (line.startsWith('{"error"')) throw new Error(`QEMU: ${execute}: ${line}`);
    return line;
  };
  await command('qmp_capabilities');
  await attach(host, `aio:${image}`, 'qdisk', user);
  return {
    resize: async (mib) => {
      const nodes = await command('query-named-block-nodes', { flat: true });
      const [, node] = /"node-name": "([^"]+-raw)"/.exec(nodes) ?? [];
      await command('block_resize', { 'node-name': node, size: mib * 2 ** 20 });
    },
    remove: async () => {
      await detach(host, user);
      await qemu.stop();
      // Nodes of QEMU's own, which libxl removes with the guest.
      const own = [`device-model/${user.domid}`, `backend/qdisk/${user.domid}`];
      await host.lab.run(['xenstore-rm', '-t', ...own.map((path) => `/local/domain/0/${path}`)]);
    },
  };
}

async function ourDisk(
  host: Host,
  image: string,
  user: DiskUser,
  { sectorSize = 512 }: PeerDiskOptions,
): Promise<PeerDisk> {
  const { lab } = host;
  const loop = sectorSize === 512 ? undefined : await loopDevice(host, image, sectorSize);
  await attach(host, loop ?? image, OUR_TYPE, user);
  return {
    resize: async (mib) => {
      await growImage(host, image, mib);
      if (loop !== undefined) await lab.run(['losetup', '--set-capacity', loop]);
      await host.paravane('block', 'resize', String(user.domid), user.vdev);
    },
    remove: async () => {
      await detach(host, user);
      if (loop !== undefined) await lab.run(['losetup', '-d', loop]);
    },
  };
}

const DISKS = { linux: linuxDisk, qemu: qemuDisk, ours: ourDisk };

/** Has the back end of `peer` serve `image`; ours must run with the type `OUR_TYPE`. */
export function peerDisk(
  host: Host,
  peer: Peer,
  image: string,
  user: DiskUser,
  options: PeerDiskOptions = {},
): Promise<PeerDisk> {
  return DISKS[peer](host, image, user, options);
}
