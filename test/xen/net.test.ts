/** Our network ends against Linux's on real Xen, and against each other. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OUR_TYPE } from '../../scripts/lab/block-peers.ts';
import {
  Guest,
  type GuestType,
  guestToolsDisk,
  toolsGuestInitramfs,
} from '../../scripts/lab/guest.ts';
import { diskLine, type Host, startOurs, vifLine } from '../../scripts/lab/host.ts';
import { NET_FEATURES, type NetFeature } from '../../src/net/features.ts';
import { receiver, sender } from '../node/network-namespace.ts';
import { sharedHost } from './shared-lab.ts';

const BRIDGE = 'xenbr0';
const DOM0 = '10.77.0.1';
const DOM0_V6 = 'fd77::1';
const MACS = ['00:16:3e:00:77:02', '00:16:3e:00:77:03'] as const;
const KILLS = 20;
const CONTENT_MIB = 4;
/** An emulated machine is slow, and others work beside it. */
const LIMIT_MS = 180_000;
const KILLS_LIMIT_MS = 1_200_000;

let host: Host;

beforeAll(async () => {
  host = await sharedHost();
});

/** A guest with Debian's iperf3 and ethtool, and the interfaces that `vifs` tells. */
async function netGuest(name: string, type: GuestType, vifs: readonly string[]): Promise<Guest> {
  const guest = await Guest.create(host.lab, {
    name,
    type,
    ramdisk: toolsGuestInitramfs(),
    disks: [diskLine(guestToolsDisk(), 'xvda', 'ro')],
    vifs: vifs.map(vifLine),
    memory_mib: 256,
    vcpus: 2,
  });
  await guest.shows(/GUEST-TOOLS-READY/);
  return guest;
}

async function makeBridge(): Promise<void> {
  await host.lab.run(
    `modprobe tun && modprobe bridge && ip link add ${BRIDGE} type bridge &&
     ip link set ${BRIDGE} up && ip address add ${DOM0}/24 dev ${BRIDGE} &&
     ip address add ${DOM0_V6}/64 dev ${BRIDGE} nodad`,
  );
}

async function setAddresses(guest: Guest, device = 'eth0', last = 2): Promise<void> {
  await guest.run(
    `echo 0 >/proc/sys/net/ipv6/conf/${device}/accept_dad; ip link set ${device} up; ` +
      `ip address add 10.77.0.${last}/24 dev ${device}; ip address add fd77::${last}/64 dev ${device}`,
  );
}

/** Echoes of both kinds of IP, in one frame and in fragments. */
async function checkPing(guest: Guest, v4 = DOM0, v6 = DOM0_V6): Promise<void> {
  for (const size of [56, 5000]) {
    await guest.run(`ping -c 3 -W 10 -s ${size} ${v4}`);
    await guest.run(`ping -6 -c 3 -W 10 -s ${size} ${v6}`);
  }
}

/** What goes by TCP arrives as it was sent: from the guest to dom0 at `dom0`, and from there to `own`. */
async function checkContent(guest: Guest, dom0: string, own: string): Promise<void> {
  const { lab } = host;
  const taking = lab.start(receiver(7700));
  await taking.waitFor(/listening/, LIMIT_MS);
  const up = await guest.run(
    `dd if=/dev/urandom of=/tmp/sent bs=1M count=${CONTENT_MIB}; nc ${dom0} 7700 </tmp/sent; sha256sum /tmp/sent`,
  );
  const [, digest = ''] = await taking.waitFor(/(\w{64})/, LIMIT_MS);
  expect(up).toContain(digest);
  await taking.exit;
  await guest.run('( (nc -l -p 7701 </dev/null | sha256sum >/tmp/got; echo >>/tmp/got) &)');
  await guest.run('until netstat -ltn | grep -q :7701; do sleep 0.1; done');
  const down = await lab.run(sender(own, 7701), { timeout_ms: LIMIT_MS });
  const got = await guest.run('until [ $(wc -l </tmp/got) = 2 ]; do sleep 0.1; done; cat /tmp/got');
  expect(got).toContain(down.trim());
}

