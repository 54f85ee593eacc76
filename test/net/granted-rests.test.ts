/** Large frames that a switch sends from one guest's pages to another's, and where the whole of them is needed. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { NETTXF_csum_blank, NETTXF_extra_info, NETTXF_more_data } from '../../src/abi/io/netif.ts';
import { Prng } from '../../src/base/prng.ts';
import type { Hypervisor } from '../../src/hypervisor/contract.ts';
import type { Frame } from '../../src/net/frame.ts';
import type { NetFront, NetFrontOptions } from '../../src/net/front.ts';
import { Switch } from '../../src/net/switch.ts';
import type { PortOptions, SwitchPort } from '../../src/net/switch-port.ts';
import type { HostDevice, HostGuest } from '../xenbus/sim-host.ts';
import { collect, NetHost } from './net-host.ts';
import { MAC_A, MAC_B, packet, pattern } from './packets.ts';
import { RawFront } from './raw-front.ts';
import { expectNothingLeft } from './raw-guest.ts';
import { Station } from './station.ts';

const HEADERS = 14 + 20 + 20;
const GSO = { type: 1, gso_type: 1, gso_size: 1448 };
const LENGTH = 20_000;
const OKAY = 0;
const ERROR = -1;

let host: NetHost;
let network: Switch;
let sender: HostGuest;
let front: RawFront;
let receiver: HostGuest;
/** Copies from page to page that the back end has asked for. */
let passedOn: number;
let ports: Map<number, SwitchPort>;
let options: Map<number, Partial<PortOptions>>;
let received: HostDevice[];

/** Counts what goes from page to page. */
function watchCopies({ grants }: Hypervisor): void {
  const copyBatch = grants.copyBatch.bind(grants);
  grants.copyBatch = (capacity) => {
    const batch = copyBatch(capacity);
    const { between } = batch;
    const counted: typeof between = (...copy) => {
      passedOn++;
      return between(...copy);
    };
    return Object.assign(batch, { between: counted });
  };
}

beforeEach(async () => {
  host = await NetHost.start();
  passedOn = 0;
  watchCopies(host.process.hypervisor);
  network = new Switch(host.process.clock);
  ports = new Map();
  options = new Map();
  received = [];
  host.onPlug = (vif, { peer }) => {
    const port = network.addPort(vif, { name: `vif${peer}`, ...options.get(peer) });
    ports.set(peer, port);
    return port;
  };
  sender = await host.guest();
  receiver = await host.guest();
  await host.attachVif(sender);
  front = new RawFront(host, sender);
  await front.publish();
});

afterEach(async () => {
  await host.destroy(receiver, received);
  await expectNothingLeft({ host, guest: sender, front });
});

/** The receiver's front end, of which the switch has heard. */
async function connect(more: NetFrontOptions = {}): Promise<[NetFront, Frame[]]> {
  received.push(await host.attachVif(receiver, 0, {}, MAC_B));
  const connected = await host.front(receiver, more);
  await host.settle();
  const frames = collect(connected);
  connected.send([{ ...plain, bytes: packet({ source: MAC_B, target: MAC_A }) }]);
  await host.settle();
  return [connected, frames];
}

const plain = { checksum: 'unknown', gso: undefined, hash: undefined } as const;

/** Puts a large frame as a guest's kernel would: the first piece apart from the others, these where the seed says. */
function putLarge(bytes: Uint8Array, first: number, seed = 1): number {
  const prng = new Prng(seed);
  const pieces: { page: number; offset: number; size: number }[] = [];
  for (let at = 0; at < bytes.length; ) {
    const page = pieces.length;
    const offset = at === 0 ? 64 : prng.below(200);
    const size = Math.min(at === 0 ? first : 4096 - offset, bytes.length - at);
    front.data.page(page).set(bytes.subarray(at, at + size), offset);
    pieces.push({ page, offset, size });
    at += size;
  }
  for (const [index, { page, offset, size }] of pieces.entries()) {
    const more = index + 1 < pieces.length ? NETTXF_more_data : 0;
    const own = index === 0 ? NETTXF_csum_blank | NETTXF_extra_info : 0;
    front.put({
      gref: front.data.refs[page]!,
      offset,
      size: index === 0 ? bytes.length : size,
      flags: more | own,
    });
    if (index === 0) front.putExtra(GSO);
  }
  return pieces.length;
}

/** Resolves once the packet is answered. */
function sendLarge(bytes: Uint8Array, first = HEADERS): Promise<unknown> {
  putLarge(bytes, first);
  return front.ask();
}

const large = (seed: number, length = LENGTH) =>
  packet({ payload: pattern(length - HEADERS, seed), source: MAC_A, target: MAC_B });
/** Without the checksum, which is blank on its way. */
const content = (bytes: Uint8Array) => Buffer.from(bytes).fill(0, HEADERS - 4, HEADERS - 2);
const expectSame = (found: Frame | undefined, sent: Uint8Array) =>
  expect(found !== undefined && content(found.bytes).equals(content(sent))).toBe(true);
const okay = (pieces: number) => [OKAY, 1, ...new Array(pieces - 1).fill(OKAY)];

test('go from page to page, and arrive as they were', async () => {
  const [, frames] = await connect();
  for (let seed = 1; seed <= 12; seed++) {
    const bytes = large(seed, 8192 + seed * 4000);
    const before = passedOn;
    const pieces = putLarge(bytes, seed % 2 === 0 ? HEADERS : 200, seed);
    expect(await front.ask()).toEqual(okay(pieces));
    expect(passedOn - before).toBe(pieces - 1);
    const [found] = frames.splice(0);
    expectSame(found, bytes);
    expect(found?.gso).toEqual({ type: 'tcpv4', size: 1448 });
  }
});

