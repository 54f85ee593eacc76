/** What becomes of an interface when one of its ends begins anew, moves or dies, and of a network of them. */
import { describe, expect, test } from 'vitest';
import { Prng } from '../../src/base/prng.ts';
import type { NetFront, NetFrontOptions } from '../../src/net/front.ts';
import type { MacAddress } from '../../src/net/mac-address.ts';
import { StationFilter } from '../../src/net/station-filter.ts';
import { Switch } from '../../src/net/switch.ts';
import type { HostDevice, HostGuest } from '../xenbus/sim-host.ts';
import { collect, NetHost } from './net-host.ts';
import { frame, MAC_A, MAC_B, packet, pattern } from './packets.ts';
import { RawFront } from './raw-front.ts';

async function end(host: NetHost, guests: HostGuest[], devices: HostDevice[]): Promise<void> {
  for (const guest of guests) {
    const own = devices.filter(({ front }) => front.includes(`/domain/${guest.domid}/`));
    await host.destroy(guest, own);
  }
  expect(host.bus.paths).toEqual([]);
  expect([...host.plugged.keys()]).toEqual([]);
  expect(await host.tree('/local/domain/0')).toEqual([]);
  expect(await host.endAll()).toEqual([]);
}

/** Has every interface of the host's guests plugged into one switch, each with its own address. */
function withSwitch(host: NetHost): void {
  let network: Switch | undefined;
  let owner = host.process;
  host.onPlug = (vif, request) => {
    // The switch lives and dies with the back end's process.
    if (network === undefined || owner !== host.process) network = new Switch(host.process.clock);
    owner = host.process;
    const filter = new StationFilter(request.mac, request.addresses);
    return network.addPort(vif, { name: `vif${request.peer}.${request.devid}`, filter });
  };
}

/** Sends numbered frames until each has come back from the other side: what a TCP would do. */
class Talk {
  readonly missing: Set<number>;
  private readonly from: NetFront;
  private readonly macs: { source: MacAddress; target: MacAddress };

  constructor(from: NetFront, to: NetFront, source: MacAddress, target: MacAddress, count: number) {
    this.from = from;
    this.macs = { source, target };
    this.missing = new Set(Array.from({ length: count }, (_, number) => number));
    to.onReceive((frames) => {
      for (const { bytes } of frames) {
        const number = new DataView(bytes.buffer, bytes.byteOffset).getUint32(38);
        const expected = this.frame(number).bytes;
        // Whatever was killed when, no frame arrives that was not sent.
        expect(Buffer.compare(bytes, expected)).toBe(0);
        this.missing.delete(number);
      }
    });
  }

  /** Sends once more what has not arrived. */
  resend(): void {
    this.from.send([...this.missing].map((number) => this.frame(number)));
  }

  private frame(number: number) {
    const payload = pattern(number % 1400, number);
    return frame(packet({ ...this.macs, sequence: number, payload }));
  }
}

async function talkUntilDone(host: NetHost, talks: readonly Talk[]): Promise<void> {
  for (let rounds = 0; rounds < 200 && talks.some(({ missing }) => missing.size > 0); rounds++) {
    for (const talk of talks) talk.resend();
    await host.settle(50);
  }
  expect(talks.map(({ missing }) => missing.size)).toEqual(talks.map(() => 0));
}

