/** A wire between two ends that the test holds in its hands. */
import { beforeEach, expect, test } from 'vitest';
import { SimWorld } from '../../src/hypervisor/sim/world.ts';
import type { PausableInterface } from '../../src/net/network-interface.ts';
import { StationFilter } from '../../src/net/station-filter.ts';
import { Wire } from '../../src/net/wire.ts';
import { MAC_A, MAC_B, packet, pattern } from './packets.ts';
import { Station } from './station.ts';

class HostEnd extends Station implements PausableInterface {
  paused = false;

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }
}

let guest: Station;
let host: HostEnd;
let carriers: boolean[];
let wire: Wire;

const plug = (more = {}) => {
  const { clock } = new SimWorld({ seed: 1 });
  const options = { name: 'vif3.0', ...more };
  return new Wire({ guest, host, clock, options, onCarrier: (on) => carriers.push(on) });
};

beforeEach(() => {
  guest = new Station();
  host = new HostEnd();
  carriers = [];
});

const numbered = (number: number) =>
  packet({ source: MAC_B, target: MAC_A, sequence: number, payload: pattern(50, number) });

test('frames go both ways as they are, with tags and between bridges', () => {
  wire = plug();
  const frames = [packet({ vlan: 7 }), packet({ target: 0x0180_c200_0000 }), packet()];
  guest.say(...frames);
  expect(host.take()).toEqual(frames);
  host.say(...frames);
  expect(guest.take()).toEqual(frames);
  const bytes = frames.reduce((sum, { length }) => sum + length, 0);
  expect(wire.port.counts).toMatchObject({ in: { frames: 3, bytes }, out: { frames: 3, bytes } });
});

test('a guest that has no room holds the host back, and loses nothing', () => {
  wire = plug();
  guest.room = 2;
  host.say(numbered(1), numbered(2), numbered(3), numbered(4), numbered(5));
  expect(host.paused).toBe(true);
  guest.makeRoom();
  expect(host.paused).toBe(true);
  guest.makeRoom();
  expect(host.paused).toBe(false);
  expect(guest.take()).toEqual([1, 2, 3, 4, 5].map(numbered));
  expect(wire.port.counts.out.dropped.room).toBe(0);
});

test('a guest that has gone holds nobody back', () => {
  wire = plug();
  guest.room = 0;
  host.say(numbered(1));
  expect(host.paused).toBe(true);
  guest.setCarrier(false);
  guest.makeRoom();
  expect(host.paused).toBe(false);
  host.say(numbered(2));
  expect(host.paused).toBe(false);
  wire.close();
  wire.close();
  expect(carriers).toEqual([true, false, false]);
});

test('only what the guest may send passes, and all of it is in a capture', () => {
  wire = plug({ filter: new StationFilter(MAC_A, ['10.0.0.1']) });
  let parts = 0;
  wire.port.capture(() => {
    parts++;
  });
  guest.say(packet(), packet({ source: MAC_B }), packet({ sourceAddress: [10, 0, 0, 9] }));
  guest.say(new Uint8Array(13));
  host.say(packet());
  expect(host.take()).toHaveLength(1);
  expect(wire.port.counts.in.dropped).toMatchObject({ filter: 2, invalid: 1 });
  expect(parts).toBe(1 + 4);
});

test('what the host has no room for is lost and counted', () => {
  wire = plug();
  host.room = 1;
  guest.say(packet(), packet());
  expect(wire.port.counts.in.dropped.room).toBe(1);
});