test('go to each guest of a flood', async () => {
  const [, frames] = await connect();
  const third = await host.guest();
  const device = await host.attachVif(third, 0, {}, MAC_A);
  const others = collect(await host.front(third));
  await host.settle();
  const bytes = large(3);
  bytes.set([0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 0);
  const pieces = putLarge(bytes, HEADERS);
  await front.ask();
  expect(passedOn).toBe(2 * (pieces - 1));
  expectSame(frames[0], bytes);
  expectSame(others[0], bytes);
  await host.destroy(third, [device]);
});

describe('come as a whole', () => {
  test.each([13, 14, 33, 34, HEADERS - 1])(
    'where the first piece has %i bytes, and so not all headers',
    async (first) => {
      const [, frames] = await connect();
      // From some time on another one is left again, where the headers of those before still stand.
      for (let batch = 0; batch < 40; batch++) {
        const bytes = large(batch);
        await sendLarge(bytes, first);
        expectSame(frames.splice(0)[0], bytes);
      }
      expect(passedOn).toBe(0);
    },
  );

  test('where somebody captures at one of the ports', async () => {
    const [, frames] = await connect();
    for (const { domid } of [sender, receiver]) {
      const records: Buffer[] = [];
      const capture = ports.get(domid)!.capture((part) => records.push(Buffer.from(part)));
      const bytes = large(domid);
      await sendLarge(bytes);
      capture.close();
      expectSame(frames.splice(0)[0], bytes);
      const captured = Buffer.concat(records);
      expect(captured.includes(Buffer.from(bytes.subarray(HEADERS)))).toBe(true);
    }
  });

  test('where they go to something else than a guest, and for a while after that', async () => {
    const [, frames] = await connect();
    const station = new Station();
    network.addPort(station, { name: 'station' });
    station.say(packet({ source: 0x0016_3e00_000c, target: MAC_A }));
    const toStation = large(1);
    toStation[5] = 0x0c;
    await sendLarge(toStation);
    frames.length = 0;
    expectSame(station.heard.splice(0)[0], toStation);
    let batches = 0;
    for (; passedOn === 0 && batches < 100; batches++) {
      const bytes = large(batches);
      await sendLarge(bytes);
      expectSame(frames.splice(0)[0], bytes);
    }
    expect([batches > 10, batches < 100]).toEqual([true, true]);
  });

  test('where their tag changes', async () => {
    options.set(receiver.domid, { vlans: { tagged: [1] } });
    received.push(await host.attachVif(receiver, 0, {}, MAC_B));
    const frames = collect(await host.front(receiver));
    await host.settle();
    const bytes = large(2);
    await sendLarge(bytes);
    const tagged = packet({
      payload: pattern(LENGTH - HEADERS, 2),
      source: MAC_A,
      target: MAC_B,
      vlan: 1,
    });
    const blanked = (whole: Uint8Array) => Buffer.from(whole).fill(0, HEADERS, HEADERS + 2);
    expect(blanked(frames[0]!.bytes).equals(blanked(tagged))).toBe(true);
    expect(passedOn).toBe(0);
  });

  test('where the receiver takes no large ones', async () => {
    const [, frames] = await connect({ without: new Set(['gso-tcpv4']) });
    const bytes = large(4);
    await sendLarge(bytes);
    const payload = Buffer.concat(frames.map((frame) => frame.bytes.subarray(HEADERS)));
    expect(payload.equals(bytes.subarray(HEADERS))).toBe(true);
    expect(passedOn).toBe(0);
  });

  test('where the receiver leaves room in each page', async () => {
    const [, frames] = await connect({ headroom: 256 });
    const bytes = large(5);
    await sendLarge(bytes);
    expectSame(frames[0], bytes);
  });

  test('where the receiver has no pages left', async () => {
    received.push(await host.attachVif(receiver, 0, {}, MAC_B));
    const raw = new RawFront(host, receiver);
    await raw.publish();
    const bytes = large(6);
    const pieces = putLarge(bytes, HEADERS);
    expect(await front.ask()).toEqual(okay(pieces));
    for (let page = 0; page < pieces; page++) front.data.page(page).fill(0);
    raw.offer(20);
    await host.settle();
    const found = raw.received().filter(({ id, status }) => id < 20 && status > 0);
    // The extra info has no page; its slot is told by the number of its request.
    const parts = found.map(({ id, status }) => raw.data.page(id).slice(0, status));
    expect(content(Buffer.concat(parts).subarray(0, LENGTH)).equals(content(bytes))).toBe(true);
    raw.release();
  });
});

describe('that cannot be had', () => {
  /** With a grant that was never made in place of its third piece. */
  function putBad(): void {
    const before = front.tx.produced;
    putLarge(large(7), HEADERS);
    const slot = front.tx.slot(before + 3);
    new DataView(slot.buffer, slot.byteOffset).setUint32(0, 31_000, true);
  }

  test('reach no guest, and the next one does', async () => {
    const [connected, frames] = await connect();
    putBad();
    await front.ask();
    expect(frames).toEqual([]);
    const bytes = large(8);
    await sendLarge(bytes);
    expectSame(frames[0], bytes);
    expect(connected.info.carrier).toBe(true);
  });

  test('reach nobody else, and are answered by an error', async () => {
    const station = new Station();
    network.addPort(station, { name: 'station' });
    const pieces = putLarge(large(1), HEADERS);
    expect(await front.ask()).toEqual(okay(pieces));
    station.heard.length = 0;
    for (let batch = 0; batch < 40; batch++) {
      putBad();
      const statuses = await front.ask();
      expect(statuses.filter((status) => status === ERROR).length).toBe(pieces);
      for (const { bytes } of station.heard.splice(0)) expect(bytes.length).toBe(HEADERS);
    }
  });
});
