import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { XenconsInterface } from '../../src/abi/io/console.ts';
import { ProtocolViolation, XenError } from '../../src/base/errors.ts';
import type { ByteRing } from '../../src/ring/byte-ring.ts';
import { RingStream } from '../../src/ring/ring-stream.ts';
import { channelPair, turnEnds } from './fake-channel.ts';

/** Both ends of a console page. */
function consolePage(start = 0) {
  const page = new Uint8Array(4096);
  const { offset, fields } = XenconsInterface;
  const fields32 = new Uint32Array(page.buffer);
  for (const index of ['in_cons', 'in_prod', 'out_cons', 'out_prod'] as const) {
    fields32[offset[index] / 4] = start;
  }
  const typed: ByteRing = {
    name: 'console input',
    data: page.subarray(offset.in, offset.in + fields.in.size),
    page,
    cons: offset.in_cons,
    prod: offset.in_prod,
  };
  const printed: ByteRing = {
    name: 'console output',
    data: page.subarray(offset.out, offset.out + fields.out.size),
    page,
    cons: offset.out_cons,
    prod: offset.out_prod,
  };
  const [guestChannel, daemonChannel] = channelPair();
  const released: string[] = [];
  const guest = new RingStream({
    incoming: typed,
    outgoing: printed,
    channel: guestChannel,
    release: () => released.push('guest'),
  });
  const daemon = new RingStream({ incoming: printed, outgoing: typed, channel: daemonChannel });
  const view = XenconsInterface.view(page);
  return { view, guest, daemon, guestChannel, daemonChannel, released };
}

const bytesOf = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));

describe('ring stream', () => {
  test('carries bytes both ways', () => {
    const { guest, daemon } = consolePage();
    const target = new Uint8Array(16);
    expect(guest.write(bytesOf('login: '))).toBe(7);
    expect(daemon.write(bytesOf('root'))).toBe(4);
    expect(daemon.read(target)).toBe(7);
    expect(target.subarray(0, 7)).toEqual(bytesOf('login: '));
    expect(guest.read(target)).toBe(4);
    expect(target.subarray(0, 4)).toEqual(bytesOf('root'));
    expect(guest.read(target)).toBe(0);
  });

  test('moves any amount in order when both ends act on nothing but events', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0xffffe000, max: 0xffffffff }),
        fc.integer({ min: 1, max: 20_000 }),
        fc.integer({ min: 1, max: 3000 }),
        fc.integer({ min: 1, max: 3000 }),
        async (start, total, writeSize, readSize) => {
          const { guest, daemon, guestChannel, daemonChannel } = consolePage(start);
          let sent = 0;
          let received = 0;
          const target = new Uint8Array(readSize);
          guest.onReady(() => {
            for (;;) {
              const length = Math.min(writeSize, total - sent);
              const written = guest.write(Uint8Array.from({ length }, (_, n) => (sent + n) % 251));
              sent += written;
              if (written === 0) return;
            }
          });
          daemon.onReady(() => {
            for (let length = 1; length > 0; ) {
              length = daemon.read(target);
              for (let n = 0; n < length; n++) {
                if (target[n] !== received++ % 251) throw new Error(`byte ${received - 1} differs`);
              }
            }
          });
          await turnEnds();
          while (guestChannel.deliver() || daemonChannel.deliver()) await turnEnds();
          expect([sent, received]).toEqual([total, total]);
        },
      ),
      { numRuns: 30 },
    );
  });

  test('notifies once for all that one turn of the event loop did', async () => {
    const { guest, daemon, guestChannel, daemonChannel } = consolePage();
    guest.write(bytesOf('a'));
    guest.write(bytesOf('b'));
    expect(guestChannel.notified).toBe(0);
    await turnEnds();
    expect(guestChannel.notified).toBe(1);
    daemon.read(new Uint8Array(1));
    daemon.read(new Uint8Array(1));
    daemon.write(bytesOf('c'));
    await turnEnds();
    expect(daemonChannel.notified).toBe(1);
  });

  test('does not notify when nothing was moved', async () => {
    const { guest, guestChannel } = consolePage();
    guest.read(new Uint8Array(8));
    guest.write(new Uint8Array(0));
    await turnEnds();
    expect(guestChannel.notified).toBe(0);
  });

  test('calls its handler once for what happened before it was set, but never from within onReady', async () => {
    const { guest } = consolePage();
    let calls = 0;
    guest.onReady(() => calls++);
    expect(calls).toBe(0);
    await turnEnds();
    expect(calls).toBe(1);
  });

  test.each(['read', 'write'] as const)(
    'ends with the rule that the peer broke, found by %s',
    async (operation) => {
      const { view, daemon, daemonChannel } = consolePage();
      const seen: boolean[] = [];
      daemon.onReady(() => seen.push(daemon.ended));
      await turnEnds();
      if (operation === 'read') view.out_prod = 2049;
      else view.in_cons = 1;
      expect(daemon[operation](new Uint8Array(8))).toBe(0);
      expect(seen).toEqual([false]);
      await turnEnds();
      expect(seen).toEqual([false, true]);
      expect(daemon.error).toBeInstanceOf(ProtocolViolation);
      expect(daemon.error?.message).toContain('prod - cons <= size');

      view.out_prod = 5;
      view.in_cons = 0;
      expect(daemon.read(new Uint8Array(8))).toBe(0);
      expect(daemon.write(new Uint8Array(8))).toBe(0);
      await turnEnds();
      expect(daemonChannel.notified).toBe(0);
    },
  );

  test('ends when the hypervisor refuses to notify', async () => {
    const { guest, guestChannel } = consolePage();
    guestChannel.refusal = new XenError('EIO', 'notify port 1');
    guest.write(bytesOf('x'));
    await turnEnds();
    expect(guest.ended).toBe(true);
    expect(guest.error?.code).toBe('EIO');
  });

  test('does not notify through a channel that was closed with its hypervisor handle', async () => {
    const { guest, guestChannel } = consolePage();
    guest.write(bytesOf('x'));
    guestChannel.close();
    await turnEnds();
    expect([guestChannel.notified, guest.error]).toEqual([0, undefined]);
    guest.close();
  });

  test('close delivers what was written, closes the channel and releases the pages, once', async () => {
    const { guest, daemon, guestChannel, released } = consolePage();
    let calls = 0;
    guest.write(bytesOf('bye'));
    guest.onReady(() => calls++);
    guest.close();
    guest.close();
    await turnEnds();
    expect([guestChannel.notified, guestChannel.closed, released, calls]).toEqual([
      1,
      true,
      ['guest'],
      0,
    ]);
    expect([guest.ended, guest.error, guest.write(bytesOf('x'))]).toEqual([true, undefined, 0]);
    expect(daemon.read(new Uint8Array(8))).toBe(3);
  });

  test('the pages are released even when the hypervisor refuses to notify', () => {
    const { guest, guestChannel, released } = consolePage();
    guestChannel.refusal = new XenError('EIO', 'notify port 1');
    guest.write(bytesOf('x'));
    guest.close();
    expect(released).toEqual(['guest']);
  });

  test('what is not an operating error is not hidden', () => {
    const { guest } = consolePage();
    expect(() => guest.read(undefined as unknown as Uint8Array)).toThrow(TypeError);
  });
});
