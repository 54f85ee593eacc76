import { readSync, writeSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { NativePoller } from '../../src/hypervisor/linux/native.ts';
import { openFifo } from './fifo.ts';
import { native } from './shim.ts';

let fifo: ReturnType<typeof openFifo>;
let poller: NativePoller | undefined;

beforeEach(() => {
  fifo = openFifo();
});

afterEach(() => {
  poller?.close();
  fifo.close();
});

/** Resolves with the events of each call, the next time that there is one. */
function pollFifo(onEvents: (events: number) => void): NativePoller {
  poller = new native.Poller(fifo.fd, onEvents);
  return poller;
}

/** Everything that is ready now has been told after a few turns of the event loop. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

test('the callback is called for as long as the descriptor is readable', async () => {
  const bytes = new Uint8Array(1);
  writeSync(fifo.fd, 'abc');
  const read = new Promise<string>((resolve) => {
    let text = '';
    pollFifo((events) => {
      expect(events).toBe(native.READABLE);
      readSync(fifo.fd, bytes);
      text += String.fromCharCode(...bytes);
      if (text.length === 3) resolve(text);
    }).start(native.READABLE);
  });
  expect(await read).toBe('abc');
});

test('an empty pipe is writable and not readable', async () => {
  const events = await new Promise<number>((resolve) => {
    pollFifo(resolve).start(native.READABLE | native.WRITABLE);
  });
  expect(events).toBe(native.WRITABLE);
});

test('nothing is told before start, after stop and after close', async () => {
  let calls = 0;
  writeSync(fifo.fd, 'a');
  const ours = pollFifo(() => {
    calls += 1;
  });
  await turns();
  expect(calls).toBe(0);
  ours.start(native.READABLE);
  await turns();
  expect(calls).toBeGreaterThan(0);
  ours.stop();
  calls = 0;
  await turns();
  expect(calls).toBe(0);
  ours.start(native.READABLE);
  ours.close();
  await turns();
  expect(calls).toBe(0);
});

test('a poller may be closed by its own callback', async () => {
  let calls = 0;
  writeSync(fifo.fd, 'a');
  const ours = pollFifo(() => {
    calls += 1;
    ours.close();
  });
  ours.start(native.READABLE);
  await turns();
  expect(calls).toBe(1);
});

test('close is idempotent and later use throws', () => {
  const ours = pollFifo(() => {});
  ours.close();
  ours.close();
  expect(() => ours.start(native.READABLE)).toThrow(TypeError);
  expect(() => ours.stop()).toThrow(TypeError);
  expect(() => ours.ref()).toThrow(TypeError);
  expect(() => ours.unref()).toThrow(TypeError);
});

test('start rejects events that do not exist', () => {
  const ours = pollFifo(() => {});
  for (const events of [0, -1, 4, 1.5]) expect(() => ours.start(events)).toThrow(RangeError);
});

test('promises of the callback go on before the next event', async () => {
  const order: string[] = [];
  writeSync(fifo.fd, 'a');
  const ours = pollFifo(() => {
    order.push('event');
    void Promise.resolve().then(() => order.push('promise'));
    if (order.length > 2) ours.stop();
  });
  ours.start(native.READABLE);
  await turns();
  expect(order).toEqual(['event', 'promise', 'event', 'promise']);
});
