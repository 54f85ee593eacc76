/** A guest that receives slowly, badly, or not at all. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { NETRXF_more_data } from '../../src/abi/io/netif.ts';
import { EXPIRY_MS, STALL_MS, WAITING_BYTES_MAX } from '../../src/net/back-receive.ts';
import type { HostGuest } from '../xenbus/sim-host.ts';
import type { NetHost } from './net-host.ts';
import { frame, packet, pattern } from './packets.ts';
import { RawFront } from './raw-front.ts';
import { expectNothingLeft, startRawGuest } from './raw-guest.ts';

let host: NetHost;
let guest: HostGuest;
let front: RawFront;

beforeEach(async () => {
  ({ host, guest, front } = await startRawGuest());
});

afterEach(() => expectNothingLeft({ host, guest, front }));

describe('a guest that takes no frames', () => {
  const many = (count: number) =>
    Array.from({ length: count }, (_, index) => frame(packet({ payload: pattern(1446, index) })));

  test('has so many waiting and no more, and gets them when it offers pages (XSA-392)', async () => {
    await front.publish();
    const plugged = host.vif(guest);
    const sent = many(1000);
    const taken = plugged.vif.send(sent);
    expect(taken).toBe(Math.floor(WAITING_BYTES_MAX / 1500));
    expect(plugged.vif.send(sent.slice(taken))).toBe(0);
    await host.settle(5000);
    front.offer(20);
    await host.settle();
    expect(plugged.rooms).toBe(1);
    const received = front.received();
    expect(received.map(({ status }) => status)).toEqual(new Array(20).fill(1500));
    expect(Buffer.compare(front.data.page(19).subarray(0, 1500), sent[19]!.bytes)).toBe(0);
    expect(plugged.vif.send(sent.slice(taken))).toBe(20);
  });

  test('loses what waits for too long', async () => {
    await front.publish();
    const { vif } = host.vif(guest);
    const old = frame(packet({ payload: pattern(5, 1) }));
    const fresh = frame(packet({ payload: pattern(9, 1) }));
    vif.send([old]);
    await host.settle(EXPIRY_MS - 3000);
    vif.send([fresh]);
    await host.settle(4000);
    front.offer(2);
    await host.settle();
    expect(front.received().map(({ status }) => status)).toEqual([fresh.bytes.length]);
    expect(vif.counts.sent.dropped.expired).toBe(1);
  });

  test.each(['0', '1'])(
    'counts as gone after a minute, until it offers pages (feature-rx-notify %s)',
    async (notify) => {
      await front.publish({ 'feature-rx-notify': notify });
      const { vif } = host.vif(guest);
      vif.send(many(1));
      await host.settle(STALL_MS - 2000);
      expect(vif.info.carrier).toBe(true);
      vif.send(many(1));
      await host.settle(4000);
      expect(vif.info.carrier).toBe(false);
      expect(host.vif(guest).changes).toBe(1);
      // Nothing is kept for it any more.
      expect(vif.send(many(1000))).toBe(1000);
      await host.settle(60_000);
      expect(front.received()).toEqual([]);
      front.offer(3);
      await host.settle();
      expect(vif.info.carrier).toBe(true);
      vif.send(many(2));
      await host.settle();
      expect(front.received().length).toBe(2);
    },
  );

  test('is polled when it does not say that it offers pages', async () => {
    await front.publish({ 'feature-rx-notify': '0' });
    const { vif } = host.vif(guest);
    vif.send(many(3));
    await host.settle();
    front.channel.onEvent(() => {});
    front.rx.publish(0);
    for (let page = 0; page < 3; page++) front.offer(1, page);
    await host.settle(100);
    expect(front.received().length).toBe(3);
  });

  test('is not looked after any more once it is gone, however often there was room', async () => {
    await front.publish();
    const { vif } = host.vif(guest);
    vif.onRoom(() => void vif.send(many(1000)));
    vif.send(many(1000));
    await host.settle(3 * EXPIRY_MS);
    expect(vif.counts.sent.dropped.expired).toBeGreaterThan(100);
    // The ring is the guest's alone again, and may hold anything.
    const former = front;
    await former.write('state', '6');
    await host.settle(100);
    former.rx.publish(5000);
    front = new RawFront(host, guest);
    await front.write('state', '1');
    await host.settle(100);
    await front.publish();
    former.release();
    expect([await front.error(), await front.backState()]).toEqual([undefined, '4']);
  });

  test('keeps nothing when it dies', async () => {
    await front.publish();
    host.vif(guest).vif.send(many(100));
    await host.settle();
  });
});

test('a page that cannot be written fails that packet, whose other slots are in order', async () => {
  await front.publish();
  const { vif } = host.vif(guest);
  front.offer(1);
  front.offer(1, 31_000);
  front.offer(2, 2);
  vif.send([frame(packet({ payload: pattern(9000, 1) }), { gso: { type: 'tcpv4', size: 1400 } })]);
  await host.settle();
  // The packet has three pages and an extra info in the second slot.
  expect(front.received().map(({ flags, status }) => [flags & NETRXF_more_data, status])).toEqual([
    [4, 4096],
    [expect.anything(), expect.anything()],
    [4, 4096],
    [0, 9054 - 8192],
  ]);
  front.offer(1, 31_000);
  front.offer(1);
  vif.send([frame(packet()), frame(packet())]);
  await host.settle();
  expect(front.received().map(({ status }) => status)).toEqual([-1, 154]);
  expect(vif.counts.sent.dropped.refused).toBe(1);
});

test('headroom is left free, and changed while frames go on', async () => {
  await front.publish({ 'xdp-headroom': '256' });
  const { vif } = host.vif(guest);
  front.offer(3);
  vif.send([frame(packet({ payload: pattern(4000, 1) }), { gso: { type: 'tcpv4', size: 1400 } })]);
  await host.settle();
  expect(front.received().map(({ offset, status }) => [offset, status])[0]).toEqual([256, 3840]);
  await front.write('xdp-headroom', '0');
  await front.write('state', '7');
  await host.settle();
  expect(await front.backState()).toBe('8');
  await front.write('state', '4');
  await host.settle();
  expect(await front.backState()).toBe('4');
  front.offer(1);
  vif.send([frame(packet())]);
  await host.settle();
  expect(front.received()).toMatchObject([{ offset: 0, status: 154 }]);
});
