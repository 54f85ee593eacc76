/** Viewers beside the terminal: several at once, late ones, slow ones, those that may not type, and hostile ones. */
import { describe, expect, test } from 'vitest';
import { bytePipe } from '../../src/base/byte-pipe.ts';
import type { ByteStream } from '../../src/base/byte-stream.ts';
import { FRAME_PAYLOAD_MAX, FrameReader, frame } from '../../src/base/frames.ts';
import {
  type AttachRequest,
  jsonFrame,
  VIEWER_ATTACH,
  VIEWER_ATTACHED,
  VIEWER_ENDED,
  VIEWER_INPUT,
  VIEWER_OUTPUT,
  VIEWER_PROTOCOL,
  VIEWER_REFUSED,
  VIEWER_WINDOW,
} from '../../src/console/viewer-protocol.ts';
import { watchWindowSize } from '../../src/console/window-size.ts';
import { VIEWERS_MAX } from '../../src/xenconsoled/console-daemon.ts';
import { bytesOf, type ConsoleGuest, ConsoleHost, textOf } from './console-host.ts';

/** What the daemon has said to a viewer. */
class TestViewer {
  readonly stream: ByteStream;
  seen = '';
  attached: Readonly<Record<string, unknown>> | undefined;
  farewell = '';
  private rest = new Uint8Array(0);

  constructor(host: ConsoleHost, capacity?: number) {
    const [daemon, viewer] = bytePipe(host.dom0.clock, capacity);
    this.stream = viewer;
    host.daemon?.attachViewer(daemon);
  }

  /** Begins to read, too. */
  attach(guest: ConsoleGuest, changes: Partial<AttachRequest> = {}): this {
    const { domid } = guest.domain;
    const request = { domid, console: 0, readOnly: false, scrollback: 0, ...changes };
    this.send(jsonFrame(VIEWER_ATTACH, request));
    this.listen();
    return this;
  }

  listen(): void {
    const frames = new FrameReader(this.stream, VIEWER_PROTOCOL);
    this.stream.onReady(() => {
      for (let next = frames.next(); next !== undefined; next = frames.next()) {
        if (next.type === VIEWER_OUTPUT) this.seen += textOf(next.payload);
        if (next.type === VIEWER_ATTACHED) this.attached = VIEWER_PROTOCOL.parseJson(next.payload);
        if (next.type === VIEWER_REFUSED || next.type === VIEWER_ENDED) {
          this.farewell = String(VIEWER_PROTOCOL.parseJson(next.payload).reason);
        }
      }
      this.flush();
    });
  }

  send(bytes: Uint8Array): void {
    const all = new Uint8Array(this.rest.length + bytes.length);
    all.set(this.rest);
    all.set(bytes, this.rest.length);
    this.rest = all;
    this.flush();
  }

  type(keys: string): void {
    this.send(frame(VIEWER_INPUT, bytesOf(keys)));
  }

  private flush(): void {
    for (let sent = 1; sent > 0; this.rest = this.rest.subarray(sent)) {
      sent = this.stream.write(this.rest);
    }
  }
}

async function servedGuest(options: ConstructorParameters<typeof ConsoleHost>[0] = {}) {
  const host = new ConsoleHost(options);
  await host.startDaemon();
  const guest = host.addGuest({ name: 'g' });
  await host.world.run();
  return { host, guest };
}

test('several viewers and the terminal see the same, and each may type', async () => {
  const { host, guest } = await servedGuest();
  const viewers = [new TestViewer(host), new TestViewer(host)] as const;
  for (const viewer of viewers) viewer.attach(guest);
  await host.world.run();
  expect(viewers.map(({ attached }) => attached)).toEqual([
    { otherViewers: 0 },
    { otherViewers: 1 },
  ]);
  guest.print(bytesOf('login: '));
  await host.world.run();
  for (const viewer of viewers) expect(viewer.seen).toBe('login: ');
  expect(host.terminals[0]?.shown).toBe('login: ');
  viewers[0].type('ro');
  await host.world.run();
  viewers[1].type('ot');
  await host.world.run();
  host.terminals[0]?.type(bytesOf('\r'));
  await host.world.run();
  expect(guest.received()).toBe('root\r');
  expect(await host.leftovers()).toEqual([]);
});

