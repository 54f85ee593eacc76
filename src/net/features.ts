/** What either end of the network protocol can leave out, by names for the operator. */

export const NET_FEATURES = [
  'scatter-gather',
  'gso-tcpv4',
  'gso-tcpv6',
  'checksum-ipv4',
  'checksum-ipv6',
  'split-event-channels',
  'multi-queue',
  'multicast-control',
  'control-ring',
  'xdp-headroom',
] as const;

export type NetFeature = (typeof NET_FEATURES)[number];

/** Pairs of rings of one device. */
export const QUEUES_MAX = 4;
