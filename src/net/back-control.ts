/**
 * The control ring, through which a guest configures how frames are spread over its queues. Each
 * request is checked against what is there; one that does not fit changes nothing (XSA-270).
 */
import {
  XEN_NETIF_CTRL_HASH_ALGORITHM_NONE,
  XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ,
  XEN_NETIF_CTRL_STATUS_BUFFER_OVERFLOW,
  XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER,
  XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED,
  XEN_NETIF_CTRL_STATUS_SUCCESS,
  XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS,
  XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE,
  XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM,
  XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS,
  XEN_NETIF_CTRL_TYPE_SET_HASH_KEY,
  XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING,
  XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE,
  XenNetifCtrlRequest,
  XenNetifCtrlResponse,
} from '../abi/io/netif.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { type DomId, grantRef } from '../base/ids.ts';
import {
  type CopyBatch,
  type EventChannel,
  type GrantTable,
  PAGE_SIZE,
} from '../hypervisor/contract.ts';
import { BackRing } from '../ring/back-ring.ts';
import { SignalAllowance } from '../ring/signal-allowance.ts';
import { HASH_KEY_BYTES_MAX } from './flow-hash.ts';
import { HASH_TYPES, MAPPING_ENTRIES_MAX, type Steering } from './steering.ts';

const ENTRY_BYTES = 4;
/** Requests answered before other events have their turn. */
const REQUESTS_MAX = 16;

const controlMessages = { request: XenNetifCtrlRequest, response: XenNetifCtrlResponse };

export interface BackControlParts {
  /** The ring's page. */
  readonly memory: Uint8Array;
  readonly channel: EventChannel;
  readonly grants: GrantTable;
  readonly peer: DomId;
  readonly clock: Clock;
  readonly steering: Steering;
  readonly onViolation: (error: unknown) => void;
}

export class BackControl {
  private readonly parts: BackControlParts;
  private readonly ring: BackRing;
  private readonly allowance: SignalAllowance;
  private readonly copies: CopyBatch;
  private readonly page = new Uint8Array(PAGE_SIZE);
  private readonly requestBytes = new Uint8Array(XenNetifCtrlRequest.size);
  private readonly request = XenNetifCtrlRequest.view(this.requestBytes);
  private readonly responseBytes = new Uint8Array(XenNetifCtrlResponse.size);
  private readonly response = XenNetifCtrlResponse.view(this.responseBytes);
  private later: Timer | undefined;
  private stopped = false;

  constructor(parts: BackControlParts) {
    this.parts = parts;
    this.ring = new BackRing(parts.memory, controlMessages);
    this.allowance = new SignalAllowance(parts.channel, parts.clock);
    this.copies = parts.grants.copyBatch(1);
  }

  start(): void {
    this.parts.channel.onEvent(() => {
      const mayTake = !this.stopped && this.later === undefined;
      this.allowance.spend(!mayTake || this.takeTurn() === 0);
    });
    this.parts.channel.notify();
  }

  close(): void {
    this.stopped = true;
    this.later?.cancel();
  }

  /** Returns how many requests came. */
  private takeTurn(): number {
    let taken = 0;
    try {
      while (this.ring.unconsumedRequests() > 0 || this.ring.finalCheckForRequests()) {
        if (taken === REQUESTS_MAX) {
          this.later = this.parts.clock.after(0, () => {
            this.later = undefined;
            this.takeTurn();
          });
          break;
        }
        this.ring.takeRequest(this.requestBytes);
        this.answer();
        taken++;
      }
    } catch (error) {
      this.stopped = true;
      this.parts.onViolation(error);
    }
    if (this.ring.wantsNotification()) this.parts.channel.notify();
    return taken;
  }

  private answer(): void {
    const { request, response } = this;
    response.id = request.id;
    response.type = request.type;
    response.result = 0;
    response.status = this.perform();
    this.ring.putResponse(this.responseBytes);
  }

  /** Returns a `XEN_NETIF_CTRL_STATUS_…`. */
  private perform(): number {
    const { steering } = this.parts;
    const { type, argument0, argument1, argument2 } = this.request;
    switch (type) {
      case XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM:
        return this.setAlgorithm(argument0);
      case XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS:
        if (!steering.usesToeplitz) return XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED;
        this.response.result = HASH_TYPES;
        return XEN_NETIF_CTRL_STATUS_SUCCESS;
      case XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS:
        if (!steering.usesToeplitz) return XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED;
        if ((argument0 & ~HASH_TYPES) !== 0) return XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
        steering.setTypes(argument0);
        return XEN_NETIF_CTRL_STATUS_SUCCESS;
      case XEN_NETIF_CTRL_TYPE_SET_HASH_KEY:
        return this.setKey(argument0, argument1);
      case XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE:
        this.response.result = MAPPING_ENTRIES_MAX;
        return XEN_NETIF_CTRL_STATUS_SUCCESS;
      case XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE:
        if (argument0 > MAPPING_ENTRIES_MAX) return XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
        steering.setMappingSize(argument0);
        return XEN_NETIF_CTRL_STATUS_SUCCESS;
      case XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING:
        return this.setMapping(argument0, argument1, argument2);
      default:
        return XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED;
    }
  }

  private setAlgorithm(algorithm: number): number {
    const toeplitz = algorithm === XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ;
    if (!toeplitz && algorithm !== XEN_NETIF_CTRL_HASH_ALGORITHM_NONE) {
      return XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
    }
    this.parts.steering.setAlgorithm(toeplitz);
    return XEN_NETIF_CTRL_STATUS_SUCCESS;
  }

  private setKey(ref: number, size: number): number {
    if (size > HASH_KEY_BYTES_MAX) return XEN_NETIF_CTRL_STATUS_BUFFER_OVERFLOW;
    const key = this.page.subarray(0, size);
    if (!this.fetch(ref, key)) return XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
    this.parts.steering.setKey(key);
    return XEN_NETIF_CTRL_STATUS_SUCCESS;
  }

  private setMapping(ref: number, count: number, offset: number): number {
    const { steering } = this.parts;
    // These are numbers of up to 32 bits each: their sum is exact here, and overflows nothing.
    if (count > PAGE_SIZE / ENTRY_BYTES || offset + count > steering.mappingSize) {
      return XEN_NETIF_CTRL_STATUS_BUFFER_OVERFLOW;
    }
    const bytes = this.page.subarray(0, count * ENTRY_BYTES);
    if (!this.fetch(ref, bytes)) return XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const entries = Uint32Array.from({ length: count }, (_, index) =>
      view.getUint32(index * ENTRY_BYTES, true),
    );
    if (entries.some((queue) => queue >= steering.queues)) {
      return XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
    }
    steering.setMapping(entries, offset);
    return XEN_NETIF_CTRL_STATUS_SUCCESS;
  }

  /** Copies the beginning of a page of the guest's; false when the grant is no good. */
  private fetch(ref: number, target: Uint8Array): boolean {
    if (target.length === 0) return true;
    this.copies.fromPeer(this.parts.peer, grantRef(ref), 0, target);
    return this.copies.run() === 0;
  }
}
