/** What waits to be sent to a client, as a value. */
import { HEADER_SIZE, type Packet } from '../xenstore/packet.ts';
import type { OutputState } from './state.ts';

/** Bytes of a packet on the wire. */
export const packetSize = (packet: Packet) => HEADER_SIZE + packet.payload.length;

/** Bytes of the output that are not sent yet. */
export function outputLength(output: readonly OutputState[]): number {
  return output.reduce((sum, { packet, sent }) => sum + packetSize(packet) - sent, 0);
}

/** The output without the first `bytes` of those that are not sent yet. */
export function skipOutput(output: readonly OutputState[], bytes: number): OutputState[] {
  const rest: OutputState[] = [];
  let skip = bytes;
  for (const item of output) {
    const size = packetSize(item.packet) - item.sent;
    if (skip < size) rest.push({ ...item, sent: item.sent + skip });
    skip = Math.max(0, skip - size);
  }
  return rest;
}