describe.each([
  ['one queue', {}],
  ['four queues', { queues: 4, pagesMax: 600 }],
] as [string, NetFrontOptions][])('with %s', (_, options) => {
  async function start(seed: number) {
    const host = await NetHost.start(seed);
    withSwitch(host);
    const guests = [await host.guest(), await host.guest()] as [HostGuest, HostGuest];
    const devices = [
      await host.attachVif(guests[0], 0, {}, MAC_A),
      await host.attachVif(guests[1], 0, {}, MAC_B),
    ];
    const fronts = [await host.front(guests[0], options), await host.front(guests[1], options)];
    const [a, b] = fronts as [NetFront, NetFront];
    const talks = [new Talk(a, b, MAC_A, MAC_B, 100), new Talk(b, a, MAC_B, MAC_A, 100)];
    const prng = new Prng(seed);
    const aWhile = async () => {
      for (const talk of talks) talk.resend();
      await host.world.run({ until: () => prng.chance(0.05) });
    };
    return { host, guests, devices, a, b, talks, aWhile };
  }

  test.each([31, 32, 33])('back ends killed under load break no link, seed %i', async (seed) => {
    const { host, guests, devices, a, b, talks, aWhile } = await start(seed);
    for (let kills = 0; kills < 5; kills++) {
      await aWhile();
      host.process.kill();
      host.plugged.clear();
      await host.startBack();
      expect([a.info.carrier, b.info.carrier]).toEqual([true, true]);
    }
    await talkUntilDone(host, talks);
    await host.finish(a.close());
    await end(host, guests, devices);
  });

  test.each([41, 42])('a guest resumed under load goes on, seed %i', async (seed) => {
    const { host, guests, devices, a, talks, aWhile } = await start(seed);
    for (let resumes = 0; resumes < 3; resumes++) {
      await aWhile();
      await host.finish(a.resume());
      expect(a.info.carrier).toBe(false);
      await host.settle(20);
    }
    await talkUntilDone(host, talks);
    await end(host, guests, devices);
  });

  test.each([51, 52])('a back end that starts its device over goes on, seed %i', async (seed) => {
    const { host, guests, devices, talks, aWhile } = await start(seed);
    for (let resets = 0; resets < 3; resets++) {
      await aWhile();
      await host.finish(host.tools.write(`${devices[0]!.back}/state`, '6'));
      await host.settle(20);
    }
    await talkUntilDone(host, talks);
    await end(host, guests, devices);
  });

  test.each([71, 72])(
    'kills, late signals and failing copies change no frame, seed %i',
    async (seed) => {
      const { host, guests, devices, talks, aWhile } = await start(seed);
      Object.assign(host.world.faults, { delayEvent: 0.3, spuriousEvent: 0.2, refuseCopy: 0.05 });
      for (let kills = 0; kills < 4; kills++) {
        await aWhile();
        host.process.kill();
        host.plugged.clear();
        await host.startBack();
      }
      await talkUntilDone(host, talks);
      await end(host, guests, devices);
    },
  );

  test('a device that is detached under load ends', async () => {
    const { host, guests, devices, a, b, aWhile } = await start(61);
    await aWhile();
    await host.askToClose(devices[0]!);
    await host.settle();
    expect(a.ended?.message).toContain('detached');
    expect(a.info.carrier).toBe(false);
    expect(b.info.carrier).toBe(true);
    await host.finish(a.close());
    await host.removeDirectories(devices[0]!);
    await end(host, guests, devices);
  });

  test('a device whose directories vanish after a resume ends (XSA-465)', async () => {
    const { host, guests, devices, a, aWhile } = await start(62);
    await aWhile();
    await host.finish(a.resume());
    await host.forceClose(devices[0]!);
    await host.removeDirectories(devices[0]!);
    await host.settle();
    expect(a.ended?.code).toBe('EIO');
    await host.finish(a.close());
    await end(host, guests, devices);
  });
});

test('a back end that takes over hears every group, since it was told of none', async () => {
  const host = await NetHost.start();
  const guest = await host.guest();
  const device = await host.attachVif(guest);
  const front = await host.front(guest, { filterMulticast: true });
  const received = collect(front);
  const toGroup = frame(packet({ target: 0x0100_5e00_0001 }));
  host.vif(guest).vif.send([toGroup]);
  await host.settle();
  expect(received.length).toBe(0);
  host.process.kill();
  host.plugged.clear();
  await host.startBack();
  await host.settle();
  host.vif(guest).vif.send([toGroup]);
  await host.settle();
  expect(received.length).toBe(1);
  await end(host, [guest], [device]);
});

test('a guest that asks for another headroom gets it from a back end that takes over', async () => {
  const host = await NetHost.start();
  const guest = await host.guest();
  const device = await host.attachVif(guest);
  const front = new RawFront(host, guest);
  await front.publish();
  const restart = async () => {
    host.process.kill();
    host.plugged.clear();
    await host.startBack();
    await host.settle();
  };
  await front.write('xdp-headroom', '128');
  await front.write('state', '7');
  await restart();
  expect(await front.backState()).toBe('8');
  await restart();
  await front.write('state', '4');
  await host.settle();
  expect(await front.backState()).toBe('4');
  front.offer(1);
  host.vif(guest).vif.send([frame(packet())]);
  await host.settle();
  expect(front.received()).toMatchObject([{ offset: 128, status: 154 }]);
  await end(host, [guest], [device]);
});