/** Runs iperf3 in the guest against dom0; bytes that have arrived, by its own account. */
async function iperf(guest: Guest, address: string, ...options: string[]): Promise<number> {
  const server = host.lab.start(['iperf3', '-s', '-1', '--forceflush']);
  await server.waitFor(/listening/, LIMIT_MS);
  const words = ['-c', address, '-t', '3', '-J', ...options];
  await guest.run(`tool iperf3 ${words.join(' ')} >/tmp/iperf`);
  const said = await guest.run(
    `tr -d ' \\n\\t' </tmp/iperf | grep -oE '"(sum|sum_received)":[^}]*"bytes":[0-9]+' | tail -n 1`,
  );
  await server.exit;
  const counts = [...said.matchAll(/"bytes":(\d+)/g)].map(([, bytes]) => Number(bytes));
  return counts.at(-1) ?? 0;
}

async function statistics(guest: Guest, device = 'eth0') {
  return JSON.parse(await host.paravane('net', 'stats', guest.name, device, '--json'));
}

const without = (features: readonly NetFeature[]) =>
  features.length === 0 ? [] : ['--without', features.join(',')];

describe("our back end and Linux's front end", () => {
  beforeAll(makeBridge);
  afterAll(async () => {
    await host.lab.run(['ip', 'link', 'delete', BRIDGE]);
  });

  test.each([
    { type: 'pv', features: [] },
    { type: 'pv', features: NET_FEATURES },
    { type: 'pvh', features: [] },
    { type: 'pvh', features: NET_FEATURES },
  ] as const)('$type without $features, by TAP devices in a bridge', async ({ type, features }) => {
    await host.start('netback', ...without(features));
    const before = await host.traces();
    const guest = await netGuest('matrix', type, [`mac=${MACS[0]},bridge=${BRIDGE}`]);
    expect(await guest.run('cat /sys/class/net/eth0/address')).toContain(MACS[0]);
    await setAddresses(guest);
    await checkPing(guest);
    await checkContent(guest, DOM0, '10.77.0.2');
    await checkContent(guest, DOM0_V6, 'fd77::2');
    for (const options of [[], ['-R'], ['-u', '-b', '10M'], ['-u', '-b', '10M', '-R']]) {
      expect(await iperf(guest, DOM0, ...options)).toBeGreaterThan(1e6);
    }
    // With nothing left to the other end, whoever reads the frames checks them.
    await guest.run('tool ethtool -K eth0 tx off');
    await checkContent(guest, DOM0, '10.77.0.2');
    const { queues, port } = await statistics(guest);
    expect([queues, port.dropped.filter, port.dropped.invalid]).toEqual([
      features.length === 0 ? 2 : 1,
      0,
      0,
    ]);
    await guest.destroy();
    expect(await host.leftovers(before)).toEqual([]);
    expect(await host.lab.run('ls /sys/class/net')).not.toContain('vif');
    await host.end('netback');
  });

  test('interfaces come and go by xl and by our own command, with jumbo frames', async () => {
    await host.start('netback');
    const { lab } = host;
    const before = await host.traces();
    const guest = await netGuest('hotplug', 'pv', []);
    const line = vifLine(`mac=${MACS[0]},bridge=${BRIDGE}`).split(',');
    await lab.run(['xl', 'network-attach', 'hotplug', ...line], { timeout_ms: LIMIT_MS });
    await guest.run('until [ -e /sys/class/net/eth0 ]; do sleep 0.2; done');
    await setAddresses(guest);
    await checkPing(guest);
    await lab.run(['xl', 'network-detach', 'hotplug', '0'], { timeout_ms: LIMIT_MS });
    await guest.run('while [ -e /sys/class/net/eth0 ]; do sleep 0.2; done');
    const options = ['--mac', MACS[1], '--bridge', BRIDGE, '--mtu', '9000', '--timeout', '180'];
    expect(await host.paravane('net', 'attach', 'hotplug', ...options)).toBe('eth0');
    await guest.run('until [ -e /sys/class/net/eth0 ]; do sleep 0.2; done');
    await setAddresses(guest);
    await guest.run('ip link set eth0 mtu 9000');
    await lab.run(['ip', 'link', 'set', BRIDGE, 'mtu', '9000']);
    await guest.run(`ping -c 3 -W 10 -s 8900 ${DOM0}`);
    await checkContent(guest, DOM0, '10.77.0.2');
    expect(await host.paravane('net', 'list', 'hotplug')).toMatch(/eth0 +0\/vif +Connected/);
    await host.paravane('net', 'detach', 'hotplug', 'eth0');
    await guest.destroy();
    expect(await host.leftovers(before)).toEqual([]);
    await host.end('netback');
  });

  test('a bridge that is not there is told by xl', async () => {
    await host.start('netback');
    const guest = await netGuest('nobridge', 'pv', []);
    const line = vifLine(`mac=${MACS[0]},bridge=nobridge`).split(',');
    const { code, stderr } = await host.lab.attempt(['xl', 'network-attach', 'nobridge', ...line], {
      timeout_ms: LIMIT_MS,
    });
    expect([code !== 0, /there is no bridge nobridge/.test(stderr)]).toEqual([true, true]);
    await guest.destroy();
    await host.end('netback');
  });

  test(
    `a connection under load survives ${KILLS} SIGKILLs of the back end`,
    async () => {
      await host.start('netback');
      const { lab } = host;
      const before = await host.traces();
      const guest = await netGuest('killed', 'pv', [`mac=${MACS[0]},bridge=${BRIDGE}`]);
      await setAddresses(guest);
      await checkPing(guest);
      const server = lab.start(['iperf3', '-s', '-1', '--forceflush']);
      await server.waitFor(/listening/, LIMIT_MS);
      await guest.type(
        `tool iperf3 -c ${DOM0} -t 3600 --bidir -J >/tmp/load & echo LOAD-$((1 + 1))-BEGAN`,
        /LOAD-2-BEGAN/,
      );
      const flood = lab.start(['ping', '-f', '-q', '-w', '3600', '10.77.0.2']);
      const received = async () => {
        const text = await lab.run(`cat /sys/class/net/${BRIDGE}/statistics/rx_bytes`);
        return Number(text);
      };
      for (let kill = 0; kill < KILLS; kill++) {
        await host.restart('netback', 'SIGKILL');
        const atRestart = await received();
        const goesOn = async () => (await received()) > atRestart + 1e6 || undefined;
        await lab.waitFor('megabyte of the guest after the restart', goesOn, LIMIT_MS);
      }
      await guest.run('killall -0 iperf3');
      flood.signal('SIGINT');
      await flood.exit;
      await guest.run(`killall -INT iperf3; ping -c 3 -W 10 ${DOM0}`);
      await server.stop();
      await guest.destroy();
      expect(await host.leftovers(before)).toEqual([]);
      await host.end('netback');
    },
    KILLS_LIMIT_MS,
  );
});

