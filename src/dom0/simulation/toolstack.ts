/**
 * What libxl does when it makes and destroys a guest, for the simulator: the guest's nodes in
 * xenstore with the owners and permissions that libxl gives them, then INTRODUCE.
 */
import { XenbusStateInitialising } from '../../abi/io/xenbus.ts';
import { DOM0 } from '../../base/ids.ts';
import type { SimGuest } from '../../hypervisor/sim/world.ts';
import { writeDirectory } from '../../xenstore/directories.ts';
import { domainHome } from '../../xenstore/path.ts';
import type { Permission, Xenstore } from '../../xenstore/xenstore.ts';

/** `xvda` as `xl` numbers it: major 202, minor 0. */
export const XVDA = 202 << 8;
export const ETH0 = 0;

const BACK_ENDS = ['vbd', 'vif'];

const CONSOLE_LIMIT_BYTES = 1048576;

interface GuestPlan {
  readonly name: string;
  /** What the back end opens as the guest's disk. */
  readonly disk: string;
  /** The MAC address of the guest's interface. */
  readonly mac: string;
}

/** A device of a guest, and the keys of each end that only its kind has. */
interface DevicePlan {
  readonly type: string;
  readonly devid: number;
  readonly back: Readonly<Record<string, string | number>>;
  readonly front: Readonly<Record<string, string | number>>;
}

function devicesOf({ disk, mac }: GuestPlan): DevicePlan[] {
  return [
    {
      type: 'vbd',
      devid: XVDA,
      back: { params: disk, 'physical-device-path': disk, mode: 'w' },
      front: { 'virtual-device': XVDA, 'device-type': 'disk' },
    },
    { type: 'vif', devid: ETH0, back: { mac, handle: ETH0 }, front: { mac, handle: ETH0 } },
  ];
}

/** What `xen-init-dom0` leaves in xenstore when the host boots, and where back ends look for guests. */
export async function initialiseDom0(store: Xenstore): Promise<void> {
  const home = domainHome(DOM0);
  await store.write(`${home}/name`, 'Domain-0');
  await store.write(`${home}/domid`, String(DOM0));
  for (const type of BACK_ENDS) await store.mkdir(`${home}/backend/${type}`);
}

/** Writes the nodes of a new guest and introduces it to xenstored. */
export async function introduceGuest(
  store: Xenstore,
  guest: SimGuest,
  plan: GuestPlan,
): Promise<void> {
  const { domid } = guest.domain;
  const home = domainHome(domid);
  const readableByGuest: Permission[] = [
    { domid: DOM0, access: 'n' },
    { domid, access: 'r' },
  ];
  const ownedByGuest: Permission[] = [
    { domid, access: 'n' },
    { domid: DOM0, access: 'r' },
  ];
  await store.transaction(async (nodes) => {
    await writeDirectory(nodes, home, readableByGuest, { name: plan.name, domid });
    await writeDirectory(nodes, `${home}/data`, ownedByGuest, {});
    await writeDirectory(nodes, `${home}/console`, readableByGuest, {
      'ring-ref': guest.console.gfn,
      port: guest.console.channel.port,
      type: 'xenconsoled',
      limit: CONSOLE_LIMIT_BYTES,
      output: 'pty',
    });
    for (const { type, devid, back, front } of devicesOf(plan)) {
      const backend = `${domainHome(DOM0)}/backend/${type}/${domid}/${devid}`;
      const frontend = `${home}/device/${type}/${devid}`;
      await writeDirectory(nodes, backend, readableByGuest, {
        frontend,
        'frontend-id': domid,
        'hotplug-status': 'connected',
        ...back,
        online: 1,
        state: XenbusStateInitialising,
      });
      await writeDirectory(nodes, frontend, ownedByGuest, {
        backend,
        'backend-id': DOM0,
        ...front,
        state: XenbusStateInitialising,
      });
    }
  });
  await store.introduce(domid, guest.xenstore.gfn, guest.xenstore.channel.port);
}

/** Destroys a guest, of which xenstored learns by itself, and takes its nodes away. */
export async function destroyGuest(store: Xenstore, guest: SimGuest): Promise<void> {
  const { domid } = guest.domain;
  guest.domain.kill();
  await store.transaction(async (nodes) => {
    for (const type of BACK_ENDS)
      await nodes.remove(`${domainHome(DOM0)}/backend/${type}/${domid}`);
    await nodes.remove(domainHome(domid));
  });
}
