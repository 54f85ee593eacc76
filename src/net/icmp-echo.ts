/** Echoes of ICMP (RFC 792): what `ping` asks for. */
import { internetChecksum, storeChecksum } from './checksum.ts';

export const PROTOCOL_ICMP = 1;

const ICMP_ECHO_REPLY = 0;
const ICMP_ECHO = 8;
const ICMP_HEADER_BYTES = 8;
const ICMP_CHECKSUM_OFFSET = 2;

/** The message that answers one of ICMP; `undefined` when that is no echo, or is damaged. */
export function echoReply(message: Uint8Array): Uint8Array | undefined {
  if (message.length < ICMP_HEADER_BYTES) return undefined;
  if (message[0] !== ICMP_ECHO || message[1] !== 0) return undefined;
  // With a checksum that is right, the sum over all of it is 0.
  if (internetChecksum(message) !== 0) return undefined;
  const reply = message.slice();
  reply[0] = ICMP_ECHO_REPLY;
  storeChecksum(reply, ICMP_CHECKSUM_OFFSET, 0);
  storeChecksum(reply, ICMP_CHECKSUM_OFFSET, internetChecksum(reply));
  return reply;
}
