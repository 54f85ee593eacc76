/** The control ring of a network front end: tells the back end how to spread frames over queues. */
import {
  XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ,
  XEN_NETIF_CTRL_STATUS_SUCCESS,
  XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM,
  XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS,
  XEN_NETIF_CTRL_TYPE_SET_HASH_KEY,
  XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING,
  XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE,
  XenNetifCtrlRequest,
  XenNetifCtrlResponse,
} from '../abi/io/netif.ts';
import type { Clock } from '../base/clock.ts';
import { ProtocolViolation, XenError } from '../base/errors.ts';
import { Holdings } from '../base/holdings.ts';
import type { DomId } from '../base/ids.ts';
import type { EventChannel, Hypervisor, SharedPages } from '../hypervisor/contract.ts';
import { FrontRing } from '../ring/front-ring.ts';
import { SignalAllowance } from '../ring/signal-allowance.ts';

const controlMessages = { request: XenNetifCtrlRequest, response: XenNetifCtrlResponse };

export interface HashConfiguration {
  /** 40 bytes at most. */
  readonly key: Uint8Array;
  /** `XEN_NETIF_CTRL_HASH_TYPE_…`: which kinds of hash to calculate. */
  readonly types: number;
  /** The number of a queue for each hash modulo the table's length; at most 128 entries. */
  readonly mapping?: readonly number[];
}

export interface FrontControlParts {
  readonly hypervisor: Hypervisor;
  readonly clock: Clock;
  readonly peer: DomId;
  /** The back end broke a rule: the device is over. */
  readonly onViolation: (error: unknown) => void;
}

export class FrontControl {
  private readonly parts: FrontControlParts;
  private readonly held = new Holdings();
  private readonly ringPages: SharedPages;
  /** For keys and tables. */
  private readonly argumentPages: SharedPages;
  private readonly channel: EventChannel;
  private readonly ring: FrontRing;
  private readonly requestBytes = new Uint8Array(XenNetifCtrlRequest.size);
  private readonly request = XenNetifCtrlRequest.view(this.requestBytes);
  private readonly responseBytes = new Uint8Array(XenNetifCtrlResponse.size);
  private readonly response = XenNetifCtrlResponse.view(this.responseBytes);
  private nextId = 0;
  /** The request under way: there is one at a time. */
  private asked: { type: number; id: number; done: (status: number) => void } | undefined;
  private failed = false;

  /** Shares a ring with the back end. Throws ENOSPC when this domain cannot. */
  constructor(parts: FrontControlParts) {
    const { hypervisor, clock, peer } = parts;
    this.parts = parts;
    try {
      this.ringPages = this.held.keep(hypervisor.grants.share(peer, 1, 'read-write'));
      this.argumentPages = this.held.keep(hypervisor.grants.share(peer, 1, 'read'));
      this.channel = this.held.keep(hypervisor.events.allocateUnbound(peer));
    } catch (error) {
      this.held.close();
      throw error;
    }
    this.ring = new FrontRing(this.ringPages.bytes, controlMessages);
    const allowance = new SignalAllowance(this.channel, clock);
    this.channel.onEvent(() => {
      const hadNothing = this.takeResponses() === 0;
      if (!this.failed) allowance.spend(hadNothing);
    });
  }

  /** Where the back end finds the ring. */
  keys(): Record<string, string> {
    return {
      'ctrl-ring-ref': String(this.ringPages.refs[0]),
      'event-channel-ctrl': String(this.channel.port),
    };
  }

  /** Rejects with ENOTSUP when the back end refuses a part of it. */
  async configure({ key, types, mapping = [] }: HashConfiguration): Promise<void> {
    const ref = this.argumentPages.refs[0]!;
    const page = this.argumentPages.bytes;
    const toeplitz = XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ;
    await this.ask(XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM, toeplitz);
    page.set(key);
    await this.ask(XEN_NETIF_CTRL_TYPE_SET_HASH_KEY, ref, key.length);
    await this.ask(XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE, mapping.length);
    const table = new DataView(page.buffer, page.byteOffset, page.length);
    mapping.forEach((queue, index) => {
      table.setUint32(index * 4, queue, true);
    });
    if (mapping.length > 0) {
      await this.ask(XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING, ref, mapping.length);
    }
    await this.ask(XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS, types);
  }

  /** Lets go of the ring. A request under way is never answered. */
  close(): void {
    this.failed = true;
    this.asked = undefined;
    this.held.close();
  }

  private async ask(type: number, ...data: number[]): Promise<void> {
    const status = await new Promise<number>((resolve) => {
      const id = this.nextId++ & 0xffff;
      this.asked = { type, id, done: resolve };
      this.request.id = id;
      this.request.type = type;
      this.request.argument0 = data[0] ?? 0;
      this.request.argument1 = data[1] ?? 0;
      this.request.argument2 = data[2] ?? 0;
      this.ring.putRequest(this.requestBytes);
      if (this.ring.pushRequests()) this.channel.notify();
    });
    if (status === XEN_NETIF_CTRL_STATUS_SUCCESS) return;
    throw new XenError('ENOTSUP', `configure hashes by request ${type}`, `status ${status}`);
  }

  /** Returns how many came. */
  private takeResponses(): number {
    if (this.failed) return 0;
    let taken = 0;
    try {
      do {
        for (let count = this.ring.unconsumedResponses(); count > 0; count--, taken++) {
          this.takeResponse();
        }
      } while (this.ring.finalCheckForResponses());
    } catch (error) {
      this.failed = true;
      this.parts.onViolation(error);
    }
    return taken;
  }

  private takeResponse(): void {
    this.ring.takeResponse(this.responseBytes);
    const { id, type, status } = this.response;
    const asked = this.asked;
    if (asked === undefined || asked.id !== id || asked.type !== type) {
      throw new ProtocolViolation(
        'read a control response',
        'netif: a response has the id and the type of the request under way',
        `id ${id}, type ${type}`,
      );
    }
    this.asked = undefined;
    asked.done(status);
  }
}