describe('two guests in the switch of our back end', () => {
  const RANGE = '10.78.0.0/24';

  test('lease addresses, reach each other, and are captured', async () => {
    await host.start('netback', '--switch', '--dhcp', RANGE);
    const { lab } = host;
    const before = await host.traces();
    const [a, b] = [
      await netGuest('alder', 'pv', [`mac=${MACS[0]},bridge=lan`]),
      await netGuest('birch', 'pvh', [`mac=${MACS[1]},bridge=lan`]),
    ];
    const use = '#!/bin/sh\\n[ $1 != bound ] || ip address add $ip/$mask dev $interface\\n';
    const leased: string[] = [];
    for (const guest of [a, b]) {
      await guest.run(`printf '${use}' >/tmp/use; chmod +x /tmp/use; ip link set eth0 up`);
      await guest.run('udhcpc -i eth0 -n -q -f -t 20 -s /tmp/use');
      const said = await guest.run('ip -4 address show dev eth0');
      const [, address = ''] = /inet (10\.78\.0\.\d+)\/24/.exec(said) ?? [];
      leased.push(address);
    }
    const [, ofB = ''] = leased;
    expect(new Set(leased).size).toBe(2);
    const file = '/tmp/switch.pcap';
    const capturing = lab.start([
      ...['node', 'dist/paravane.js', 'net', 'capture', 'alder', '-w', file],
    ]);
    await lab.waitFor('capture', async () => {
      return (await lab.attempt(['test', '-s', file])).code === 0 || undefined;
    });
    await a.run(`ping -c 3 -W 10 10.78.0.1 && ping -c 5 -W 10 -s 3000 ${ofB}`);
    capturing.signal('SIGINT');
    await capturing.exit;
    const text = await lab.run(['tcpdump', '-n', '-r', file]);
    expect(text).toContain(`> ${ofB}: ICMP echo request`);
    expect(text).toContain(`${ofB} > ${leased[0]}: ICMP echo reply`);
    await b.run('(tool iperf3 -s -1 >/tmp/server &) ; sleep 2');
    await a.run(`tool iperf3 -c ${ofB} -t 3 >/tmp/iperf && grep -q receiver /tmp/iperf`);
    // Nobody speaks in the name of somebody else.
    await a.run('ip link set eth0 down; ip link set eth0 address 00:16:3e:00:77:99');
    await a.run(`ip link set eth0 up; ! ping -c 2 -W 2 ${ofB}`);
    expect((await statistics(a)).port.dropped.filter).toBeGreaterThan(0);
    await a.destroy();
    await b.destroy();
    expect(await host.leftovers(before)).toEqual([]);
    await host.end('netback');
  });

  test("whose range this host's own network overlaps is refused", async () => {
    await host.lab.run(`ip link add range0 type bridge && ip address add 10.78.0.9/16 dev range0`);
    const words = ['run', 'netback', '--switch', '--dhcp', RANGE];
    const { code, stderr } = await host.lab.attempt(['node', 'dist/paravane.js', ...words]);
    await host.lab.run(['ip', 'link', 'delete', 'range0']);
    expect([code, stderr]).toEqual([1, expect.stringContaining("of this host's range0")]);
  });
});