test('a late viewer begins with as much of the past as it asks for', async () => {
  const { host, guest } = await servedGuest();
  guest.print(bytesOf('0123456789'));
  await host.world.run();
  const late = new TestViewer(host).attach(guest, { scrollback: 4 });
  const curious = new TestViewer(host).attach(guest, { scrollback: 1e9 });
  await host.world.run();
  guest.print(bytesOf('ab'));
  await host.world.run();
  expect([late.seen, curious.seen]).toEqual(['6789ab', '0123456789ab']);
  expect(await host.leftovers()).toEqual([]);
});

test('what a read-only viewer types or says of its window reaches nobody', async () => {
  const { host, guest } = await servedGuest();
  const viewer = new TestViewer(host).attach(guest, { readOnly: true });
  viewer.type('rm -r /\r');
  viewer.send(jsonFrame(VIEWER_WINDOW, { columns: 1, rows: 1 }));
  await host.world.run();
  guest.print(bytesOf('fine'));
  await host.world.run();
  expect(viewer.seen).toBe('fine');
  expect(guest.received()).toBe('');
  expect(host.store.nodes.has(`${guest.path}/window-size`)).toBe(false);
  expect(await host.leftovers()).toEqual([]);
});

test('the size of a window is handed on to a guest that looks at it', async () => {
  const { host, guest } = await servedGuest();
  const sizes: string[] = [];
  const watch = await watchWindowSize(host.store, guest.path, ({ columns, rows }) =>
    sizes.push(`${columns} by ${rows}`),
  );
  const viewer = new TestViewer(host).attach(guest);
  viewer.send(jsonFrame(VIEWER_WINDOW, { columns: 132, rows: 43 }));
  await host.world.run();
  viewer.send(jsonFrame(VIEWER_WINDOW, { columns: 80, rows: 24 }));
  await host.world.run();
  expect(sizes).toEqual(['132 by 43', '80 by 24']);
  await watch.close();
  expect(await host.leftovers()).toEqual([]);
});

test('a viewer that does not read costs nobody anything and goes on with the newest', async () => {
  const { host, guest } = await servedGuest();
  host.store.put({ [`${guest.path}/limit`]: 3000 });
  const idle = new TestViewer(host, 64);
  idle.send(
    jsonFrame(VIEWER_ATTACH, {
      domid: guest.domain.domid,
      console: 0,
      readOnly: false,
      scrollback: 0,
    }),
  );
  const other = new TestViewer(host).attach(guest);
  await host.world.run();
  const output = Array.from({ length: 2_000_000 }, (_, n) => String(n % 10)).join('');
  guest.print(bytesOf(output));
  await host.world.run();
  expect(other.seen).toBe(output);
  idle.listen();
  await host.world.run();
  expect(output.endsWith(idle.seen.slice(-1_000_000))).toBe(true);
  expect(idle.seen.length).toBeLessThan(output.length);
  expect(await host.leftovers()).toEqual([]);
});

test('with the guest, its viewers end', async () => {
  const { host, guest } = await servedGuest();
  const viewer = new TestViewer(host).attach(guest);
  await host.world.run();
  guest.print(bytesOf('Power down'));
  host.destroy(guest);
  await host.world.run();
  expect(viewer.seen).toBe('Power down');
  expect(viewer.farewell).toBe('the console is over');
  expect(viewer.stream.ended).toBe(true);
  expect(await host.leftovers()).toEqual([]);
});

