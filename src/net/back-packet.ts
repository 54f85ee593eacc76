/**
 * A packet that a guest transmits: its slots copied out of the ring once and checked as a whole, and
 * from then on only the copy counts (XSA-155). What it may say is in xen/include/public/io/netif.h.
 *
 * Where a packet ends must be clear: when it is not, all that follows is not either, and the device
 * fails. A packet that ends somewhere and is wrong otherwise is refused, and the next one is read.
 */
import {
  NETTXF_csum_blank,
  NETTXF_data_validated,
  NETTXF_extra_info,
  NETTXF_more_data,
  NetifTxRequest,
  XEN_NETIF_NR_SLOTS_MIN,
} from '../abi/io/netif.ts';
import { ProtocolViolation } from '../base/errors.ts';
import { type GrantRef, grantRef } from '../base/ids.ts';
import { PAGE_SIZE } from '../hypervisor/contract.ts';
import type { BackRing } from '../ring/back-ring.ts';
import { EXTRA_INFOS_MAX, ExtraInfos } from './extra-info.ts';
import { type ChecksumState, ETHERNET_HEADER_BYTES, type GrantedFragment } from './frame.ts';

/** A packet of more than `XEN_NETIF_NR_SLOTS_MIN` slots after the first is refused, of this many never ends. */
const FURTHER_SLOTS_MAX = 2 * XEN_NETIF_NR_SLOTS_MIN;
const SLOTS_MAX = 1 + EXTRA_INFOS_MAX + FURTHER_SLOTS_MAX;

interface Fragment extends GrantedFragment {
  ref: GrantRef;
  offset: number;
  length: number;
}

/** The packet read last: made once and filled again and again. */
export class BackPacket {
  /** Bytes of the whole packet. */
  length = 0;
  checksum: ChecksumState = 'unknown';
  readonly extras: ExtraInfos;
  /** The ids of its slots, in order, with those of extra infos, which mean nothing. */
  readonly ids = new Uint16Array(SLOTS_MAX);
  slotCount = 0;
  /** Of these, how many after the first are extra infos. */
  extraCount = 0;
  /** The first `fragmentCount` are this packet's. */
  readonly fragments: readonly Fragment[];
  fragmentCount = 0;
  private readonly slot = new Uint8Array(NetifTxRequest.size);
  private readonly request = NetifTxRequest.view(this.slot);
  /** Requests in the ring that are counted and not taken. */
  private available = 0;
  private invalidExtra: unknown;

  constructor() {
    this.extras = new ExtraInfos(this.slot);
    this.fragments = Array.from({ length: 1 + FURTHER_SLOTS_MAX }, () => ({
      ref: grantRef(0),
      offset: 0,
      length: 0,
    }));
  }

  /**
   * Where in a page of ours the packet is to begin, so that its second fragment lies there as in the
   * guest's page: after headers, fragments mostly are whole pages.
   */
  get pageOffset(): number {
    if (this.fragmentCount < 2) return 0;
    const [headers, body] = this.fragments as readonly [Fragment, Fragment];
    return (body.offset - headers.length + PAGE_SIZE) % PAGE_SIZE;
  }

  /**
   * Takes the next packet from the ring, which has `available` requests, 1 or more. Returns what is
   * wrong with it, undefined when nothing is. Throws `ProtocolViolation` when it does not end.
   */
  take(ring: BackRing, available: number): unknown {
    this.available = available;
    this.slotCount = 0;
    this.extraCount = 0;
    this.fragmentCount = 0;
    this.extras.clear();
    this.invalidExtra = undefined;
    this.takeSlot(ring);
    const { flags } = this.request;
    this.length = this.request.size;
    this.checksum = checksumState(flags);
    this.addFragment();
    if ((flags & NETTXF_extra_info) !== 0) this.takeExtras(ring);
    if ((flags & NETTXF_more_data) !== 0) this.takeFragments(ring);
    try {
      if (this.invalidExtra !== undefined) throw this.invalidExtra;
      this.check();
    } catch (error) {
      this.fragmentCount = 0;
      return error;
    }
    return undefined;
  }

  private takeSlot(ring: BackRing): void {
    if (this.available === 0) {
      violated('a packet is published as a whole', `${this.slotCount} slots of one with more`);
    }
    this.available--;
    ring.takeRequest(this.slot);
    this.ids[this.slotCount++] = this.request.id;
  }

  private takeExtras(ring: BackRing): void {
    do {
      if (this.extraCount === EXTRA_INFOS_MAX) {
        violated(`a packet has at most ${EXTRA_INFOS_MAX} extra infos`, 'there are more');
      }
      this.takeSlot(ring);
      this.extraCount++;
      try {
        this.extras.take();
      } catch (error) {
        this.invalidExtra ??= error;
      }
    } while (this.extras.more);
  }

  private takeFragments(ring: BackRing): void {
    do {
      if (this.fragmentCount > FURTHER_SLOTS_MAX) {
        violated(`a packet has at most ${FURTHER_SLOTS_MAX} further slots`, 'there are more');
      }
      this.takeSlot(ring);
      this.addFragment();
    } while ((this.request.flags & NETTXF_more_data) !== 0);
  }

  private addFragment(): void {
    const fragment = this.fragments[this.fragmentCount++]!;
    fragment.ref = grantRef(this.request.gref);
    fragment.offset = this.request.offset;
    fragment.length = this.request.size;
  }

  private check(): void {
    const { length, fragments, fragmentCount } = this;
    if (fragmentCount > 1 + XEN_NETIF_NR_SLOTS_MIN) {
      violated(`a packet has at most ${XEN_NETIF_NR_SLOTS_MIN} further slots`, fragmentCount - 1);
    }
    if (length < ETHERNET_HEADER_BYTES) {
      violated(`a packet has ${ETHERNET_HEADER_BYTES} bytes or more`, length);
    }
    // The first slot says how long the packet is, and has what the others leave.
    const first = fragments[0]!;
    for (let index = 1; index < fragmentCount; index++) first.length -= fragments[index]!.length;
    if (first.length < 0) violated('the slots of a packet add up to its size', length);
    for (let index = 0; index < fragmentCount; index++) {
      const fragment = fragments[index]!;
      const end = fragment.offset + fragment.length;
      if (end > PAGE_SIZE) violated('a slot lies within its page', `one up to byte ${end}`);
    }
  }
}

function checksumState(flags: number): ChecksumState {
  if ((flags & NETTXF_csum_blank) !== 0) return 'blank';
  return (flags & NETTXF_data_validated) !== 0 ? 'validated' : 'unknown';
}

function violated(rule: string, found: number | string): never {
  throw new ProtocolViolation('read a packet', `netif: ${rule}`, `found ${found}`);
}
