/**
 * The network back end: what it publishes, and how it connects to a front end and the network. Keys
 * and their meaning are in xen/include/public/io/netif.h.
 */
import type { Clock } from '../base/clock.ts';
import type { Hypervisor } from '../hypervisor/contract.ts';
import type { BackConnection, BackDriver } from '../xenbus/back-device.ts';
import type { DeviceKeys } from '../xenbus/device-end.ts';
import { isHotplugDone } from '../xenbus/hotplug.ts';
import { NetConnection } from './back-connection.ts';
import { MULTICAST_KEY } from './back-keys.ts';
import { type VifNetwork, vifRequest } from './back-request.ts';
import { type NetFeature, QUEUES_MAX } from './features.ts';

export interface NetBackParts {
  readonly hypervisor: Hypervisor;
  readonly clock: Clock;
  /** The host's side of this device. */
  readonly network: VifNetwork;
  /** What front ends are not offered. */
  readonly without: ReadonlySet<NetFeature>;
  /** The toolstack runs hotplug scripts in this domain, and a device that has one waits for it. */
  readonly scripts: boolean;
}

export class NetBack implements BackDriver {
  readonly changingKeys = [MULTICAST_KEY];
  private readonly parts: NetBackParts;

  constructor(parts: NetBackParts) {
    this.parts = parts;
  }

  async announce(keys: DeviceKeys): Promise<void> {
    const { without, network, scripts } = this.parts;
    if (network.prepare !== undefined) network.prepare(await vifRequest(keys, scripts));
    const flag = (feature: NetFeature) => (without.has(feature) ? '0' : '1');
    await keys.write({
      'feature-rx-copy': '1',
      'feature-rx-flip': '0',
      'feature-sg': flag('scatter-gather'),
      'feature-gso-tcpv4': flag('gso-tcpv4'),
      'feature-gso-tcpv6': flag('gso-tcpv6'),
      'feature-no-csum-offload': without.has('checksum-ipv4') ? '1' : '0',
      'feature-ipv6-csum-offload': flag('checksum-ipv6'),
      'feature-split-event-channels': flag('split-event-channels'),
      'multi-queue-max-queues': without.has('multi-queue') ? '1' : String(QUEUES_MAX),
      'feature-multicast-control': flag('multicast-control'),
      'feature-dynamic-multicast-control': flag('multicast-control'),
      'feature-ctrl-ring': flag('control-ring'),
      'feature-xdp-headroom': flag('xdp-headroom'),
    });
  }

  async connect(keys: DeviceKeys): Promise<BackConnection | undefined> {
    const { hypervisor, clock, network, without, scripts } = this.parts;
    if (scripts && !(await isHotplugDone(keys))) return undefined;
    const request = await vifRequest(keys, scripts);
    return NetConnection.open({ hypervisor, clock, keys, request, network, without });
  }

  end(isGone: boolean): void {
    this.parts.network.end?.(isGone);
  }
}
