/** A vchan and another stream as one: what comes from either goes to the other. */
import type { ByteStream } from '../base/byte-stream.ts';
import type { Clock } from '../base/clock.ts';
import type { XenError } from '../base/errors.ts';
import { joinStreams } from '../base/join-streams.ts';
import type { Vchan } from './vchan.ts';

/**
 * Joins them until either ends, then closes both; they belong to the joint from here on. What a
 * vchan's peer has sent is written to `other` before that is closed, and what `other` has sent is
 * read by the peer before the vchan is: libxenvchan's proxy drops what it has not read by then.
 * Resolves with the reason when the vchan's peer broke a rule.
 */
export async function join(
  vchan: Vchan,
  other: ByteStream,
  clock: Clock,
): Promise<XenError | undefined> {
  await joinStreams(vchan, other, clock, { isDelivered: () => vchan.unread === 0 });
  return vchan.error;
}
