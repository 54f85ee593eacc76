/** What a front end has published: where its rings are, and what it can do. It can say anything. */
import { ProtocolViolation } from '../base/errors.ts';
import { EVENT_PORT_MAX, type EventPort, eventPort, type GrantRef, grantRef } from '../base/ids.ts';
import type { DeviceKeys } from '../xenbus/device-end.ts';
import { needPeerNumber, readPeerFlag, readPeerNumber } from '../xenbus/key-number.ts';
import type { Offloads } from './offloads.ts';

const GRANT_REF_MAX = 0xffffffff;
/** Half a page. More would leave too little of each for data. */
export const HEADROOM_MAX = 2048;

/** Only frames to groups that were joined are wanted. A front end may say so at any time. */
export const MULTICAST_KEY = 'request-multicast-control';

export interface FrontQueueKeys {
  readonly transmitRing: GrantRef;
  readonly receiveRing: GrantRef;
  /** The same port twice where the front end does not split them. */
  readonly transmitPort: EventPort;
  readonly receivePort: EventPort;
}

export interface FrontFeatures {
  readonly scatterGather: boolean;
  readonly offloads: Offloads;
  readonly signalsOffers: boolean;
}

export async function readFeatures(keys: DeviceKeys): Promise<FrontFeatures> {
  if (!(await readPeerFlag(keys, 'request-rx-copy'))) {
    throw new ProtocolViolation(
      `read the features of domain ${keys.peer}`,
      'netif: request-rx-copy is 1',
      'pages cannot be flipped',
    );
  }
  // Segments are larger than a page.
  const scatterGather = await readPeerFlag(keys, 'feature-sg');
  const gsoTcpv4 = await readPeerFlag(keys, 'feature-gso-tcpv4');
  const gsoTcpv6 = await readPeerFlag(keys, 'feature-gso-tcpv6');
  return {
    scatterGather,
    offloads: {
      checksumIpv4: !(await readPeerFlag(keys, 'feature-no-csum-offload')),
      checksumIpv6: await readPeerFlag(keys, 'feature-ipv6-csum-offload'),
      gsoTcpv4: scatterGather && gsoTcpv4,
      gsoTcpv6: scatterGather && gsoTcpv6,
    },
    signalsOffers: await readPeerFlag(keys, 'feature-rx-notify'),
  };
}

/** Where the keys of each queue stand: for a single one in the device's own directory. */
export async function queueDirectories(keys: DeviceKeys, queuesMax: number): Promise<string[]> {
  const count = await readPeerNumber(keys, 'multi-queue-num-queues', queuesMax);
  if (count === 0) {
    throw new ProtocolViolation(
      `read the queues of domain ${keys.peer}`,
      'netif: multi-queue-num-queues is 1 or more',
      'it is 0',
    );
  }
  if (count === undefined || count === 1) return [''];
  return Array.from({ length: count }, (_, queue) => `queue-${queue}/`);
}

/** @param directory what stands before the queue's keys */
export async function readQueue(
  keys: DeviceKeys,
  directory: string,
  mayBeSplit: boolean,
): Promise<FrontQueueKeys> {
  const ring = async (name: string) =>
    grantRef(await needPeerNumber(keys, `${directory}${name}`, GRANT_REF_MAX));
  const port = async (name: string) =>
    eventPort(await needPeerNumber(keys, `${directory}${name}`, EVENT_PORT_MAX));
  const transmitRing = await ring('tx-ring-ref');
  const receiveRing = await ring('rx-ring-ref');
  const isSplit = mayBeSplit && (await keys.readPeer(`${directory}event-channel-tx`)) !== undefined;
  if (!isSplit) {
    const both = await port('event-channel');
    return { transmitRing, receiveRing, transmitPort: both, receivePort: both };
  }
  const transmitPort = await port('event-channel-tx');
  const receivePort = await port('event-channel-rx');
  return { transmitRing, receiveRing, transmitPort, receivePort };
}

/** The control ring and its port, where the front end has one. */
export async function readControl(
  keys: DeviceKeys,
): Promise<{ ring: GrantRef; port: EventPort } | undefined> {
  const ring = await readPeerNumber(keys, 'ctrl-ring-ref', GRANT_REF_MAX);
  if (ring === undefined) return undefined;
  const port = await needPeerNumber(keys, 'event-channel-ctrl', EVENT_PORT_MAX);
  return { ring: grantRef(ring), port: eventPort(port) };
}

/** Bytes to leave free at the start of each page that the guest receives. */
export async function readHeadroom(keys: DeviceKeys): Promise<number> {
  return (await readPeerNumber(keys, 'xdp-headroom', HEADROOM_MAX)) ?? 0;
}
