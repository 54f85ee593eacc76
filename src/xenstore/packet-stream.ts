/** Packets over a byte stream: what a connection to xenstored is, seen from either end. */
import { XsdSockmsg } from '../abi/io/xs_wire.ts';
import type { ByteStream } from '../base/byte-stream.ts';
import { joinBytes } from '../base/bytes.ts';
import { ProtocolViolation } from '../base/errors.ts';
import { HEADER_SIZE, operationName, PAYLOAD_MAX, type Packet, PacketWriter } from './packet.ts';

/** Room for the largest packet; the queue starts with this and doubles when it must. */
const QUEUE_CAPACITY_MIN = HEADER_SIZE + PAYLOAD_MAX;
/** An empty queue that has grown above this gives its memory back. */
const QUEUE_CAPACITY_KEPT = 16 * QUEUE_CAPACITY_MIN;

const NO_BYTES = new Uint8Array(0);

export class PacketStream {
  private readonly stream: ByteStream;

  private readonly headerBytes = new Uint8Array(HEADER_SIZE);
  private readonly header = XsdSockmsg.view(this.headerBytes);
  private headerFilled = 0;
  /** Present once the header is whole and says how long the payload is. */
  private payload: Uint8Array | undefined;
  private payloadFilled = 0;
  /** Bytes that were received elsewhere and come before those of the stream. */
  private early: Uint8Array = NO_BYTES;

  private queue = new Uint8Array(QUEUE_CAPACITY_MIN);
  private writer = new PacketWriter(this.queue);
  private queueStart = 0;
  private queueEnd = 0;
  /** The start of the queue as it was sent last: replies of one client are often of one size. */
  private window: Uint8Array = NO_BYTES;

  constructor(stream: ByteStream) {
    this.stream = stream;
  }

  /**
   * The next packet that has arrived whole, or `undefined`. Only as many bytes are taken from the
   * stream as that packet has, so whoever stops calling holds the peer back. Throws
   * `ProtocolViolation` on a length that no packet may have; the stream is of no use after that.
   */
  receive(): Packet | undefined {
    if (this.payload === undefined) {
      const { headerBytes, headerFilled } = this;
      const missing = headerFilled === 0 ? headerBytes : headerBytes.subarray(headerFilled);
      this.headerFilled += this.take(missing);
      if (this.headerFilled < HEADER_SIZE) return undefined;
      const { len } = this.header;
      // Before any memory is set aside: XSA-420 is a length of a gigabyte.
      if (len > PAYLOAD_MAX) {
        throw new ProtocolViolation(
          `receive ${operationName(this.header.type)}`,
          'xenstore: len <= XENSTORE_PAYLOAD_MAX',
          `len is ${len}, the limit ${PAYLOAD_MAX}`,
        );
      }
      this.payload = new Uint8Array(len);
    }
    const { payload } = this;
    if (this.payloadFilled < payload.length) {
      const { payloadFilled } = this;
      const missing = payloadFilled === 0 ? payload : payload.subarray(payloadFilled);
      this.payloadFilled += this.take(missing);
      if (this.payloadFilled < payload.length) return undefined;
    }
    const { type, req_id, tx_id } = this.header;
    this.headerFilled = 0;
    this.payload = undefined;
    this.payloadFilled = 0;
    return { type, requestId: req_id, transactionId: tx_id, payload };
  }

  /**
   * A copy of the bytes that were taken from the stream and not given out, because they are a part
   * of a packet: what a journal must keep. Bytes put back are among them.
   */
  partialInput(): Uint8Array {
    const { headerFilled, payloadFilled, early } = this;
    const bytes = new Uint8Array(headerFilled + payloadFilled + early.length);
    bytes.set(this.headerBytes.subarray(0, headerFilled));
    if (this.payload !== undefined) {
      bytes.set(this.payload.subarray(0, payloadFilled), headerFilled);
    }
    bytes.set(early, headerFilled + payloadFilled);
    return bytes;
  }

  /** Puts bytes back that were taken from this stream before; they are received before all others. */
  putBack(bytes: Uint8Array): void {
    this.early = joinBytes(bytes, this.early);
  }

  /**
   * Queues a packet; `flush` sends it. The queue has no limit of its own: whoever answers a hostile
   * peer looks at `queuedBytes` and stops receiving in time.
   */
  send(packet: Packet): void {
    this.reserve(HEADER_SIZE + packet.payload.length);
    this.queueEnd = this.writer.write(packet, this.queueEnd);
  }

  /** As `send`, for a packet of which the first bytes have been sent before. */
  sendRest(packet: Packet, sent: number): void {
    this.send(packet);
    this.queueStart += sent;
  }

  /** Bytes that `send` took and the stream has not. */
  get queuedBytes(): number {
    return this.queueEnd - this.queueStart;
  }

  /** A copy of the bytes that wait to be sent; the first packet among them may have gone in part. */
  unsentOutput(): Uint8Array {
    return this.queue.slice(this.queueStart, this.queueEnd);
  }

  /** Gives the stream what fits now. True when nothing is left; otherwise call again on ready. */
  flush(): boolean {
    while (this.queueStart < this.queueEnd) {
      const taken = this.stream.write(this.queued());
      if (taken === 0) return false;
      this.queueStart += taken;
    }
    this.queueStart = 0;
    this.queueEnd = 0;
    if (this.queue.length > QUEUE_CAPACITY_KEPT) this.use(new Uint8Array(QUEUE_CAPACITY_MIN));
    return true;
  }

  /** See `ByteStream.onReady`. */
  onReady(handler: () => void): void {
    this.stream.onReady(handler);
  }

  /** True once the peer is gone and no whole packet of its is left; part of one may be. */
  get ended(): boolean {
    return this.early.length === 0 && this.stream.ended;
  }

  /** Lets go of the stream; what is still queued is lost. Idempotent. */
  close(): void {
    this.stream.close();
  }

  private take(target: Uint8Array): number {
    const { early } = this;
    if (early.length === 0) return this.stream.read(target);
    const length = Math.min(early.length, target.length);
    target.set(early.subarray(0, length));
    this.early = early.subarray(length);
    return length === target.length ? length : length + this.stream.read(target.subarray(length));
  }

  /**
   * Makes room for `size` more bytes behind the queue, by moving it to the front or by growing. It
   * only moves when the room gained is as large as what is moved, so a byte moves once on average.
   */
  private reserve(size: number): void {
    if (this.queueEnd + size <= this.queue.length) return;
    const queued = this.queuedBytes;
    let capacity = this.queue.length;
    while (2 * queued + size > capacity) capacity *= 2;
    const target = capacity === this.queue.length ? this.queue : new Uint8Array(capacity);
    target.set(this.queue.subarray(this.queueStart, this.queueEnd));
    if (target !== this.queue) this.use(target);
    this.queueStart = 0;
    this.queueEnd = queued;
  }

  private queued(): Uint8Array {
    const { queue, queueStart, queueEnd } = this;
    if (queueStart > 0) return queue.subarray(queueStart, queueEnd);
    if (this.window.length !== queueEnd) this.window = queue.subarray(0, queueEnd);
    return this.window;
  }

  private use(queue: Uint8Array<ArrayBuffer>): void {
    this.queue = queue;
    this.window = NO_BYTES;
    this.writer = new PacketWriter(queue);
  }
}
