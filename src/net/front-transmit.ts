/** What a front end transmits: copies frames into pages that it shares, and puts them into one ring. */
import {
  NETIF_RSP_NULL,
  NETIF_RSP_OKAY,
  NETTXF_csum_blank,
  NETTXF_data_validated,
  NETTXF_extra_info,
  NETTXF_more_data,
  NetifTxRequest,
  NetifTxResponse,
} from '../abi/io/netif.ts';
import { ProtocolViolation } from '../base/errors.ts';
import { PAGE_SIZE } from '../hypervisor/contract.ts';
import type { FrontPage, FrontPages } from '../ring/front-pages.ts';
import { FrontRing } from '../ring/front-ring.ts';
import { ExtraInfoWriter } from './extra-info.ts';
import { ETHERNET_HEADER_BYTES, type Frame } from './frame.ts';
import type { MacAddress } from './mac-address.ts';
import type { InterfaceCounts } from './network-interface.ts';

const transmitMessages = { request: NetifTxRequest, response: NetifTxResponse };

export interface FrontTransmitParts {
  /** The ring's page. */
  readonly memory: Uint8Array;
  /** For the frames; shared with the other queues of the device. */
  readonly pages: FrontPages;
  readonly counts: InterfaceCounts;
}

/** A slot that the back end has not answered. */
interface Slot {
  readonly id: number;
  /** One page, while the slot is in use. */
  readonly pages: FrontPage[];
  /** Bytes of the packet whose first slot it is; 0 for a later one. */
  packetBytes: number;
}

export class FrontTransmit {
  private readonly parts: FrontTransmitParts;
  private readonly ring: FrontRing;
  private readonly slots: readonly Slot[];
  private readonly free: Slot[];
  private readonly taken: FrontPage[] = [];
  private readonly requestBytes = new Uint8Array(NetifTxRequest.size);
  private readonly request = NetifTxRequest.view(this.requestBytes);
  private readonly extraBytes = new Uint8Array(NetifTxRequest.size);
  private readonly extra = new ExtraInfoWriter(this.extraBytes);
  private readonly responseBytes = new Uint8Array(NetifTxResponse.size);
  private readonly response = NetifTxResponse.view(this.responseBytes);

  constructor(parts: FrontTransmitParts) {
    this.parts = parts;
    this.ring = new FrontRing(parts.memory, transmitMessages);
    this.slots = Array.from({ length: this.ring.size }, (_, id) => ({
      id,
      pages: [],
      packetBytes: 0,
    }));
    this.free = [...this.slots];
  }

  /** Puts the frame into the ring; false when there is no room. The back end hears of it by `push`. */
  put(frame: Frame): boolean {
    const { bytes, checksum, gso } = frame;
    const pages = Math.ceil(bytes.length / PAGE_SIZE);
    const slots = gso === undefined ? pages : pages + 1;
    if (this.ring.free < slots || this.free.length < pages) return false;
    if (!this.parts.pages.take(pages, this.taken)) return false;
    for (let at = 0; at < bytes.length; at += PAGE_SIZE) {
      const piece = bytes.subarray(at, at + PAGE_SIZE);
      const isFirst = at === 0;
      const more = at + PAGE_SIZE < bytes.length ? NETTXF_more_data : 0;
      const first = isFirst
        ? checksumFlags(checksum) | (gso === undefined ? 0 : NETTXF_extra_info)
        : 0;
      this.putPiece(piece, isFirst ? bytes.length : piece.length, more | first, isFirst);
      if (isFirst && gso !== undefined) {
        this.extra.writeGso(gso, false);
        this.ring.putRequest(this.extraBytes);
      }
    }
    return true;
  }

  /** Asks for frames to a group, or for no more of them; false when there is no room. */
  putMulticast(group: MacAddress, joined: boolean): boolean {
    if (this.ring.free < 2 || this.free.length === 0) return false;
    if (!this.parts.pages.take(1, this.taken)) return false;
    // A packet of its own, which goes no further.
    const header = new Uint8Array(ETHERNET_HEADER_BYTES);
    this.putPiece(header, header.length, NETTXF_extra_info, false);
    this.extra.writeMulticast(group, joined);
    this.ring.putRequest(this.extraBytes);
    return true;
  }

  /** Publishes what was put; true when the back end is to be notified. */
  push(): boolean {
    return this.ring.pushRequests();
  }

  /** Takes the responses that have come; returns how many. Throws when one cannot be. */
  serve(): number {
    let taken = 0;
    do {
      for (let count = this.ring.unconsumedResponses(); count > 0; count--, taken++) {
        this.takeResponse();
      }
    } while (this.ring.finalCheckForResponses());
    return taken;
  }

  private putPiece(piece: Uint8Array, size: number, flags: number, isFirst: boolean): void {
    const slot = this.free.pop()!;
    const page = this.taken.pop()!;
    page.bytes.set(piece);
    slot.pages.push(page);
    slot.packetBytes = isFirst ? size : 0;
    this.request.gref = page.ref;
    this.request.offset = 0;
    this.request.flags = flags;
    this.request.id = slot.id;
    this.request.size = size;
    this.ring.putRequest(this.requestBytes);
  }

  private takeResponse(): void {
    this.ring.takeResponse(this.responseBytes);
    const { id, status } = this.response;
    if (status === NETIF_RSP_NULL) return;
    const slot = this.slots[id];
    if (slot === undefined || slot.pages.length === 0) {
      throw new ProtocolViolation(
        'read a transmit response',
        'netif: a response has the id of a request under way',
        `id ${id}`,
      );
    }
    const { sent } = this.parts.counts;
    if (status !== NETIF_RSP_OKAY) {
      if (slot.packetBytes > 0) sent.dropped.refused++;
    } else if (slot.packetBytes > 0) {
      sent.frames++;
      sent.bytes += slot.packetBytes;
    }
    this.parts.pages.give(slot.pages);
    this.free.push(slot);
  }
}

function checksumFlags(checksum: Frame['checksum']): number {
  if (checksum === 'blank') return NETTXF_csum_blank | NETTXF_data_validated;
  return checksum === 'validated' ? NETTXF_data_validated : 0;
}
