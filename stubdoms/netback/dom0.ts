/**
 * What the network back end is made of, as a process of dom0 or of a Linux driver domain: a TAP device
 * for each guest's interface, or one switch for all of them, in this process.
 */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { Holdings } from '../../src/base/holdings.ts';
import { DOM0 } from '../../src/base/ids.ts';
import type { Log } from '../../src/base/log.ts';
import type { Hypervisor } from '../../src/hypervisor/contract.ts';
import { openLinuxHypervisor } from '../../src/hypervisor/linux/hypervisor.ts';
import { loadNative } from '../../src/hypervisor/linux/native.ts';
import type { VifNetwork } from '../../src/net/back-request.ts';
import { CaptureSession } from '../../src/net/capture-session.ts';
import type { NetFeature } from '../../src/net/features.ts';
import { NetFront } from '../../src/net/front.ts';
import { parseIpv4Range } from '../../src/net/ipv4-range.ts';
import type { SwitchPort } from '../../src/net/switch-port.ts';
import { nodeClock } from '../../src/node/clock.ts';
import { checkNoOverlap, hostNetworks } from '../../src/node/host-networks.ts';
import { listenUnixSocket } from '../../src/node/socket-path.ts';
import { TapInterface } from '../../src/node/tap-interface.ts';
import { servedTogether } from '../../src/node/unix-socket.ts';
import { followXenstore } from '../../src/node/xenstore-access.ts';
import type { Xenstore } from '../../src/xenstore/xenstore.ts';
import { type NetbackOptions, startNetback } from './service.ts';
import { SwitchNetwork } from './switch-network.ts';
import { TapNetwork } from './tap-network.ts';
import { DOM0_LEASES, OWN_LEASES, xenstoreLeases } from './xenstore-leases.ts';

export interface SwitchSettings {
  /** Guests may only use their own addresses. */
  readonly filter: boolean;
  /** A range such as `10.0.0.0/24` whose addresses are given to guests. */
  readonly dhcp?: string | undefined;
  /** Names of TAP devices that lead from the switch into this domain. */
  readonly taps: readonly string[];
  /** Numbers of this domain's own interfaces that lead from the switch to another domain. */
  readonly uplinks: readonly number[];
}

export interface NetbackSettings extends NetbackOptions {
  /** All guests are in one switch in this process; without, each has a TAP device. */
  readonly switch?: SwitchSettings | undefined;
  /** Where `paravane net capture` connects to. */
  readonly captureSocket: string;
  /** xenstored's socket or device, where it is not the usual one. */
  readonly xenstoreSocket?: string | undefined;
}

export interface NetbackProcess {
  /** Lets go of every interface; guests wait for the next process. */
  close(): Promise<void>;
}

interface World {
  readonly hypervisor: Hypervisor;
  readonly xenstore: Xenstore;
  readonly log: Log;
}

/** What guests are connected to. */
interface GuestNetwork {
  networkFor(name: string): VifNetwork;
  port(name: string): SwitchPort | undefined;
  close(): Promise<void>;
}

/** Room for what several guests send and receive at once. */
const UPLINK_OPTIONS = { queues: 2 };

async function openSwitch(
  settings: SwitchSettings,
  without: readonly NetFeature[],
  world: World,
): Promise<GuestNetwork> {
  const range = settings.dhcp === undefined ? undefined : parseIpv4Range(settings.dhcp);
  if (range !== undefined) checkNoOverlap(range, hostNetworks());
  const { hypervisor, xenstore, log } = world;
  const held = new Holdings();
  const fronts: NetFront[] = [];
  const directories = hypervisor.domid === DOM0 ? DOM0_LEASES : OWN_LEASES;
  const leases = xenstoreLeases(xenstore, nodeClock, directories);
  const network = new SwitchNetwork({ clock: nodeClock, log, leases, filter: settings.filter });
  const close = async () => {
    network.close();
    held.close();
    for (const front of fronts) await front.close();
  };
  try {
    if (range !== undefined) await network.serveDhcp(range);
    for (const name of settings.taps) {
      const tap = held.keep(TapInterface.open(loadNative(), { name }));
      tap.persist(true);
      tap.bringUp();
      network.addUplink(tap, { name });
    }
    for (const devid of settings.uplinks) {
      const parts = { hypervisor, xenstore, clock: nodeClock, log, devid };
      const options = { ...UPLINK_OPTIONS, without: new Set(without) };
      const front = await NetFront.connect({ ...parts, options });
      fronts.push(front);
      network.addUplink(front, { name: `uplink${devid}` });
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    networkFor: (name) => network.networkFor(name),
    port: (name) => network.port(name),
    close,
  };
}

async function openTaps(type: string, world: World): Promise<GuestNetwork> {
  const { hypervisor, xenstore, log } = world;
  const network = new TapNetwork({ native: loadNative(), clock: nodeClock, log });
  await network.removeLeft(async (domid, devid) => {
    const path = `/local/domain/${hypervisor.domid}/backend/${type}/${domid}/${devid}/state`;
    return (await xenstore.readIfPresent(path)) !== undefined;
  });
  return {
    networkFor: (name) => network.networkFor(name),
    port: (name) => network.port(name),
    close: async () => {},
  };
}

/** Lets others see the frames of a port. Resolves with what ends that. */
async function serveCaptures(path: string, network: GuestNetwork, log: Log) {
  const native = loadNative();
  const sessions = new Set<CaptureSession>();
  mkdirSync(dirname(path), { recursive: true });
  const clients = servedTogether(native, (stream) => {
    sessions.add(
      new CaptureSession({
        stream,
        find: (name) => network.port(name),
        onEnd: (session, leftOut) => {
          sessions.delete(session);
          if (leftOut > 0) log.warn('a capture was too slow', { leftOut });
        },
      }),
    );
  });
  const listener = await listenUnixSocket(native, path, 'captures', clients);
  return {
    close: () => {
      listener.close();
      for (const session of [...sessions]) session.close();
    },
  };
}

/** Starts the back end. Rejects with `XenError` when Xen, xenstore or a network can't be had. */
export async function openNetback(settings: NetbackSettings, log: Log): Promise<NetbackProcess> {
  const held = new Holdings();
  let network: GuestNetwork | undefined;
  try {
    const hypervisor = held.keep(openLinuxHypervisor());
    const xenstore = held.keep(
      await followXenstore({ native: loadNative, path: settings.xenstoreSocket }, log),
    );
    const world = { hypervisor, xenstore, log };
    const guests =
      settings.switch === undefined
        ? await openTaps(settings.type ?? 'vif', world)
        : await openSwitch(settings.switch, settings.without ?? [], world);
    network = guests;
    held.keep(await serveCaptures(settings.captureSocket, guests, log));
    const netback = await startNetback({
      ...world,
      clock: nodeClock,
      options: settings,
      networkFor: (name) => guests.networkFor(name),
    });
    const close = async () => {
      await netback.close();
      await guests.close();
      held.close();
    };
    return { close };
  } catch (error) {
    await network?.close();
    held.close();
    throw error;
  }
}
