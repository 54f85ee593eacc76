/** What a request is answered with. */
import { XS_DIRECTORY_PART } from '../abi/io/xs_wire.ts';
import { latin1Decode } from '../base/bytes.ts';
import type { Packet } from '../xenstore/packet.ts';

export interface Reply {
  /** That of the request, or `XS_ERROR`. */
  readonly type: number;
  readonly payload: Uint8Array;
}

/** A request about nodes in a transaction, and what it was answered. */
export interface RecordedRequest {
  readonly packet: Packet;
  readonly reply: Reply;
}

/** Whether two replies to the same request tell the client the same. */
export function sameReply(one: Reply, other: Reply): boolean {
  if (one.type !== other.type) return false;
  return one.payload === other.payload || told(one) === told(other);
}

/** What a reply tells: of a part of a directory its names, but not how often the node has changed. */
function told({ type, payload }: Reply): string {
  return latin1Decode(payload, type === XS_DIRECTORY_PART ? payload.indexOf(0) : 0);
}
