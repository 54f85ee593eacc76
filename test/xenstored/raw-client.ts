/** A client that sends any packet, right or wrong, and keeps all that comes back. */
import { XS_ERROR, XS_WATCH_EVENT, XS_WRITE } from '../../src/abi/io/xs_wire.ts';
import type { ByteStream } from '../../src/base/byte-stream.ts';
import { latin1Decode, latin1Encode } from '../../src/base/bytes.ts';
import { operationName, type Packet } from '../../src/xenstore/packet.ts';
import { PacketStream } from '../../src/xenstore/packet-stream.ts';

/** As a person reads it: `READ 0 value`, NUL as `|`. */
export function describePacket(packet: Packet): string {
  const text = latin1Decode(packet.payload).replace(/\0/g, '|');
  return `${operationName(packet.type)} ${packet.transactionId} ${text}`;
}

export class RawClient {
  readonly stream: ByteStream;
  /** What came and was not taken yet, oldest first. */
  readonly received: Packet[] = [];
  /** While true nothing is read, so that what is sent here piles up at the other side. */
  deaf = false;
  private readonly packets: PacketStream;
  private lastRequestId = 0;

  constructor(stream: ByteStream) {
    this.stream = stream;
    this.packets = new PacketStream(stream);
    this.packets.onReady(() => this.pump());
  }

  /** Sends a request and returns its number; NUL in `payload` is written `|`. */
  send(type: number, payload: string, transactionId = 0): number {
    return this.sendBytes(type, latin1Encode(payload.replace(/\|/g, '\0')), transactionId);
  }

  sendBytes(type: number, payload: Uint8Array, transactionId = 0): number {
    const requestId = ++this.lastRequestId;
    this.packets.send({ type, requestId, transactionId, payload });
    this.packets.flush();
    return requestId;
  }

  write(path: string, value: string, transactionId = 0): number {
    return this.send(XS_WRITE, `${path}|${value}`, transactionId);
  }

  pump(): void {
    this.packets.flush();
    if (this.deaf) return;
    for (let packet = this.packets.receive(); packet; packet = this.packets.receive()) {
      this.received.push(packet);
    }
  }

  /** Takes what came: the reply to the last request, without its type, and the events before. */
  take(): { reply: string | undefined; events: string[] } {
    const packets = this.received.splice(0);
    const text = ({ type, payload }: Packet) => {
      const shown = latin1Decode(payload).replace(/\0/g, '|');
      return type === XS_ERROR ? `!${shown.slice(0, -1)}` : shown;
    };
    const replies = packets.filter(({ type }) => type !== XS_WATCH_EVENT);
    const last = replies[replies.length - 1];
    return {
      reply: last === undefined ? undefined : text(last),
      events: packets.filter(({ type }) => type === XS_WATCH_EVENT).map(text),
    };
  }
}
