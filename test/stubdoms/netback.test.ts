/** The network back end whole: simulated guests whose network stacks are Linux's, by TAP devices. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { VifNetwork } from '../../src/net/back-request.ts';
import { parseIpv4Range } from '../../src/net/ipv4-range.ts';
import type { MacAddress } from '../../src/net/mac-address.ts';
import { SwitchNetwork } from '../../stubdoms/netback/switch-network.ts';
import { TapNetwork } from '../../stubdoms/netback/tap-network.ts';
import { DOM0_LEASES, xenstoreLeases } from '../../stubdoms/netback/xenstore-leases.ts';
import { native } from '../native/shim.ts';
import { MAC_A, MAC_B } from '../net/packets.ts';
import { missingForTaps, NetworkNamespace, sender } from '../node/network-namespace.ts';
import type { HostProcess } from '../xenbus/sim-host.ts';
import { NetbackWorld, type RealGuest } from './netback-world.ts';

const missing = missingForTaps();
const title = missing === undefined ? 'netback' : `skipped: ${missing}`;
/** Those of these tests: others may run at the same time. */
const interfaces = () => readdirSync('/sys/class/net').filter((name) => /^(pvn|vif)/.test(name));
const RANGE = '10.87.3.0/24';

describe.skipIf(missing !== undefined)(title, () => {
  let world: NetbackWorld;
  let directory: string;
  let before: string[];
  const guests: RealGuest[] = [];

  beforeEach(() => {
    world = new NetbackWorld(1);
    before = interfaces();
    directory = mkdtempSync(join(tmpdir(), 'paravane-netback-'));
    guests.length = 0;
  });

  afterEach(async () => {
    expect(await world.endWorld(guests)).toEqual([]);
    rmSync(directory, { recursive: true });
    expect(interfaces()).toEqual(before);
  });

  async function add(name: string, mac: MacAddress, keys = {}, options = {}): Promise<RealGuest> {
    const guest = await world.addRealGuest(name, mac, keys, options);
    guests.push(guest);
    return guest;
  }

  const startSwitch = (dhcp?: string) =>
    world.startService(async ({ clock, xenstore }: HostProcess) => {
      const leases = xenstoreLeases(xenstore, clock, DOM0_LEASES);
      const network = new SwitchNetwork({ clock, leases, log: world.logger, filter: true });
      if (dhcp !== undefined) await network.serveDhcp(parseIpv4Range(dhcp));
      return network;
    });

  /** `die` lets go of what Linux takes from a process that it has killed. */
  async function startTaps(): Promise<{ die(): void }> {
    const networks: VifNetwork[] = [];
    await world.startService(async ({ clock }) => {
      const network = new TapNetwork({ native, clock, log: world.logger });
      const networkFor = (name: string) => {
        networks.push(network.networkFor(name));
        return networks.at(-1)!;
      };
      return { networkFor, close: () => {} };
    });
    const die = () => {
      for (const network of networks) network.end?.(false);
    };
    return { die };
  }

  /** Has a guest ask for an address as Debian's guests do, and use it. Resolves with the address. */
  async function lease({ space, tap }: RealGuest, ...options: string[]): Promise<string> {
    const script = join(directory, `udhcpc-${tap.name}`);
    const use = `[ "$1" != bound ] || { ip address flush dev $interface
      ip address add $ip/$mask dev $interface; echo "LEASE $ip/$mask"; }`;
    writeFileSync(script, `#!/bin/sh\n${use}\n`, { mode: 0o755 });
    const words = ['-i', tap.name, '-n', '-q', '-f', '-t', '10', '-T', '1', '-s', script];
    const out = await space.run(`busybox udhcpc ${[...words, ...options].join(' ')} 2>&1`);
    const [, address] = /LEASE (\S+)/.exec(out) ?? [];
    expect(address, out).toBeDefined();
    return address!;
  }

  async function transfer(from: RealGuest, to: NetworkNamespace, address: string): Promise<void> {
    const receiver = await to.receiver(7000);
    const sent = await from.space.run(sender(address, 7000));
    expect(await receiver.digest).toBe(sent);
  }

  test('guests in the switch lease addresses, ping the server and each other, and speak TCP', async () => {
    await startSwitch(RANGE);
    const a = await add('pvna', MAC_A, {}, { queues: 2, pagesMax: 800 });
    const b = await add('pvnb', MAC_B);
    world.pump();
    const [ofA, ofB] = [await lease(a), await lease(b)];
    expect([ofA, ofB].every((address) => /^10\.87\.3\.\d+\/24$/.test(address))).toBe(true);
    expect(ofA).not.toBe(ofB);
    expect(await lease(a)).toBe(ofA);
    await a.space.run('busybox ping -c 2 -W 5 10.87.3.1');
    const addressOfB = ofB.replace('/24', '');
    await a.space.run(`busybox ping -c 2 -W 5 -s 3000 ${addressOfB}`);
    await transfer(a, b.space, addressOfB);
  });

  test('a guest that was given an address gets it by DHCP, and may use no other', async () => {
    await startSwitch(RANGE);
    const a = await add('pvna', MAC_A, { ip: '10.87.3.77' });
    const b = await add('pvnb', MAC_B);
    world.pump();
    expect(await lease(a)).toBe('10.87.3.77/24');
    expect(await lease(b, '-r', '10.87.3.77')).not.toBe('10.87.3.77/24');
    await b.space.run('busybox ping -c 1 -W 5 10.87.3.77');
    await a.space.run('ip address flush dev pvna && ip address add 10.87.3.78/24 dev pvna');
    await expect(a.space.run('busybox ping -c 1 -W 1 10.87.3.1')).rejects.toThrow();
  });

  test('guests of different VLANs do not hear each other, those of one do', async () => {
    await startSwitch();
    const a = await add('pvna', MAC_A, { bridge: 'lan.10' });
    const b = await add('pvnb', MAC_B, { bridge: 'lan.20' });
    const c = await add('pvnc', (MAC_B + 1) as MacAddress, { bridge: 'lan.10' });
    world.pump();
    for (const [number, { space, tap }] of [a, b, c].entries()) {
      await space.run(`ip address add 10.87.3.${number + 2}/24 dev ${tap.name}`);
    }
    await a.space.run('busybox ping -c 1 -W 5 10.87.3.4');
    await expect(a.space.run('busybox ping -c 1 -W 1 10.87.3.3')).rejects.toThrow();
  });

  test('leases last when the service is killed, and the guests go on', async () => {
    await startSwitch(RANGE);
    const a = await add('pvna', MAC_A);
    const b = await add('pvnb', MAC_B);
    world.pump();
    const [ofA, ofB] = [await lease(a), (await lease(b)).replace('/24', '')];
    await a.space.run(`busybox ping -c 1 -W 5 ${ofB}`);
    for (let kill = 0; kill < 5; kill++) {
      await world.stopPump();
      world.killService();
      await startSwitch(RANGE);
      world.pump();
      await a.space.run(`busybox ping -c 1 -W 5 ${ofB}`);
    }
    // Who comes now must not get what somebody has, even if it asks for it.
    const c = await add('pvnc', (MAC_B + 1) as MacAddress);
    expect(await lease(c, '-r', ofB)).not.toBe(`${ofB}/24`);
    expect(await lease(a)).toBe(ofA);
  });

  test('TCP goes on while the service is killed again and again', async () => {
    await startSwitch();
    const a = await add('pvna', MAC_A);
    const b = await add('pvnb', MAC_B);
    await a.space.run('ip address add 10.87.3.2/24 dev pvna');
    await b.space.run('ip address add 10.87.3.3/24 dev pvnb');
    world.pump();
    let isDone = false;
    const done = transfer(a, b.space, '10.87.3.3').finally(() => {
      isDone = true;
    });
    let kills = 0;
    while (!isDone && kills < 20) {
      await world.stopPump();
      world.killService();
      await startSwitch();
      world.pump();
      kills++;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await done;
    expect(kills).toBeGreaterThan(1);
  });

  describe('by a TAP device', () => {
    /** Moves the host's side of a guest out of the way of the test's machine. */
    async function hostSide({ guest }: RealGuest, ...addresses: string[]) {
      const space = await NetworkNamespace.open();
      const name = `vif${guest.domid}.0`;
      expect(existsSync(`/sys/class/net/${name}/tun_flags`)).toBe(true);
      await space.take(name, addresses);
      return space;
    }

    test('a guest speaks with the host, in segments that nobody cuts', async () => {
      await startTaps();
      const guest = await add('pvna', MAC_A);
      const host = await hostSide(guest, '10.87.3.1/24', 'fd87::1/64');
      try {
        await guest.space.run('ip address add 10.87.3.2/24 dev pvna');
        await guest.space.run('ip address add fd87::2/64 dev pvna nodad');
        world.pump();
        await guest.space.run('busybox ping -c 2 -W 5 10.87.3.1');
        await guest.space.run('busybox ping -6 -c 2 -W 5 -s 3000 fd87::1');
        await transfer(guest, host, 'fd87::1');
        const { frames, bytes } = guest.front.counts.sent;
        expect(bytes / frames).toBeGreaterThan(4000);
        const receiver = await guest.space.receiver(7001);
        const sent = await host.run(sender('10.87.3.2', 7001));
        expect(await receiver.digest).toBe(sent);
      } finally {
        await host.close();
      }
    });

    test('the device is down and without a cable until the guest is there, for the script', async () => {
      await startTaps();
      const guest = await world.guest();
      const keys = { mac: '00:16:3e:00:00:0a', handle: '0', script: '/some/script', mtu: '1400' };
      const device = await world.attach(guest, 'vif', 0, keys);
      await world.settle();
      const name = `vif${guest.domid}.0`;
      expect(await world.value(`${device.back}/state`)).toBe('2');
      const link = execFileSync('ip', ['link', 'show', name], { encoding: 'utf8' });
      expect(link).toContain('mtu 1400');
      expect(link).not.toMatch(/[<,]UP[,>]/);
      await world.destroy(guest, [device]);
      await world.settle();
      expect(existsSync(`/sys/class/net/${name}`)).toBe(false);
    });

    test('goes with a guest that never connected, also when the service was killed meanwhile', async () => {
      const first = await startTaps();
      const guest = await world.guest();
      const keys = { mac: '00:16:3e:00:00:0a', handle: '0' };
      const device = await world.attach(guest, 'vif', 0, keys);
      await world.settle();
      const name = `vif${guest.domid}.0`;
      world.killService();
      first.die();
      await startTaps();
      await world.settle();
      expect(existsSync(`/sys/class/net/${name}`)).toBe(true);
      await world.destroy(guest, [device]);
      await world.settle();
      expect(existsSync(`/sys/class/net/${name}`)).toBe(false);
    });

    test('stays when the service is killed, and goes with the guest', async () => {
      const first = await startTaps();
      const { guest, device } = await world.addGuest(MAC_A);
      const name = `vif${guest.domid}.0`;
      const index = () => readFileSync(`/sys/class/net/${name}/ifindex`, 'latin1');
      const before = index();
      world.killService();
      first.die();
      expect(index()).toBe(before);
      const second = await startTaps();
      await world.settle();
      expect(await world.value(`${device.back}/state`)).toBe('4');
      expect(index()).toBe(before);
      // Both the guest and the service are gone: only the next service can know.
      world.killService();
      second.die();
      await world.destroy(guest, [device]);
      expect(index()).toBe(before);
      const network = new TapNetwork({ native, clock: world.world.clock, log: world.logger });
      await network.removeLeft(async (...device) => device.join() !== `${guest.domid},0`);
      expect(existsSync(`/sys/class/net/${name}`)).toBe(false);
    });
  });
});
