/** Extra infos: what stands in slots of its own after the first one of a packet. */
import {
  NetifExtraGso,
  NetifExtraHash,
  NetifExtraMcast,
  XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ,
  XEN_NETIF_EXTRA_FLAG_MORE,
  XEN_NETIF_EXTRA_TYPE_GSO,
  XEN_NETIF_EXTRA_TYPE_HASH,
  XEN_NETIF_EXTRA_TYPE_MAX,
  XEN_NETIF_EXTRA_TYPE_MCAST_ADD,
  XEN_NETIF_EXTRA_TYPE_MCAST_DEL,
  XEN_NETIF_GSO_TYPE_TCPV4,
  XEN_NETIF_GSO_TYPE_TCPV6,
} from '../abi/io/netif.ts';
import { ProtocolViolation } from '../base/errors.ts';
import type { FrameGso, FrameHash } from './frame.ts';
import { type MacAddress, macAddressAt, writeMacAddress } from './mac-address.ts';

/** One of each type; `XEN_NETIF_EXTRA_TYPE_NONE` is none. */
export const EXTRA_INFOS_MAX = XEN_NETIF_EXTRA_TYPE_MAX - 1;
/**
 * The least that a TCP may have to send in segments of: `TCP_MIN_SND_MSS` of Linux, 48 bytes, of which all
 * that TCP has room for may be options.
 */
const GSO_SIZE_MIN = 8;

/** What the extra infos of one packet say, collected slot by slot. */
export class ExtraInfos {
  gso: FrameGso | undefined;
  hash: FrameHash | undefined;
  /** A group to be listened to, and one no longer. */
  joined: MacAddress | undefined;
  left: MacAddress | undefined;
  private readonly gsoView;
  private readonly hashView;
  private readonly mcastView;

  /** @param slot where each extra info is copied to before `take` */
  constructor(slot: Uint8Array) {
    this.gsoView = NetifExtraGso.view(slot);
    this.hashView = NetifExtraHash.view(slot);
    this.mcastView = NetifExtraMcast.view(slot);
  }

  clear(): void {
    this.gso = undefined;
    this.hash = undefined;
    this.joined = undefined;
    this.left = undefined;
  }

  /** Whether another extra info follows the one in the slot. */
  get more(): boolean {
    return (this.gsoView.flags & XEN_NETIF_EXTRA_FLAG_MORE) !== 0;
  }

  /** Takes what the slot says. Throws `ProtocolViolation` when it makes no sense. */
  take(): void {
    const { type } = this.gsoView;
    switch (type) {
      case XEN_NETIF_EXTRA_TYPE_GSO:
        this.gso = this.readGso();
        return;
      case XEN_NETIF_EXTRA_TYPE_MCAST_ADD:
        this.joined = macAddressAt(this.mcastView.addr, 0);
        return;
      case XEN_NETIF_EXTRA_TYPE_MCAST_DEL:
        this.left = macAddressAt(this.mcastView.addr, 0);
        return;
      case XEN_NETIF_EXTRA_TYPE_HASH:
        this.hash = this.readHash();
        return;
      default:
        violated('the type of an extra info is one of XEN_NETIF_EXTRA_TYPE_*', type);
    }
  }

  private readGso(): FrameGso {
    const { gso_type, gso_size } = this.gsoView;
    if (gso_type !== XEN_NETIF_GSO_TYPE_TCPV4 && gso_type !== XEN_NETIF_GSO_TYPE_TCPV6) {
      violated('the type of GSO is XEN_NETIF_GSO_TYPE_TCPV4 or TCPV6', gso_type);
    }
    if (gso_size < GSO_SIZE_MIN) {
      violated(`the size of GSO segments is ${GSO_SIZE_MIN} or more`, gso_size);
    }
    return { type: gso_type === XEN_NETIF_GSO_TYPE_TCPV4 ? 'tcpv4' : 'tcpv6', size: gso_size };
  }

  /** A hash by another algorithm than ours is as good as none. */
  private readHash(): FrameHash | undefined {
    const { hash_type, hash_algorithm, hash_value } = this.hashView;
    if (hash_algorithm !== XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ) return undefined;
    const [a, b, c, d] = hash_value as unknown as [number, number, number, number];
    return { type: hash_type, value: (a | (b << 8) | (c << 16) | (d << 24)) >>> 0 };
  }
}

/** Writes extra infos into a slot. */
export class ExtraInfoWriter {
  private readonly slot: Uint8Array;
  private readonly gso;
  private readonly hash;
  private readonly mcast;

  constructor(slot: Uint8Array) {
    this.slot = slot;
    this.gso = NetifExtraGso.view(slot);
    this.hash = NetifExtraHash.view(slot);
    this.mcast = NetifExtraMcast.view(slot);
  }

  /** @param more another extra info follows */
  writeGso({ type, size }: FrameGso, more: boolean): void {
    this.begin(XEN_NETIF_EXTRA_TYPE_GSO, more);
    this.gso.gso_type = type === 'tcpv4' ? XEN_NETIF_GSO_TYPE_TCPV4 : XEN_NETIF_GSO_TYPE_TCPV6;
    this.gso.gso_size = size;
  }

  writeHash({ type, value }: FrameHash, more: boolean): void {
    this.begin(XEN_NETIF_EXTRA_TYPE_HASH, more);
    this.hash.hash_type = type;
    this.hash.hash_algorithm = XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ;
    const { hash_value } = this.hash;
    for (let byte = 0; byte < 4; byte++) hash_value[byte] = (value >>> (8 * byte)) & 0xff;
  }

  writeMulticast(group: MacAddress, joined: boolean): void {
    this.begin(joined ? XEN_NETIF_EXTRA_TYPE_MCAST_ADD : XEN_NETIF_EXTRA_TYPE_MCAST_DEL, false);
    writeMacAddress(group, this.mcast.addr, 0);
  }

  private begin(type: number, more: boolean): void {
    this.slot.fill(0);
    this.gso.type = type;
    this.gso.flags = more ? XEN_NETIF_EXTRA_FLAG_MORE : 0;
  }
}

function violated(rule: string, found: number): never {
  throw new ProtocolViolation('read an extra info', `netif: ${rule}`, `it is ${found}`);
}
