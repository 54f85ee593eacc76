/** The relay against a console domain that breaks the rules: it costs that domain its connection. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytePipe } from '../../src/base/byte-pipe.ts';
import type { ByteStream } from '../../src/base/byte-stream.ts';
import { type DomId, domId } from '../../src/base/ids.ts';
import { logTo } from '../../src/base/log.ts';
import type { WindowSize } from '../../src/console/window-size.ts';
import { SimWorld } from '../../src/hypervisor/sim/world.ts';
import type {
  ConsoleLog,
  ConsolePlace,
  LastingOutlets,
} from '../../src/xenconsoled/console-outlets.ts';
import {
  RELAY_VERSION,
  type RelayMessage,
  relayFrame,
} from '../../src/xenconsoled/relay-frames.ts';
import { CHANNELS_MAX, RelaySession } from '../../src/xenconsoled/relay-session.ts';
import { LINES_PER_SECOND_MAX } from '../../src/xenconsoled/relayed-lines.ts';
import type { Terminal } from '../../src/xenconsoled/terminal.ts';
import { FakeTerminal } from './console-host.ts';

const GUEST = domId(7);
/** A guest whose console is another's to serve. */
const STRANGER = domId(8);

class Outlets implements LastingOutlets {
  readonly terminals: FakeTerminal[] = [];
  readonly kept: Terminal[] = [];
  logged = '';
  /** Of the windows that guests were told of. */
  readonly columns: number[] = [];
  logsOpen = 0;
  /** For which terminals wait before they are opened. */
  mayOpen = Promise.resolve();

  async openTerminal() {
    await this.mayOpen;
    const terminal = new FakeTerminal('/dev/pts/1');
    this.terminals.push(terminal);
    return terminal;
  }

  keepTerminal(_: ConsolePlace, terminal: Terminal) {
    this.kept.push(terminal);
  }

  async openLog(): Promise<ConsoleLog> {
    this.logsOpen++;
    return {
      take: (_, bytes, stored) => {
        this.logged += Buffer.from(bytes).toString('latin1');
        void Promise.resolve().then(stored);
      },
      rest: () => {},
      takeLast: () => {},
      close: async () => {
        this.logsOpen--;
      },
    };
  }

  async setWindowSize(_: ConsolePlace, { columns }: WindowSize) {
    this.columns.push(columns);
  }
}

class Scene {
  readonly world = new SimWorld({ seed: 1 });
  readonly outlets = new Outlets();
  readonly lines: string[] = [];
  readonly domain: ByteStream;
  readonly session: RelaySession;
  over = false;
  private unsent: Uint8Array = new Uint8Array(0);

  constructor() {
    const { clock } = this.world;
    const [ours, theirs] = bytePipe(clock);
    this.domain = ours;
    this.session = new RelaySession({
      stream: theirs,
      outlets: this.outlets,
      placeOf: async (guest: DomId) =>
        guest === GUEST ? { domid: GUEST, index: 0, path: '/console', terminal: 'pty' } : undefined,
      clock,
      log: logTo((level, message, fields) => {
        this.lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
      }),
    });
    void this.session.ended.then(() => {
      this.over = true;
    });
    ours.onReady(() => {
      this.flush();
      const target = new Uint8Array(5000);
      while (ours.read(target) > 0);
    });
  }

  send(bytes: Uint8Array): void {
    this.unsent = Uint8Array.from([...this.unsent, ...bytes]);
    this.flush();
  }

  say(...messages: RelayMessage[]): void {
    for (const message of messages) this.send(relayFrame(message));
  }

  private flush(): void {
    this.unsent = this.unsent.subarray(this.domain.write(this.unsent));
  }
}

const hello = { type: 'hello', version: RELAY_VERSION } as const;
const open = (channel: number, kind: 'log' | 'terminal' | 'viewer', domid = GUEST) =>
  ({ type: 'open', channel, kind, domid, index: 0 }) as const;
const bytes = new Uint8Array(10);