test('a guest that joined groups is a member again after it was resumed', async () => {
  const host = await NetHost.start();
  const guest = await host.guest();
  const device = await host.attachVif(guest);
  const front = await host.front(guest, { filterMulticast: true });
  const received = collect(front);
  const groups = [0x0100_5e00_0001, 0x0100_5e00_0002, 0x0100_5e00_0003];
  for (const group of groups) front.joinGroup(group as MacAddress);
  front.leaveGroup(groups[1] as MacAddress);
  await host.finish(front.resume());
  await host.settle();
  host.vif(guest).vif.send(groups.map((target) => frame(packet({ target }))));
  await host.settle();
  expect(received.length).toBe(2);
  await end(host, [guest], [device]);
});

test('a guest with two interfaces talks to itself through both', async () => {
  const host = await NetHost.start();
  withSwitch(host);
  const guest = await host.guest();
  const devices = [
    await host.attachVif(guest, 0, {}, MAC_A),
    await host.attachVif(guest, 1, {}, MAC_B),
  ];
  const a = await host.front(guest, { pagesMax: 400 }, 0);
  const b = await host.front(guest, { pagesMax: 400 }, 1);
  await talkUntilDone(host, [new Talk(a, b, MAC_A, MAC_B, 200), new Talk(b, a, MAC_B, MAC_A, 500)]);
  await end(host, [guest], devices);
});

test('a guest cannot take the address of another', async () => {
  const host = await NetHost.start();
  withSwitch(host);
  const guests = [await host.guest(), await host.guest()] as [HostGuest, HostGuest];
  const devices = [
    await host.attachVif(guests[0], 0, { ip: '10.0.0.1' }, MAC_A),
    await host.attachVif(guests[1], 0, { ip: '10.0.0.2' }, MAC_B),
  ];
  const a = await host.front(guests[0]);
  const received = collect(await host.front(guests[1]));
  a.send([
    frame(packet({ source: MAC_B })),
    frame(packet({ sourceAddress: [10, 0, 0, 2] })),
    frame(packet({ payload: pattern(3, 3) })),
  ]);
  await host.settle();
  expect(received.map(({ bytes }) => bytes)).toEqual([packet({ payload: pattern(3, 3) })]);
  await end(host, guests, devices);
});

test.each([11, 12, 13, 14])(
  'a guest killed at any moment leaves nothing, seed %i',
  async (seed) => {
    const host = await NetHost.start(seed, { delayEvent: 0.3 });
    withSwitch(host);
    const guests = [await host.guest(), await host.guest()] as [HostGuest, HostGuest];
    const devices = [
      await host.attachVif(guests[0], 0, {}, MAC_A),
      await host.attachVif(guests[1], 0, {}, MAC_B),
    ];
    const other = await host.front(guests[1]);
    const prng = new Prng(seed);
    const working = host.front(guests[0], { queues: 2 }).then((front) => {
      new Talk(front, other, MAC_A, MAC_B, 200).resend();
    });
    working.catch(() => {});
    await host.world.run({ until: () => prng.chance(0.004) });
    await end(host, guests, devices);
  },
);

test('a guest that starts over without closing, as after kexec, is served by its new kernel', async () => {
  const host = await NetHost.start(8);
  const guest = await host.guest();
  const device = await host.attachVif(guest);
  const before = new RawFront(host, guest);
  await before.publish();
  expect(await before.backState()).toBe('4');
  before.release();
  const front = await host.front(guest);
  expect(front.send([frame(packet())])).toBe(1);
  await host.settle();
  expect(host.vif(guest).frames.length).toBe(1);
  await host.finish(front.close());
  await end(host, [guest], [device]);
});

test('a front end that begins with a close cycle, as on Windows, is served afterwards', async () => {
  const host = await NetHost.start(9);
  const guest = await host.guest();
  const device = await host.attachVif(guest);
  const front = new RawFront(host, guest);
  for (const [own, back] of [
    ['5', '6'],
    ['6', '6'],
    ['1', '2'],
  ] as const) {
    await front.write('state', own);
    await host.settle();
    expect(await front.backState()).toBe(back);
  }
  await front.publish();
  front.putPacket(packet());
  expect(await front.ask()).toEqual([0]);
  await end(host, [guest], [device]);
});