describe('our front end in dom0', () => {
  const FRONT_TAP = 'front0';

  /** dom0's interface 0, whose back end serves it from a namespace, and behind our front end a TAP. */
  async function checkFront(backTap: string, features: readonly NetFeature[]): Promise<void> {
    const { lab } = host;
    const uplink = await startOurs(
      lab,
      'netback',
      ...['--type', 'unused', '--switch', '--uplink', '0', '--tap', FRONT_TAP],
      ...['--capture-socket', '/run/paravane/front.socket', ...without(features)],
    );
    await lab.run(
      `ip netns add back && ip link set ${backTap} netns back &&
       ip -n back address add 10.79.0.1/24 dev ${backTap} && ip -n back link set ${backTap} up &&
       ip address add 10.79.0.2/24 dev ${FRONT_TAP}`,
    );
    await lab.waitFor('echo through our front end', async () => {
      return (await lab.attempt('ping -c 1 -W 2 10.79.0.1')).code === 0 || undefined;
    });
    await lab.run('ping -c 3 -s 5000 10.79.0.1');
    const taking = lab.start(`ip netns exec back ${receiver(7702)}`);
    await taking.waitFor(/listening/, LIMIT_MS);
    const sent = await lab.run(sender('10.79.0.1', 7702), { timeout_ms: LIMIT_MS });
    await taking.waitFor(new RegExp(sent.trim()), LIMIT_MS);
    const back = lab.start(receiver(7703));
    await back.waitFor(/listening/, LIMIT_MS);
    const returned = await lab.run(`ip netns exec back ${sender('10.79.0.2', 7703)}`, {
      timeout_ms: LIMIT_MS,
    });
    await back.waitFor(new RegExp(returned.trim()), LIMIT_MS);
    await uplink.stop();
    await lab.run(`ip netns delete back; ip tuntap del dev ${FRONT_TAP} mode tap`);
  }

  const attach = (type: string) =>
    host.paravane('net', 'attach', '0', '--type', type, '--mac', MACS[0], '--no-wait');

  test.each([[[]], [[...NET_FEATURES]]])(
    "works with Linux's back end, without %j",
    async (features) => {
      const { lab } = host;
      await lab.run('modprobe xen-netback');
      await attach('vif');
      const back = '/local/domain/0/backend/vif/0/0';
      // What the hotplug script would have written.
      await lab.run(['xenstore-write', `${back}/hotplug-status`, 'connected']);
      await lab.run('until [ -e /sys/class/net/vif0.0 ]; do sleep 0.2; done');
      await checkFront('vif0.0', features);
      await host.paravane('net', 'detach', '0', 'eth0', '--force');
      await lab.run('rmmod xen-netback');
    },
  );

  test('works with our own back end', async () => {
    await host.start('netback', '--type', OUR_TYPE);
    await attach(OUR_TYPE);
    await host.lab.run('until [ -e /sys/class/net/vif0.0 ]; do sleep 0.2; done');
    await checkFront('vif0.0', []);
    await host.paravane('net', 'detach', '0', 'eth0', '--force');
    await host.end('netback');
  });
});
