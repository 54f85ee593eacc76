/** Our network ends against Linux's on real Xen, and against each other. */
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { OUR_TYPE } from '../../scripts/lab/block-peers.ts';
import type { Guest, GuestType } from '../../scripts/lab/guest.ts';
import { type Host, PARAVANE, startOurs, vifLine, XEN_NET_SCRIPT } from '../../scripts/lab/host.ts';
import { guestProgram } from '../../scripts/lab/initramfs.ts';
import { iperfResult, iperfServerIn, runIperf } from '../../scripts/lab/iperf.ts';
import { NET_FEATURES, type NetFeature } from '../../src/net/features.ts';
import { receiver, sender } from '../node/network-namespace.ts';
import {
  addressOf,
  BRIDGE,
  BusyConnection,
  bridged,
  checkContent,
  checkOwnContent,
  checkPing,
  DOM0,
  DOM0_V6,
  LIMIT_MS,
  load,
  MACS,
  makeBridge,
  netGuest,
  runNetback,
  setAddresses,
  setApart,
} from './net-guest.ts';
import { sharedHost } from './shared-lab.ts';

const OWN = addressOf(2);
const KILLS = 20;
/** Emulated, a process needs its time to start, and TCP notices late that somebody is there again. */
const KILLS_LIMIT_MS = 2_400_000;
/** Of the guest whose interface has a rate, and what it may send at once after a pause. */
const RATE_BYTES = 1_000_000;
const BURST_BYTES = 0x2_0000;

let host: Host;

beforeAll(async () => {
  host = await sharedHost();
});

async function statistics(guest: Guest, device = 'eth0') {
  return JSON.parse(await host.paravane('net', 'stats', guest.name, device, '--json'));
}

const without = (features: readonly NetFeature[]) =>
  features.length === 0 ? [] : ['--without', features.join(',')];

/** What Linux calls the features that its front end takes over from the back end. */
const OFFLOADS = [
  'tx-checksum-ipv6',
  'scatter-gather',
  'tx-tcp-segmentation',
  'tx-tcp6-segmentation',
];

/** Which of `OFFLOADS` are on. */
async function offloadsOf(guest: Guest): Promise<string[]> {
  const said = await guest.run('tool ethtool -k eth0');
  return OFFLOADS.filter((name) => new RegExp(`^\\s*${name}: on`, 'm').test(said));
}

async function checkLoad(guest: Guest, address: string, options: string): Promise<void> {
  // How much it is says more of the emulated processors than of us: beside other work on this machine
  // a guest may lose nearly all of what UDP brings, and TCP sends it again.
  const least = options.includes('-u') ? 0 : 1e5;
  expect((await load(host, guest, address, options)).bytes).toBeGreaterThan(least);
}

const waitForInterface = (guest: Guest) =>
  guest.run('until [ -e /sys/class/net/eth0 ]; do sleep 0.2; done');

/** All that a guest can do with an interface whose back end is without `features`. */
async function useInterface(type: GuestType, features: readonly NetFeature[]): Promise<void> {
  const guest = await netGuest(host, 'matrix', type, [bridged(0)]);
  expect(await guest.run('cat /sys/class/net/eth0/address')).toContain(MACS[0]);
  await setAddresses(guest);
  await checkPing(guest);
  expect(await offloadsOf(guest)).toEqual(features.length === 0 ? OFFLOADS : []);
  await checkContent(host, guest, DOM0, OWN.v4);
  await checkContent(host, guest, DOM0_V6, OWN.v6);
  for (const options of ['', '-R']) await checkLoad(guest, DOM0, options);
  for (const address of [DOM0, DOM0_V6]) {
    for (const options of ['-u -b 10M', '-u -b 10M -R']) await checkLoad(guest, address, options);
  }
  // With nothing left to the other end, whoever reads the frames checks them.
  const vif = `vif${(await host.lab.run(['xl', 'domid', guest.name])).trim()}.0`;
  await host.lab.run(['ethtool', '-K', vif, 'tx', 'off']);
  if (features.length === 0) await guest.run('tool ethtool -K eth0 tx off');
  expect(await offloadsOf(guest)).not.toContain('tx-checksum-ipv6');
  await checkContent(host, guest, DOM0, OWN.v4);
  await checkContent(host, guest, DOM0_V6, OWN.v6);
  const { queues, port } = await statistics(guest);
  expect([queues, port.in.dropped.filter, port.in.dropped.invalid]).toEqual([
    features.length === 0 ? 2 : 1,
    0,
    0,
  ]);
  await guest.destroy();
}

