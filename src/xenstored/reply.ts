/** What a request is answered with. */
import { XS_DIRECTORY_PART, XS_ERROR } from '../abi/io/xs_wire.ts';
import { latin1Decode } from '../base/bytes.ts';
import { errorMessage, XenError } from '../base/errors.ts';
import { encodeError } from '../xenstore/packet.ts';
import type { Connection } from './connection.ts';
import type { Services } from './request.ts';

export interface Reply {
  /** That of the request, or `XS_ERROR`. */
  readonly type: number;
  readonly payload: Uint8Array;
}

/**
 * The reply for what was thrown while a request was worked on. What is wrong with a request is told
 * to whoever sent it; what is wrong with us, to the operator too.
 */
export function errorReply(error: unknown, connection: Connection, services: Services): Reply {
  if (error instanceof XenError) return { type: XS_ERROR, payload: encodeError(error.code) };
  services.log.error(`a request of ${connection.name} failed: ${errorMessage(error)}`);
  return { type: XS_ERROR, payload: encodeError('EIO') };
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
