/** The other end of a client's connection, played packet by packet by a test. */
import { XS_ERROR, XS_WATCH_EVENT } from '../../src/abi/io/xs_wire.ts';
import { latin1Decode, latin1Encode } from '../../src/base/bytes.ts';
import { encodeStrings, operationName, type Packet } from '../../src/xenstore/packet.ts';
import { PacketStream } from '../../src/xenstore/packet-stream.ts';
import type { PipeEnd } from './pipe.ts';

/** Answers one request: with a payload, with an error's name as `!ENOENT`, or not at all. */
export type Script = (request: {
  name: string;
  text: string;
  packet: Packet;
}) => string | undefined;

export class FakeServer {
  /** Every request that came: `3:READ /a\0`, with the transaction first. */
  readonly requests: string[] = [];
  private readonly packets: PacketStream;
  private readonly script: Script;

  constructor(end: PipeEnd, script: Script) {
    this.script = script;
    this.packets = new PacketStream(end);
    this.packets.onReady(() => this.serve());
  }

  event(path: string, token: string): void {
    this.send({
      type: XS_WATCH_EVENT,
      requestId: 0,
      transactionId: 0,
      payload: encodeStrings(path, token),
    });
  }

  send(packet: Packet): void {
    this.packets.send(packet);
    this.packets.flush();
  }

  private serve(): void {
    this.packets.flush();
    for (let packet = this.packets.receive(); packet; packet = this.packets.receive()) {
      const name = operationName(packet.type);
      const text = latin1Decode(packet.payload);
      this.requests.push(`${packet.transactionId}:${name} ${text}`);
      const answer = this.script({ name, text, packet });
      if (answer === undefined) continue;
      const failed = answer.startsWith('!');
      this.send({
        type: failed ? XS_ERROR : packet.type,
        requestId: packet.requestId,
        transactionId: packet.transactionId,
        payload: latin1Encode(failed ? `${answer.slice(1)}\0` : answer),
      });
    }
  }
}
