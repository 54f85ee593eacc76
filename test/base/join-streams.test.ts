/** Two streams made one, of which either takes less at once than there is. */
import { expect, test } from 'vitest';
import { bytePipe } from '../../src/base/byte-pipe.ts';
import type { ByteStream } from '../../src/base/byte-stream.ts';
import { joinStreams } from '../../src/base/join-streams.ts';
import { nodeClock } from '../../src/node/clock.ts';

/**
 * Takes `portions` in turn, as a terminal does of which somebody reads, and tells of room only to who
 * has been told that there is none: where a portion is 0.
 */
class Sink implements ByteStream {
  readonly taken: number[] = [];
  private readonly portions: readonly number[];
  private next = 0;
  private handler = () => {};
  ended = false;

  constructor(portions: readonly number[]) {
    this.portions = portions;
  }

  read(): number {
    return 0;
  }

  write(source: Uint8Array): number {
    const portion = this.portions[this.next++ % this.portions.length]!;
    this.taken.push(...source.subarray(0, portion));
    if (portion === 0) setImmediate(() => this.handler());
    return Math.min(portion, source.length);
  }

  onReady(handler: () => void): void {
    this.handler = handler;
  }

  close(): void {
    this.ended = true;
  }
}

test.each([[[100, 7, 0]], [[1, 0]], [[5]], [[0, 0, 64]]])(
  'all of it arrives where %j bytes are taken at once',
  async (portions) => {
    const bytes = Uint8Array.from({ length: 10_000 }, (_, at) => (at * 7) % 251);
    const sink = new Sink(portions);
    const [source, sender] = bytePipe(nodeClock, bytes.length);
    sender.write(bytes);
    sender.close();
    await joinStreams(source, sink, nodeClock, { portion: 256 });
    expect(sink.taken).toEqual([...bytes]);
    expect(sink.ended).toBe(true);
  },
);
