/**
 * The Toeplitz hash of a packet's addresses, as netif.h defines it: packets of one flow have the
 * same, so they stay in order in one queue.
 */
import {
  _XEN_NETIF_CTRL_HASH_TYPE_IPV4,
  _XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP,
  _XEN_NETIF_CTRL_HASH_TYPE_IPV6,
  _XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP,
} from '../abi/io/netif.ts';
import { type PacketHeaders, PROTOCOL_TCP } from './packet-headers.ts';

/** Two IPv6 addresses and two ports. */
const INPUT_BYTES_MAX = 36;
/** More of a key than this is never used: each bit of the input shifts it by one. */
export const HASH_KEY_BYTES_MAX = INPUT_BYTES_MAX + 4;

const IPV4_SOURCE_OFFSET = 12;
const IPV6_SOURCE_OFFSET = 8;
const PORTS_BYTES = 4;

export class FlowHash {
  /** The kind of the hash calculated last: a bit number of `XEN_NETIF_CTRL_HASH_TYPE_…`. */
  type = 0;
  value = 0;
  /** What each byte of the input adds, by its place and its value. */
  private readonly table = new Uint32Array(INPUT_BYTES_MAX * 256);
  private readonly types: number;

  /**
   * @param key missing bytes are zero
   * @param types `XEN_NETIF_CTRL_HASH_TYPE_…`: which kinds are calculated
   */
  constructor(key: Uint8Array, types: number) {
    this.types = types;
    for (let place = 0; place < INPUT_BYTES_MAX; place++) {
      for (let bit = 0; bit < 8; bit++) this.addBit(place, bit, keyWord(key, place * 8 + bit));
    }
  }

  /** Calculates `type` and `value`; false for a packet of no kind that is asked for. */
  calculate(bytes: Uint8Array, headers: PacketHeaders): boolean {
    if (headers.ipVersion === 0) return false;
    const isIpv4 = headers.ipVersion === 4;
    const isTcp = headers.transport !== 0 && headers.protocol === PROTOCOL_TCP;
    const withPorts = isIpv4
      ? _XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP
      : _XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP;
    const addressesOnly = isIpv4 ? _XEN_NETIF_CTRL_HASH_TYPE_IPV4 : _XEN_NETIF_CTRL_HASH_TYPE_IPV6;
    this.type = isTcp && this.calculates(withPorts) ? withPorts : addressesOnly;
    if (!this.calculates(this.type)) return false;
    const start = headers.network + (isIpv4 ? IPV4_SOURCE_OFFSET : IPV6_SOURCE_OFFSET);
    const length = isIpv4 ? 8 : 32;
    let value = this.hashRun(bytes, start, length, 0);
    if (this.type === withPorts) {
      value ^= this.hashRun(bytes, headers.transport, PORTS_BYTES, length);
    }
    this.value = value >>> 0;
    return true;
  }

  private calculates(type: number): boolean {
    return (this.types & (1 << type)) !== 0;
  }

  /** @param place where the run stands in the input */
  private hashRun(bytes: Uint8Array, start: number, length: number, place: number): number {
    let value = 0;
    for (let index = 0; index < length; index++) {
      value ^= this.table[(place + index) * 256 + bytes[start + index]!]!;
    }
    return value;
  }

  private addBit(place: number, bit: number, word: number): void {
    const mask = 0x80 >> bit;
    for (let byte = 0; byte < 256; byte++) {
      const at = place * 256 + byte;
      if ((byte & mask) !== 0) this.table[at] = this.table[at]! ^ word;
    }
  }
}

/** The 32 bits of the key from bit number `start` on. */
function keyWord(key: Uint8Array, start: number): number {
  const at = start >> 3;
  const shift = start & 7;
  const byte = (index: number) => key[index] ?? 0;
  const word = (byte(at) << 24) | (byte(at + 1) << 16) | (byte(at + 2) << 8) | byte(at + 3);
  return shift === 0 ? word : (word << shift) | (byte(at + 4) >> (8 - shift));
}
