/** How seldom the two ends of a relay's connection wake each other. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytePipe } from '../../src/base/byte-pipe.ts';
import type { ByteStream } from '../../src/base/byte-stream.ts';
import { FrameReader } from '../../src/base/frames.ts';
import { domId } from '../../src/base/ids.ts';
import { silentLog } from '../../src/base/log.ts';
import { SimWorld } from '../../src/hypervisor/sim/world.ts';
import { RelayConnection } from '../../src/xenconsoled/relay-connection.ts';
import {
  parseRelayFrame,
  RELAY_PROTOCOL,
  RELAY_VERSION,
  type RelayMessage,
  relayFrame,
  STREAM_WINDOW,
} from '../../src/xenconsoled/relay-frames.ts';
import { RelayStream } from '../../src/xenconsoled/relay-stream.ts';
import { REST_MS, RemoteLog } from '../../src/xenconsoled/remote-log.ts';

/** One end of a connection, and at the other the test. */
class Line {
  readonly world = new SimWorld({ seed: 1 });
  readonly connection: RelayConnection;
  /** Messages to us. */
  readonly heard: RelayMessage[] = [];
  /** How often bytes were written, each of which may wake a peer. */
  writes = 0;
  onMessage: (message: RelayMessage) => void = () => {};
  private readonly peer: ByteStream;

  constructor() {
    const { clock } = this.world;
    const [ours, theirs] = bytePipe(clock);
    this.peer = theirs;
    const counted: ByteStream = {
      read: (target) => ours.read(target),
      write: (source) => {
        if (source.length > 0) this.writes++;
        return ours.write(source);
      },
      onReady: (handler) => ours.onReady(handler),
      get ended() {
        return ours.ended;
      },
      close: () => ours.close(),
    };
    this.connection = new RelayConnection({
      stream: counted,
      clock,
      log: silentLog,
      wary: false,
      onOpen: () => {},
      onMessage: (message) => this.onMessage(message),
      onEnd: () => {},
    });
    const frames = new FrameReader(theirs, RELAY_PROTOCOL);
    theirs.onReady(() => {
      for (let next = frames.next(); next !== undefined; next = frames.next()) {
        const message = parseRelayFrame(next);
        this.heard.push(
          'bytes' in message ? { ...message, bytes: message.bytes.slice() } : message,
        );
      }
    });
  }

  say(message: RelayMessage): void {
    this.peer.write(relayFrame(message));
  }

  types(): string[] {
    return this.heard.splice(0).map(({ type }) => type);
  }
}

test('what is said in one turn goes as one piece, and what is said before the end arrives', async () => {
  const line = new Line();
  await line.world.run({ for_ms: 10 });
  line.writes = 0;
  for (let n = 0; n < 5; n++) line.connection.send({ type: 'rest', channel: n });
  await line.world.run({ for_ms: 10 });
  expect(line.writes).toBe(1);
  expect(line.types()).toEqual(['hello', 'rest', 'rest', 'rest', 'rest', 'rest']);
  line.connection.send({ type: 'rest', channel: 9 });
  line.connection.close();
  await line.world.run({ for_ms: 10 });
  expect(line.types()).toEqual(['rest']);
});

test('more than the stream has room for arrives in order', async () => {
  const line = new Line();
  const pieces = Array.from({ length: 40 }, (_, n) => new Uint8Array(4000).fill(n));
  for (const bytes of pieces) line.connection.send({ type: 'data', channel: 1, bytes });
  expect(line.connection.crowded).toBe(true);
  await line.world.run({ for_ms: 100 });
  expect(line.connection.crowded).toBe(false);
  const data = line.heard.flatMap((message) => (message.type === 'data' ? [message.bytes] : []));
  expect(data).toEqual(pieces);
  line.connection.close();
});

test('a log that goes on is not told to rest, and one that is quiet is, once', async () => {
  const line = new Line();
  const { clock } = line.world;
  const log = new RemoteLog({
    ...{ domid: domId(7), index: 0, clock, log: silentLog },
    onOver: () => {},
  });
  line.onMessage = (message) => log.receive(message);
  line.say({ type: 'hello', version: RELAY_VERSION });
  log.connect(line.connection, 1);
  line.say({ type: 'opened', channel: 1, path: '' });
  await line.world.run({ for_ms: 10 });
  line.heard.splice(0);
  for (let index = 0; index < 5; index++) {
    log.take(index, new Uint8Array(1), () => log.rest());
    await line.world.run({ for_ms: 1 });
    line.say({ type: 'stored', channel: 1 });
    await line.world.run({ for_ms: 1 });
  }
  expect(line.types()).toEqual(['batch', 'batch', 'batch', 'batch', 'batch']);
  await line.world.run({ for_ms: 3 * REST_MS });
  expect(line.types()).toEqual(['rest']);
  const closed = log.close(true);
  line.say({ type: 'close', channel: 1, isOver: true });
  await line.world.finish(closed);
  line.connection.close();
});

test('credit is given for half a window at a time, and nobody waits for it for ever', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ written: fc.nat(9000), read: fc.nat(9000) }), { maxLength: 40 }),
      (steps) => {
        const { clock } = new SimWorld({ seed: 1 });
        let credits = 0;
        const parts = { channel: 1, clock, onOver: () => {} };
        const reader: RelayStream = new RelayStream({
          ...parts,
          carrier: {
            crowded: false,
            send: (message) => {
              if (message.type !== 'credit') return;
              credits++;
              writer.receiveCredit(message.count);
            },
          },
        });
        const writer: RelayStream = new RelayStream({
          ...parts,
          carrier: {
            crowded: false,
            send: (message) => {
              if (message.type === 'data') reader.receive(message.bytes);
            },
          },
        });
        let [sent, got] = [0, 0];
        for (const { written, read } of steps) {
          sent += writer.write(new Uint8Array(written));
          got += reader.read(new Uint8Array(read));
        }
        got += reader.read(new Uint8Array(STREAM_WINDOW));
        expect(got).toBe(sent);
        expect(credits).toBeLessThanOrEqual(got / (STREAM_WINDOW / 2));
        expect(writer.write(new Uint8Array(1))).toBe(1);
      },
    ),
  );
});