describe("our back end and Linux's front end", () => {
  beforeEach(() => makeBridge(host));

  test.each([
    { type: 'pv', features: [] },
    { type: 'pv', features: NET_FEATURES },
    { type: 'pvh', features: [] },
    { type: 'pvh', features: NET_FEATURES },
  ] as const)('$type without $features, by TAP devices in a bridge', async ({ type, features }) => {
    await runNetback(host, ...without(features));
    const before = await host.traces();
    await useInterface(type, features);
    expect(await host.leftovers(before)).toEqual([]);
    expect(await host.lab.run('ls /sys/class/net')).not.toContain('vif');
  });

  test('interfaces come and go by xl and by our own command, with jumbo frames', async () => {
    await runNetback(host);
    const { lab } = host;
    const before = await host.traces();
    const guest = await netGuest(host, 'hotplug', 'pv', []);
    const line = bridged(0).split(',');
    await lab.run(['xl', 'network-attach', 'hotplug', ...line], { timeout_ms: LIMIT_MS });
    await waitForInterface(guest);
    await setAddresses(guest);
    await checkPing(guest);
    await lab.run(['xl', 'network-detach', 'hotplug', '0'], { timeout_ms: LIMIT_MS });
    await guest.run('while [ -e /sys/class/net/eth0 ]; do sleep 0.2; done');
    const options = ['--mac', MACS[1], '--bridge', BRIDGE, '--mtu', '9000', '--timeout', '180'];
    expect(await host.paravane('net', 'attach', 'hotplug', ...options)).toBe('eth0');
    await waitForInterface(guest);
    await setAddresses(guest);
    await guest.run('ip link set eth0 mtu 9000');
    await lab.run(['ip', 'link', 'set', BRIDGE, 'mtu', '9000']);
    await guest.run(`ping -c 3 -W 10 -s 8900 ${DOM0}`);
    await checkContent(host, guest, DOM0, OWN.v4);
    expect(await host.paravane('net', 'list', 'hotplug')).toMatch(/eth0 +0\/vif +Connected/);
    await host.paravane('net', 'detach', 'hotplug', 'eth0');
    await guest.destroy();
    expect(await host.leftovers(before)).toEqual([]);
  });

  test('a guest with an XDP program gets the headroom that it asks for', async () => {
    await runNetback(host);
    const before = await host.traces();
    const source = join(import.meta.dirname, 'guest-programs/xdp-pass.c');
    const guest = await netGuest(host, 'xdp', 'pv', [bridged(0)], [guestProgram(source)]);
    await setAddresses(guest);
    await checkPing(guest);
    const domid = (await host.lab.run(['xl', 'domid', guest.name])).trim();
    const key = `/local/domain/${domid}/device/vif/0/xdp-headroom`;
    const headroom = async () => (await host.lab.run(['xenstore-read', key])).trim();
    await guest.run(
      '(xdp-pass eth0 >/tmp/xdp 2>&1 &) ; until grep XDP /tmp/xdp; do sleep 0.1; done',
    );
    expect(await guest.run('cat /tmp/xdp')).toContain('XDP-ATTACHED');
    expect(await headroom()).toBe('256');
    await checkPing(guest);
    await guest.run('killall xdp-pass');
    const isGone = async () => (await headroom()) === '0' || undefined;
    await host.lab.waitFor('the headroom to go', isGone, LIMIT_MS);
    await checkPing(guest);
    await checkContent(host, guest, DOM0, OWN.v4);
    await guest.destroy();
    expect(await host.leftovers(before)).toEqual([]);
  });

  test('a bridge that is not there is told by xl', async () => {
    await runNetback(host);
    await netGuest(host, 'nobridge', 'pv', []);
    const line = vifLine(`mac=${MACS[0]},bridge=nobridge`).split(',');
    const { code, stderr } = await host.lab.attempt(['xl', 'network-attach', 'nobridge', ...line], {
      timeout_ms: LIMIT_MS,
    });
    expect([code !== 0, stderr]).toEqual([
      true,
      expect.stringContaining('there is no bridge nobridge'),
    ]);
  });

  test('a guest sends no more than its rate allows', async () => {
    await runNetback(host);
    const guest = await netGuest(host, 'paced', 'pv', [bridged(0, ',rate=1MB/s')]);
    await setAddresses(guest);
    await checkPing(guest);
    const { bytes, seconds } = await load(host, guest, DOM0, '');
    expect(bytes).toBeGreaterThan(1e5);
    expect(bytes).toBeLessThan(RATE_BYTES * seconds + BURST_BYTES);
    // What it receives is not counted.
    expect((await load(host, guest, DOM0, '-R')).bytes).toBeGreaterThan(bytes);
  });

  test(
    `a connection under load survives ${KILLS} SIGKILLs of the back end`,
    async () => {
      await runNetback(host);
      const before = await host.traces();
      const guest = await netGuest(host, 'killed', 'pv', [bridged(0)]);
      await setAddresses(guest);
      await checkPing(guest);
      const busy = await BusyConnection.begin(host, guest);
      const flood = host.lab.start(['ping', '-f', '-q', '-w', '36000', OWN.v4]);
      for (let kill = 0; kill < KILLS; kill++) {
        await host.restart('netback', 'SIGKILL');
        await busy.goesOn();
      }
      flood.signal('SIGINT');
      await flood.exit;
      await busy.end();
      await guest.run(`ping -c 3 -W 10 ${DOM0}`);
      await guest.destroy();
      expect(await host.leftovers(before)).toEqual([]);
    },
    KILLS_LIMIT_MS,
  );
});