test('what a guest of the domain prints is logged, of another nothing', async () => {
  const scene = new Scene();
  scene.say(hello, open(1, 'log'), open(3, 'log', STRANGER), open(5, 'terminal', STRANGER));
  await scene.world.run({ for_ms: 100 });
  const text = Buffer.from('hello');
  scene.say({ type: 'batch', channel: 1, index: 0, bytes: text });
  scene.say({ type: 'batch', channel: 3, index: 0, bytes: text });
  await scene.world.run({ for_ms: 100 });
  expect(scene.outlets.logged).toBe('hello');
  expect(scene.outlets.terminals).toEqual([]);
  expect(scene.over).toBe(false);
  await scene.world.finish(scene.session.close());
  expect(scene.outlets.logsOpen).toBe(0);
});

test.each<[string, readonly RelayMessage[], RegExp]>([
  ['anything before hello', [open(1, 'log')], /hello comes first/],
  ['hello twice', [hello, hello], /hello comes first, and once/],
  ['another version', [{ type: 'hello', version: 99 }], /both ends have version/],
  ['a viewer', [hello, open(1, 'viewer')], /opens logs and terminals/],
  ['a number that is the relay’s', [hello, open(2, 'log')], /by odd numbers/],
  ['a number that is taken', [hello, open(1, 'log'), open(1, 'log')], /that are free/],
  [
    'a batch for no log',
    [hello, { type: 'batch', channel: 1, index: 0, bytes }],
    /a log is open when it is written/,
  ],
  ['data for no terminal', [hello, { type: 'data', channel: 1, bytes }], /opens channels/],
  ['an answer', [hello, { type: 'stored', channel: 1 }], /opens channels and writes logs/],
  [
    'too many channels',
    [hello, ...Array.from({ length: CHANNELS_MAX + 1 }, (_, n) => open(2 * n + 1, 'log'))],
    /limit channels/,
  ],
])('%s ends the connection', async (_, messages, reason) => {
  const scene = new Scene();
  scene.say(...messages);
  await scene.world.run({ for_ms: 1000 });
  expect(scene.lines.join('\n')).toMatch(reason);
  await scene.session.ended;
  expect(scene.outlets.logsOpen).toBe(0);
});

test.each<[string, readonly RelayMessage[], RegExp]>([
  [
    'more data than there is credit for',
    Array.from({ length: 7 }, () => ({
      type: 'data' as const,
      channel: 1,
      bytes: new Uint8Array(4000),
    })),
    /no more than it has credit for/,
  ],
  ['credit for nothing', [{ type: 'credit', channel: 1, count: 1 }], /credit is for what was sent/],
  ['a batch', [{ type: 'batch', channel: 1, index: 0, bytes }], /a terminal or a viewer has data/],
])('%s on a terminal ends the connection', async (_, messages, reason) => {
  const scene = new Scene();
  scene.say(hello, open(1, 'terminal'));
  await scene.world.run({ for_ms: 100 });
  const [terminal] = scene.outlets.terminals;
  if (terminal !== undefined) terminal.room = 0;
  scene.say(...messages);
  await scene.world.run({ for_ms: 1000 });
  expect(scene.lines.join('\n')).toMatch(reason);
  expect(scene.over).toBe(true);
  expect(scene.outlets.kept).toEqual([terminal]);
  expect(terminal?.closed).toBe(false);
});

test('a terminal that nobody reads ends with its console', async () => {
  const scene = new Scene();
  scene.say(hello, open(1, 'terminal'));
  await scene.world.run({ for_ms: 100 });
  const [terminal] = scene.outlets.terminals;
  if (terminal !== undefined) terminal.room = 0;
  scene.say({ type: 'data', channel: 1, bytes: new Uint8Array(4000) });
  scene.say({ type: 'data', channel: 1, bytes: new Uint8Array(4000) });
  scene.say({ type: 'close', channel: 1, isOver: false });
  await scene.world.run({ for_ms: 100 });
  expect(terminal?.closed).toBe(true);
  expect(scene.over).toBe(false);
  await scene.world.finish(scene.session.close());
});

