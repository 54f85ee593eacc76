/** Frames of a port of the network back end, from its socket into a file. */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import type { Writable } from 'node:stream';
import { XenError } from '../base/errors.ts';
import { CAPTURE_ACCEPTED, captureRequestLine } from '../net/capture-session.ts';
import { connectUnixSocket } from '../node/socket-path.ts';

export interface CaptureOrder {
  readonly socket: string;
  /** As the back end calls it: `vif3.0`, `uplink0`. */
  readonly port: string;
  /** Bytes of each frame that are kept. */
  readonly bytesMax: number;
  /** A file, or `-` for the standard output. */
  readonly file: string;
  /** Frames after which it ends; never unless given. */
  readonly framesMax: number | undefined;
  /** Ends the capture when it is settled. */
  readonly until: Promise<unknown>;
}

const FILE_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
const CAPTURED_OFFSET = 8;

/** Takes a pcap file as it comes apart into its records, so that what is written never ends in one. */
class Records {
  count = 0;
  private rest: Buffer = Buffer.alloc(0);
  private isHeaderRead = false;

  /** All records that are whole with `chunk`, until there are `countMax` of them. */
  take(chunk: Buffer, countMax: number): Buffer {
    const bytes = Buffer.concat([this.rest, chunk]);
    let at = 0;
    for (;;) {
      const length = this.lengthAt(bytes, at);
      if (length > bytes.length - at || this.count >= countMax) break;
      if (this.isHeaderRead) this.count++;
      this.isHeaderRead = true;
      at += length;
    }
    this.rest = bytes.subarray(at);
    return bytes.subarray(0, at);
  }

  /** Of what begins at `at`, as far as it can be told. */
  private lengthAt(bytes: Buffer, at: number): number {
    if (!this.isHeaderRead) return FILE_HEADER_BYTES;
    if (bytes.length - at < RECORD_HEADER_BYTES) return RECORD_HEADER_BYTES;
    return RECORD_HEADER_BYTES + bytes.readUInt32LE(at + CAPTURED_OFFSET);
  }
}

/** Writes what passes the port into the file. Resolves with how many frames that were. */
export async function captureFrames(order: CaptureOrder): Promise<number> {
  const { framesMax = Number.POSITIVE_INFINITY } = order;
  const socket = await connectUnixSocket(order.socket, 'netback');
  const file: Writable = order.file === '-' ? process.stdout : createWriteStream(order.file);
  let isStopped = false;
  let failure: Error | undefined;
  const stop = () => {
    isStopped = true;
    socket.destroy();
  };
  file.on('error', (error) => {
    failure = error;
    stop();
  });
  void order.until.then(stop, stop);
  const records = new Records();
  try {
    socket.write(captureRequestLine(order.port, order.bytesMax));
    for await (const chunk of pcapOf(socket, `capture at ${order.port}`)) {
      const hasRoom = file.write(records.take(chunk, framesMax));
      if (records.count >= framesMax) break;
      if (!hasRoom) await Promise.race([once(file, 'drain'), order.until]);
    }
  } catch (error) {
    // Whoever has ended it is not told that it has ended.
    if (!isStopped) throw error;
  } finally {
    socket.destroy();
    if (order.file !== '-') await new Promise((resolve) => file.end(resolve));
  }
  if (failure !== undefined) {
    throw new XenError('EIO', `write ${order.file}`, failure.message, failure);
  }
  return records.count;
}

/** What follows the line with which netback has answered. Throws ENOENT with its words where it refused. */
async function* pcapOf(socket: AsyncIterable<Buffer>, operation: string): AsyncIterable<Buffer> {
  let answer: Buffer | undefined = Buffer.alloc(0);
  for await (const chunk of socket) {
    if (answer === undefined) {
      yield chunk;
      continue;
    }
    answer = Buffer.concat([answer, chunk]);
    const end = answer.indexOf('\n');
    if (end < 0) continue;
    const words = answer.toString('latin1', 0, end);
    if (words !== CAPTURE_ACCEPTED) throw new XenError('ENOENT', operation, words);
    yield answer.subarray(end + 1);
    answer = undefined;
  }
}