describe('guests in the switch of our back end', () => {
  const RANGE = '10.78.0.0/24';
  const switched = (number: 0 | 1) => vifLine(`mac=${MACS[number]},bridge=lan`);

  /** Has the guest ask for an address, and use it. Resolves with the address. */
  async function lease(guest: Guest): Promise<string> {
    const use = '#!/bin/sh\\n[ $1 != bound ] || ip address add $ip/$mask dev $interface\\n';
    await guest.run(`printf '${use}' >/tmp/use; chmod +x /tmp/use; ip link set eth0 up`);
    await guest.run('udhcpc -i eth0 -n -q -f -t 20 -s /tmp/use');
    const said = await guest.run('ip -4 address show dev eth0');
    const [, address = ''] = /inet (10\.78\.0\.\d+)\/24/.exec(said) ?? [];
    expect(address, said).not.toBe('');
    return address;
  }

  async function useSwitch(): Promise<void> {
    const { lab } = host;
    const a = await netGuest(host, 'alder', 'pv', [switched(0)]);
    const b = await netGuest(host, 'birch', 'pvh', [switched(1)]);
    const [ofA, ofB] = [await lease(a), await lease(b)];
    expect(ofA).not.toBe(ofB);
    const file = '/tmp/switch.pcap';
    const capturing = lab.start([PARAVANE, 'net', 'capture', 'alder', '-w', file]);
    const hasBegun = async () => (await lab.attempt(['test', '-s', file])).code === 0 || undefined;
    await lab.waitFor('capture', hasBegun, LIMIT_MS);
    await a.run(`ping -c 3 -W 10 10.78.0.1 && ping -c 5 -W 10 -s 3000 ${ofB}`);
    capturing.signal('SIGINT');
    await capturing.exit;
    const text = await lab.run(['tcpdump', '-n', '-r', file]);
    expect(text).toContain(`${ofA} > ${ofB}: ICMP echo request`);
    expect(text).toContain(`${ofB} > ${ofA}: ICMP echo reply`);
    await iperfServerIn(b);
    await runIperf(a, ofB, 3, '');
    expect((await iperfResult(a)).bytes).toBeGreaterThan(1e6);
    // Nobody speaks in the name of somebody else.
    await a.run('ip link set eth0 down; ip link set eth0 address 00:16:3e:00:77:99');
    await a.run(`ip link set eth0 up; ! ping -c 2 -W 2 ${ofB}`);
    expect((await statistics(a)).port.in.dropped.filter).toBeGreaterThan(0);
    await a.destroy();
    await b.destroy();
  }

  test('two of them lease addresses, reach each other, and are captured', async () => {
    await runNetback(host, '--switch', '--dhcp', RANGE);
    const before = await host.traces();
    await useSwitch();
    expect(await host.leftovers(before)).toEqual([]);
  });

  test('one that stops receiving costs the others nothing, and is reached again', async () => {
    await runNetback(host, '--switch', '--dhcp', RANGE);
    const { lab } = host;
    const before = await host.traces();
    const a = await netGuest(host, 'alder', 'pv', [switched(0)]);
    const b = await netGuest(host, 'birch', 'pv', [switched(1)]);
    await lease(a);
    const ofB = await lease(b);
    await a.run(`ping -c 3 -W 10 ${ofB}`);
    // Otherwise the sender would ask where it is, and then send nothing more.
    await a.run(`arp -s ${ofB} ${MACS[1]}`);
    await lab.run(['xl', 'pause', 'birch']);
    await a.run(`(ping -s 1400 -i 0.02 ${ofB} >/dev/null 2>&1 &)`);
    const hasStalled = async () => !(await statistics(b)).carrier || undefined;
    await lab.waitFor('the guest to stall', hasStalled, LIMIT_MS);
    const { sent } = (await statistics(b)).counts;
    expect(sent.dropped.expired).toBeGreaterThan(0);
    await a.run('ping -c 3 -W 10 10.78.0.1');
    await lab.run(['xl', 'unpause', 'birch']);
    await lab.waitFor(
      'the guest to come back',
      async () => (await statistics(b)).carrier || undefined,
      LIMIT_MS,
    );
    await a.run(`killall ping; until ping -c 1 -W 2 ${ofB}; do :; done; ping -c 3 -W 10 ${ofB}`);
    await a.destroy();
    await b.destroy();
    expect(await host.leftovers(before)).toEqual([]);
  });

  test('one of them sends TCP to itself, out by one interface and in by the other', async () => {
    await runNetback(host, '--switch');
    const before = await host.traces();
    const guest = await netGuest(host, 'loop', 'pv', [switched(0), switched(1)]);
    const apart = await setApart(guest, 'eth1');
    await guest.run('ip address add 10.80.0.2/24 dev eth0; ip link set eth0 up');
    await guest.run(apart('ip address add 10.80.0.3/24 dev eth1; ip link set eth1 up'));
    await guest.run('ping -c 3 -W 10 10.80.0.3');
    await checkOwnContent(guest, apart, ['10.80.0.2', '10.80.0.3']);
    for (const device of ['eth0', 'eth1']) {
      expect((await statistics(guest, device)).counts.received.bytes).toBeGreaterThan(4e6);
    }
    await guest.destroy();
    expect(await host.leftovers(before)).toEqual([]);
  });

  test("are given no address of a range that this host's own network overlaps", async () => {
    await host.lab.run(
      'modprobe bridge && ip link add range0 type bridge && ip address add 10.78.0.9/16 dev range0 && ip link set range0 up',
    );
    const words = ['run', 'netback', '--switch', '--dhcp', RANGE];
    const { code, stderr } = await host.lab.attempt([PARAVANE, ...words]);
    await host.lab.run(['ip', 'link', 'delete', 'range0']);
    expect([code, stderr]).toEqual([1, expect.stringContaining("of this host's range0")]);
  });
});

