/** Which of a device's queues a frame goes to: as the other end has configured it, or by a hash of our own. */
import {
  XEN_NETIF_CTRL_HASH_TYPE_IPV4,
  XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP,
  XEN_NETIF_CTRL_HASH_TYPE_IPV6,
  XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP,
} from '../abi/io/netif.ts';
import { FlowHash } from './flow-hash.ts';
import type { FrameHash } from './frame.ts';
import { PacketHeaders } from './packet-headers.ts';

/** Kinds of hash that can be asked for. */
export const HASH_TYPES =
  XEN_NETIF_CTRL_HASH_TYPE_IPV4 |
  XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP |
  XEN_NETIF_CTRL_HASH_TYPE_IPV6 |
  XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP;
/** As in Linux's netback. */
export const MAPPING_ENTRIES_MAX = 128;

/**
 * The key of our own hash, any one that does not repeat itself. It is the same in every process, so
 * that a flow stays in its queue when another one takes over.
 */
const OWN_KEY = Uint8Array.from({ length: 40 }, (_, index) => (index * 167 + 73) & 0xff);

export class Steering {
  /** The hash of the frame last chosen for, when the other end has asked for hashes. */
  hash: FrameHash | undefined;
  readonly queues: number;
  private algorithmChosen = false;
  private types = 0;
  private key = new Uint8Array(0);
  private mapping = new Uint32Array(0);
  private readonly own: FlowHash;
  private configured: FlowHash | undefined;
  private readonly headers = new PacketHeaders();

  constructor(queues: number) {
    this.queues = queues;
    this.own = new FlowHash(OWN_KEY, HASH_TYPES);
  }

  /** The number of the queue. What is no IP goes to the first. */
  choose(bytes: Uint8Array): number {
    this.hash = undefined;
    const { configured } = this;
    if (configured === undefined && this.queues === 1) return 0;
    this.headers.locate(bytes);
    const hash = configured ?? this.own;
    if (!hash.calculate(bytes, this.headers)) return 0;
    if (configured === undefined) return hash.value % this.queues;
    this.hash = { type: hash.type, value: hash.value };
    const { mapping } = this;
    if (mapping.length === 0) return hash.value % this.queues;
    return mapping[hash.value % mapping.length]!;
  }

  get usesToeplitz(): boolean {
    return this.algorithmChosen;
  }

  /** @param toeplitz false for no hash, which forgets everything else too */
  setAlgorithm(toeplitz: boolean): void {
    this.algorithmChosen = toeplitz;
    if (!toeplitz) {
      this.types = 0;
      this.key = new Uint8Array(0);
      this.mapping = new Uint32Array(0);
    }
    this.configure();
  }

  setTypes(types: number): void {
    this.types = types;
    this.configure();
  }

  setKey(key: Uint8Array): void {
    this.key = key.slice();
    this.configure();
  }

  /** A table of `entries` zeros. */
  setMappingSize(entries: number): void {
    this.mapping = new Uint32Array(entries);
  }

  get mappingSize(): number {
    return this.mapping.length;
  }

  /** Each entry is the number of a queue, and all lie within the table. */
  setMapping(entries: Uint32Array, offset: number): void {
    this.mapping.set(entries, offset);
  }

  private configure(): void {
    const asked = this.algorithmChosen && this.types !== 0;
    this.configured = asked ? new FlowHash(this.key, this.types) : undefined;
  }
}
