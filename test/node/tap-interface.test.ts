/** TAP devices: this process at one end, and programs in a network namespace of the test's at the other. */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { XenError } from '../../src/base/errors.ts';
import { checksumIsRight } from '../../src/net/checksum.ts';
import type { Frame } from '../../src/net/frame.ts';
import { parseMacAddress } from '../../src/net/mac-address.ts';
import { PacketHeaders } from '../../src/net/packet-headers.ts';
import { TapInterface } from '../../src/node/tap-interface.ts';
import { native } from '../native/shim.ts';
import { kept } from '../net/net-host.ts';
import { frame, MAC_A, packet, pattern } from '../net/packets.ts';
import { missingForTaps, NetworkNamespace, sender } from './network-namespace.ts';

const open = (name: string, more = {}) => TapInterface.open(native, { name, ...more });
const interfaces = () => readdirSync('/sys/class/net');

test('a name that no interface can have is refused before anything is tried', () => {
  for (const name of ['', 'sixteen-letters-', 'a/b', 'a b', 'a:b', '..', 'tap%d']) {
    expect(() => open(name)).toThrow(/1 to 15 characters/);
  }
});

const missing = missingForTaps();
const title = missing === undefined ? 'a TAP device' : `skipped: ${missing}`;

describe.skipIf(missing !== undefined)(title, () => {
  let space: NetworkNamespace;
  const taps: TapInterface[] = [];
  const newTap = (name: string, more = {}) => {
    const tap = open(name, more);
    taps.push(tap);
    return tap;
  };
  /** Two stations of the namespace would speak past us, so the second end is in another. */
  let other: NetworkNamespace;

  beforeEach(async () => {
    space = await NetworkNamespace.open();
    other = await NetworkNamespace.open();
  });

  afterEach(async () => {
    for (const tap of taps.splice(0)) tap.close();
    await space.close();
    await other.close();
    expect(interfaces().filter((name) => name.startsWith('pvt'))).toEqual([]);
  });

  /** Two TAPs, each with an end in a namespace, and frames from one handed to the other. */
  async function pair(onFrame: (frame: Frame) => void = () => {}): Promise<TapInterface[]> {
    const ends = [newTap('pvt0', { mtu: 1500 }), newTap('pvt1', { mtu: 1500 })];
    ends.forEach((tap, index) => {
      tap.onReceive((frames) => {
        for (const each of frames) onFrame(each);
        ends[1 - index]!.send(frames);
      });
    });
    await space.take('pvt0', ['10.9.0.1/24', 'fd09::1/64']);
    await other.take('pvt1', ['10.9.0.2/24', 'fd09::2/64']);
    return ends;
  }

  test('without permission says so, and leaves nothing', () => {
    process.seteuid!(65534);
    try {
      expect(() => open('pvt0')).toThrow(/pvt0.*CAP_NET_ADMIN, which root has \(EPERM\)/);
    } finally {
      process.seteuid!(0);
    }
  });

  test('whose name another interface has, or which another program uses, is refused', () => {
    expect(() => open('lo')).toThrow(/no TAP device \(EINVAL\)/);
    newTap('pvt0');
    expect(() => open('pvt0')).toThrow(/another program has it open \(EBUSY\)/);
  });

  test('has the MAC address and the MTU that it was given', () => {
    const mac = parseMacAddress('fe:ff:ff:ff:ff:ff');
    expect(newTap('pvt0', { mac, mtu: 9000 }).info).toEqual({ mac, mtu: 9000, carrier: true });
    expect(execFileSync('ip', ['link', 'show', 'pvt0'], { encoding: 'utf8' })).toMatch(
      /mtu 9000[\s\S]*fe:ff:ff:ff:ff:ff/,
    );
  });

  test('stays with whoever opens it next when it was asked to, and goes when it was not', () => {
    const first = open('pvt0');
    first.persist(true);
    first.close();
    first.close();
    expect(interfaces()).toContain('pvt0');
    const second = open('pvt0');
    second.persist(false);
    second.close();
    expect(interfaces()).not.toContain('pvt0');
  });

  test('shows the host a cable or none', async () => {
    const tap = newTap('pvt0');
    await space.take('pvt0');
    expect(await space.run('ip link show pvt0')).not.toContain('NO-CARRIER');
    tap.setCarrier(false);
    expect(await space.run('ip link show pvt0')).toContain('NO-CARRIER');
  });

  test('becomes a port of a bridge, if there is one', async () => {
    const tap = newTap('pvt0');
    expect(() => tap.joinBridge('pvt-none')).toThrow(/there is no such bridge/);
    execFileSync('ip', ['link', 'add', 'pvtbr', 'type', 'bridge']);
    try {
      tap.joinBridge('pvtbr');
      tap.bringUp();
      expect(readdirSync('/sys/class/net/pvtbr/brif')).toEqual(['pvt0']);
    } finally {
      execFileSync('ip', ['link', 'delete', 'pvtbr']);
    }
  });

  test('that somebody deletes has no carrier any more, and takes nothing', async () => {
    const tap = newTap('pvt0');
    await space.take('pvt0');
    const changed = new Promise<void>((resolve) => tap.onChange(resolve));
    await space.run('ip link delete pvt0');
    await changed;
    expect(tap.info.carrier).toBe(false);
    expect(tap.send([frame(packet())])).toBe(0);
  });

  test('that somebody deletes while nobody reads from it is found to be gone', async () => {
    const tap = newTap('pvt0');
    await space.take('pvt0');
    tap.pause();
    await space.run('ip link delete pvt0');
    tap.setCarrier(false);
    expect(tap.info.carrier).toBe(false);
    tap.persist(false);
  });

  test('carries echoes by IPv4 and IPv6 between two hosts, in fragments', async () => {
    await pair();
    await space.run('busybox ping -c 3 -W 5 -s 3000 10.9.0.2');
    await space.run('busybox ping -6 -c 3 -W 5 -s 3000 fd09::2');
  });

  test.each(['10.9.0.2', 'fd09::2'])(
    'carries TCP to %s with segments that nobody cuts',
    async (address) => {
      let largest = 0;
      let segmented = 0;
      await pair(({ bytes, gso }) => {
        largest = Math.max(largest, bytes.length);
        if (gso !== undefined) segmented++;
      });
      const server = await other.receiver(7000);
      const sent = await space.run(sender(address, 7000));
      expect(await server.digest).toBe(sent);
      expect(largest).toBeGreaterThan(9000);
      expect(segmented).toBeGreaterThan(0);
    },
  );

  test('says of frames from the host what the host left to be done', async () => {
    const tap = newTap('pvt0', { mtu: 1500 });
    const heard: Frame[] = [];
    tap.onReceive((frames) => heard.push(...frames.map(kept)));
    await space.take('pvt0', ['10.9.0.1/24']);
    await space.run('ip neighbour add 10.9.0.2 lladdr 00:16:3e:00:00:0b dev pvt0');
    const udp = () => heard.find(({ bytes }) => bytes[23] === 17 && bytes[12] === 8);
    await space.run(`bash -c 'echo hello >/dev/udp/10.9.0.2/9'`);
    await expect.poll(udp).toBeDefined();
    expect(udp()).toMatchObject({ checksum: 'blank', gso: undefined });
    await space.run('ethtool -K pvt0 tx off');
    heard.length = 0;
    await space.run(`bash -c 'echo hello >/dev/udp/10.9.0.2/9'`);
    await expect.poll(udp).toBeDefined();
    const { bytes, checksum } = udp()!;
    expect(checksum).not.toBe('blank');
    const headers = new PacketHeaders();
    headers.locate(bytes);
    expect(checksumIsRight(bytes, headers)).toBe(true);
  });

  test('drops and counts what is no frame, and what is not what it says', async () => {
    const tap = newTap('pvt0');
    await space.take('pvt0');
    const bytes = packet({ protocol: 'tcp' });
    const wrong = [
      frame(bytes.subarray(0, 13)),
      frame(new Uint8Array(0)),
      frame(new Uint8Array(65536)),
      frame(new Uint8Array(60), { checksum: 'blank' }),
      frame(packet({ protocol: 'udp' }), { gso: { type: 'tcpv4', size: 1000 } }),
      frame(bytes, { gso: { type: 'tcpv6', size: 1000 } }),
    ];
    expect(tap.send(wrong)).toBe(wrong.length);
    expect(tap.counts.sent.dropped).toMatchObject({ length: 3, malformed: 3 });
    expect(tap.send([frame(bytes)])).toBe(1);
    expect(tap.counts.sent).toMatchObject({ frames: 1, bytes: bytes.length });
    await space.run('ip link set pvt0 down');
    expect(tap.send([frame(bytes)])).toBe(1);
    expect(tap.counts.sent.dropped.refused).toBe(1);
  });

  test('holds frames back while it is paused, and gives them in order then', async () => {
    const tap = newTap('pvt0', { mac: MAC_A });
    const heard: Uint8Array[] = [];
    tap.onReceive((frames) => {
      heard.push(...frames.map(({ bytes }) => bytes.slice()).filter((bytes) => bytes[12] === 8));
    });
    await space.take('pvt0', ['10.9.0.1/24']);
    await space.run('ip neighbour add 10.9.0.2 lladdr 00:16:3e:00:00:0b dev pvt0');
    tap.pause();
    await space.run(`bash -c 'for n in 1 2 3; do echo $n >/dev/udp/10.9.0.2/9; done'`);
    expect(heard).toEqual([]);
    tap.resume();
    await expect.poll(() => heard.map((bytes) => bytes[42])).toEqual([49, 50, 51]);
  });

  test('that is used wrongly in the shim throws, open or closed', () => {
    const tap = new native.Tap('pvt0');
    const call = (name: string, ...values: unknown[]) =>
      (Reflect.get(tap, name) as (...args: unknown[]) => unknown).call(tap, ...values);
    try {
      const header = new Uint8Array(12);
      expect(() => call('persist', 1)).toThrow(TypeError);
      expect(() => call('setMtu', 0)).toThrow(RangeError);
      expect(() => call('setAddress', new Uint8Array(5))).toThrow(RangeError);
      expect(() => call('joinBridge', 'x'.repeat(16))).toThrow(RangeError);
      expect(() => call('read', new Uint8Array(100), new Int32Array(2))).toThrow(TypeError);
      expect(() => call('write', new Uint8Array(11), new Uint8Array(60))).toThrow(RangeError);
      expect(() => call('write', header, new Uint8Array(0))).toThrow(RangeError);
      // Asks for a checksum beyond the frame.
      header.set([1, 0, 0, 0, 0, 0, 58, 0, 1, 0]);
      expect(() => call('write', header, new Uint8Array(60))).toThrow(/in the frame/);
    } finally {
      tap.close();
    }
    tap.close();
    for (const name of ['fd', 'bringUp'] as const) {
      expect(() => (name === 'fd' ? tap.fd : call(name))).toThrow(/the device is closed/);
    }
  });

  test('two that are opened and closed many times leave no descriptor', () => {
    const descriptors = () => readdirSync('/proc/self/fd').length;
    const before = descriptors();
    for (let round = 0; round < 20; round++) {
      const tap = open('pvt0');
      tap.send([frame(packet({ payload: pattern(1000, round) }))]);
      tap.close();
      expect(() => tap.joinBridge('pvtbr')).toThrow(XenError);
    }
    expect(descriptors()).toBe(before);
  });
});