describe('our front end in dom0', () => {
  const FRONT_TAP = 'front0';
  const NAMESPACE = 'back';
  const TCP_PORT = 7704;
  const [BACK_ADDRESS, FRONT_ADDRESS] = ['10.79.0.1', '10.79.0.2'];
  const within = (command: string) => `ip netns exec ${NAMESPACE} ${command}`;

  /** Gives dom0 an interface of its own; it is gone when the test ends. */
  async function attach(type: string): Promise<void> {
    onTestFinished(async () => void (await host.paravane('net', 'detach', '0', 'eth0', '--force')));
    const words = ['--type', type, '--mac', MACS[0], '--no-wait'];
    if (type !== OUR_TYPE) words.push('--script', XEN_NET_SCRIPT);
    await host.paravane('net', 'attach', '0', ...words);
  }

  /** Puts our front end behind a TAP device of dom0's, and the back end's device into a namespace. */
  async function connect(backDevice: string, features: readonly NetFeature[]): Promise<void> {
    const { lab } = host;
    await lab.run(`until [ -e /sys/class/net/${backDevice} ]; do sleep 0.2; done`);
    onTestFinished(async () => {
      await lab.run(`ip tuntap del dev ${FRONT_TAP} mode tap; ip netns delete ${NAMESPACE}`);
    });
    const front = await startOurs(
      lab,
      'netback',
      ...['--type', 'unused', '--switch', '--uplink', '0', '--tap', FRONT_TAP],
      ...['--capture-socket', '/run/paravane/front.socket', ...without(features)],
    );
    onTestFinished(async () => void (await front.stop()));
    await lab.run(
      `ip netns add ${NAMESPACE} && ip link set ${backDevice} netns ${NAMESPACE} &&
       ip -n ${NAMESPACE} address add ${BACK_ADDRESS}/24 dev ${backDevice} &&
       ip -n ${NAMESPACE} link set ${backDevice} up &&
       ip address add ${FRONT_ADDRESS}/24 dev ${FRONT_TAP}`,
    );
  }

  /** TCP from one shell to the other in dom0, each of which has one of the two ends. */
  async function checkTransfer(
    to: string,
    from: (command: string) => string,
    at: (command: string) => string,
  ): Promise<void> {
    const { lab } = host;
    const taking = lab.start(at(receiver(TCP_PORT)));
    await taking.waitFor(/listening/, LIMIT_MS);
    const sent = await lab.run(from(sender(to, TCP_PORT)), { timeout_ms: LIMIT_MS });
    await taking.waitFor(new RegExp(sent.trim()), LIMIT_MS);
    await taking.exit;
  }

  async function checkFront(): Promise<void> {
    const { lab } = host;
    const answers = async () =>
      (await lab.attempt(`ping -c 1 -W 2 ${BACK_ADDRESS}`)).code === 0 || undefined;
    await lab.waitFor('echo through our front end', answers, LIMIT_MS);
    await lab.run(`ping -c 3 -s 5000 ${BACK_ADDRESS}`);
    const here = (command: string) => command;
    await checkTransfer(BACK_ADDRESS, here, within);
    await checkTransfer(FRONT_ADDRESS, within, here);
  }

  beforeAll(async () => void (await host.lab.run('modprobe tun')));

  test.each([[[]], [[...NET_FEATURES]]])(
    "works with Linux's back end, without %j",
    async (features) => {
      const { lab } = host;
      await lab.run('modprobe xen-netback');
      onTestFinished(async () => void (await lab.run('rmmod xen-netback')));
      await attach('vif');
      // What the hotplug script would have written.
      const back = '/local/domain/0/backend/vif/0/0';
      await lab.run(['xenstore-write', `${back}/hotplug-status`, 'connected']);
      await connect('vif0.0', features);
      await checkFront();
    },
  );

  test('works with our own back end', async () => {
    await runNetback(host, '--type', OUR_TYPE);
    await attach(OUR_TYPE);
    await connect('vif0.0', []);
    await checkFront();
  });
});