test('a terminal that is being opened when the connection ends is given back, too', async () => {
  const scene = new Scene();
  let openNow = () => {};
  scene.outlets.mayOpen = new Promise((resolve) => {
    openNow = resolve;
  });
  scene.say(hello, open(1, 'terminal'));
  await scene.world.run({ for_ms: 100 });
  scene.domain.close();
  await scene.world.run({ for_ms: 100 });
  openNow();
  await scene.world.run({ for_ms: 100 });
  expect(scene.over).toBe(true);
  expect(scene.outlets.terminals.map(({ closed }) => closed)).toEqual([false]);
  expect(scene.outlets.kept).toEqual(scene.outlets.terminals);
});

test('a guest has one terminal at a time, and may have another when that has ended', async () => {
  const scene = new Scene();
  scene.say(hello, open(1, 'terminal'), open(3, 'terminal'), open(5, 'terminal'));
  await scene.world.run({ for_ms: 100 });
  expect(scene.outlets.terminals.length).toBe(1);
  scene.say({ type: 'close', channel: 1, isOver: false }, open(7, 'terminal'));
  await scene.world.run({ for_ms: 100 });
  expect(scene.outlets.terminals.map(({ closed }) => closed)).toEqual([true, false]);
  await scene.world.finish(scene.session.close());
});

test('of many sizes of a window, guests are told the newest', async () => {
  const scene = new Scene();
  scene.say(hello);
  for (let columns = 1; columns <= 2000; columns++) {
    scene.say({ type: 'window', domid: GUEST, columns, rows: 24 });
  }
  await scene.world.run({ for_ms: 1000 });
  expect(scene.outlets.columns.at(-1)).toBe(2000);
  expect(scene.outlets.columns.length).toBeLessThan(200);
  await scene.world.finish(scene.session.close());
});

test('a domain that logs without end fills nobody’s log', async () => {
  const scene = new Scene();
  scene.say(hello);
  const line = { type: 'line', level: 'error', message: 'again', fields: {} } as const;
  for (let n = 0; n < LINES_PER_SECOND_MAX + 70; n++) scene.say(line);
  await scene.world.run({ for_ms: 2000 });
  scene.say({ ...line, message: 'still there' });
  await scene.world.run({ for_ms: 1000 });
  const lines = scene.lines.filter((one) => !one.includes('domain: again'));
  expect(scene.lines.length).toBe(LINES_PER_SECOND_MAX + 2);
  expect(lines).toEqual([
    expect.stringMatching(/^warn lines of the domain are left out, limit: .*70/),
    'error domain: still there {}',
  ]);
  await scene.world.finish(scene.session.close());
});

test('a second batch before the first is stored ends the connection', async () => {
  const scene = new Scene();
  scene.say(hello, open(1, 'log'));
  await scene.world.run({ for_ms: 100 });
  const batch = { type: 'batch', channel: 1, index: 0, bytes } as const;
  scene.say(batch, batch);
  await scene.world.run({ for_ms: 1000 });
  expect(scene.lines.join('\n')).toMatch(/a batch comes when the last one is stored/);
  expect(scene.over).toBe(true);
});

test('garbage at any point ends the connection or says nothing, and leaves nothing open but what it gives back', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 3000 }), async (garbage) => {
      const scene = new Scene();
      scene.say(hello, open(1, 'log'), open(3, 'terminal'));
      await scene.world.run({ for_ms: 100 });
      scene.send(garbage);
      await scene.world.run({ for_ms: 1000 });
      if (!scene.over) await scene.world.finish(scene.session.close());
      await scene.world.run({ for_ms: 1000 });
      expect(scene.outlets.logsOpen).toBe(0);
      const { terminals, kept } = scene.outlets;
      expect(terminals.filter(({ closed }) => !closed)).toEqual(kept);
    }),
    { numRuns: 200 },
  );
});