test('a viewer that leaves is forgotten, and the others stay', async () => {
  const { host, guest } = await servedGuest();
  const stays = new TestViewer(host).attach(guest);
  for (let n = 0; n < 2 * VIEWERS_MAX; n++) {
    const leaves = new TestViewer(host).attach(guest);
    leaves.type('half a wo');
    leaves.stream.close();
    await host.world.run();
  }
  guest.print(bytesOf('fine'));
  await host.world.run();
  expect(stays.seen).toBe('fine');
  expect(await host.leftovers()).toEqual([]);
});

const resizes = (count: number) =>
  Array.from({ length: count }, () => jsonFrame(VIEWER_WINDOW, { columns: 80, rows: 24 }));

test('what is typed after many changes of the window arrives', async () => {
  const { host, guest } = await servedGuest();
  const viewer = new TestViewer(host).attach(guest);
  await host.world.run();
  for (const resize of resizes(100)) viewer.send(resize);
  viewer.type('x');
  await host.world.run();
  expect(guest.received()).toBe('x');
  expect(await host.leftovers()).toEqual([]);
});

test('a viewer that may only look, says much and leaves is forgotten', async () => {
  const { host, guest } = await servedGuest();
  for (let n = 0; n <= VIEWERS_MAX; n++) {
    const leaves = new TestViewer(host).attach(guest, { readOnly: true });
    for (const resize of resizes(100)) leaves.send(resize);
    leaves.stream.close();
    await host.world.run();
  }
  const next = new TestViewer(host).attach(guest);
  await host.world.run();
  expect(next.attached).toEqual({ otherViewers: 0 });
  expect(await host.leftovers()).toEqual([]);
});

test('more viewers than the limit are refused', async () => {
  const { host, guest } = await servedGuest();
  const viewers = Array.from({ length: VIEWERS_MAX + 1 }, () => new TestViewer(host).attach(guest));
  await host.world.run();
  expect(viewers.filter(({ attached }) => attached !== undefined).length).toBe(VIEWERS_MAX);
  expect(viewers[VIEWERS_MAX]?.stream.ended).toBe(true);
  expect(host.lines.join()).toContain(`limit viewers: ${VIEWERS_MAX}`);
  expect(await host.leftovers()).toEqual([]);
});

describe('a viewer is refused, with the rule, for', () => {
  const header = (type: number, length: number) =>
    Uint8Array.of(type, 0, length & 0xff, length >> 8);
  const attach = (text: string) => frame(VIEWER_ATTACH, bytesOf(text));

  test.each([
    ['input before ATTACH', frame(VIEWER_INPUT, bytesOf('x')), /the first frame is ATTACH/],
    [
      'a frame that is too long',
      header(VIEWER_ATTACH, FRAME_PAYLOAD_MAX + 1),
      /at most 4096 bytes/,
    ],
    ['what is no JSON', attach('domain 3'), /the payload is JSON/],
    ['JSON that is no object', attach('3'), /the payload is an object/],
    ['a domid out of range', attach('{"domid": -1}'), /domid is an integer from 0 to 32751/],
    [
      'a console that is not there',
      attach('{"domid": 1, "console": 7, "scrollback": 0}'),
      /domain 1 has no console 7/,
    ],
  ])('%s', async (_, bytes, rule) => {
    const { host, guest } = await servedGuest();
    const hostile = new TestViewer(host);
    hostile.send(bytes);
    hostile.listen();
    const other = new TestViewer(host).attach(guest);
    await host.world.run();
    guest.print(bytesOf('fine'));
    await host.world.run();
    expect(hostile.farewell).toMatch(rule);
    expect(hostile.stream.ended).toBe(true);
    expect(other.seen).toBe('fine');
    expect(await host.leftovers()).toEqual([]);
  });

  test('a frame of an unknown type after ATTACH', async () => {
    const { host, guest } = await servedGuest();
    const hostile = new TestViewer(host).attach(guest);
    hostile.send(frame(99, new Uint8Array(0)));
    await host.world.run();
    expect(hostile.farewell).toMatch(/type 99 is unknown/);
    expect(await host.leftovers()).toEqual([]);
  });
});
