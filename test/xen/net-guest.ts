/** A Linux guest of the network tests, what it does with its interfaces, and dom0's end of that. */
import { expect, onTestFinished } from 'vitest';
import {
  Guest,
  type GuestType,
  guestToolsDisk,
  toolsGuestInitramfs,
} from '../../scripts/lab/guest.ts';
import { diskLine, type Host, vifLine } from '../../scripts/lab/host.ts';
import { type IperfResult, iperfResult, iperfServer, runIperf } from '../../scripts/lab/iperf.ts';
import type { Lab } from '../../scripts/lab/lab.ts';
import type { DomZeroProcess } from '../../scripts/lab/process.ts';
import { receiver, sender } from '../node/network-namespace.ts';

export const BRIDGE = 'xenbr0';
/** dom0's addresses in the bridge. */
export const DOM0 = '10.77.0.1';
export const DOM0_V6 = 'fd77::1';
export const MACS = ['00:16:3e:00:77:02', '00:16:3e:00:77:03'] as const;

/** An emulated machine is slow, and others work beside it. */
export const LIMIT_MS = 180_000;
const CONTENT_MIB = 4;
/** For a connection that has waited, each time twice as long as before, until somebody answers. */
const PROGRESS_LIMIT_MS = 400_000;
const PROGRESS_BYTES = 1e6;

/** Guest number `last` of the bridge's network. */
export const addressOf = (last: number) => ({ v4: `10.77.0.${last}`, v6: `fd77::${last}` });

/** Makes the bridge, which goes when the test ends. */
export async function makeBridge({ lab }: Host): Promise<void> {
  await lab.run(
    `modprobe tun && modprobe bridge && ip link add ${BRIDGE} type bridge &&
     ip link set ${BRIDGE} up && ip address add ${DOM0}/24 dev ${BRIDGE} &&
     ip address add ${DOM0_V6}/64 dev ${BRIDGE} nodad`,
  );
  onTestFinished(async () => void (await lab.run(['ip', 'link', 'delete', BRIDGE])));
}

/** Starts our back end in dom0. It is ended when the test ends. */
export async function runNetback(host: Host, ...options: string[]): Promise<void> {
  await host.start('netback', ...options);
  onTestFinished(() => host.end('netback'));
}

/** For xl: the interface of guest `number`, which our hotplug script puts into the bridge. */
export const bridged = (number: 0 | 1, more = '') =>
  vifLine(`mac=${MACS[number]},bridge=${BRIDGE}${more}`);

/**
 * A guest with Debian's iperf3 and ethtool, and the interfaces of those lines. It is gone when the test ends.
 *
 * @param programs see `guestInitramfs`
 */
export async function netGuest(
  { lab }: Host,
  name: string,
  type: GuestType,
  vifs: readonly string[],
  programs: readonly string[] = [],
): Promise<Guest> {
  onTestFinished(async () => void (await lab.attempt(['xl', 'destroy', name])));
  const guest = await Guest.create(lab, {
    name,
    type,
    ramdisk: toolsGuestInitramfs(programs),
    disks: [diskLine(guestToolsDisk(), 'xvda', 'ro')],
    vifs,
    memory_mib: 256,
    vcpus: 2,
  });
  await guest.shows(/GUEST-TOOLS-READY/);
  return guest;
}

/** Makes it guest number `last`. */
export async function setAddresses(guest: Guest, device = 'eth0', last = 2): Promise<void> {
  const { v4, v6 } = addressOf(last);
  await guest.run(
    `echo 0 >/proc/sys/net/ipv6/conf/${device}/accept_dad; ip link set ${device} up; ` +
      `ip address add ${v4}/24 dev ${device}; ip address add ${v6}/64 dev ${device}`,
  );
}

/** Echoes of both kinds of IP, in one frame and in fragments. */
export async function checkPing(guest: Guest, v4 = DOM0, v6 = DOM0_V6): Promise<void> {
  for (const size of [56, 5000]) {
    await guest.run(`ping -c 3 -W 10 -s ${size} ${v4}`);
    await guest.run(`ping -6 -c 3 -W 10 -s ${size} ${v6}`);
  }
}

/** A command that waits at a port in the background and has what came there as a digest in `file`. */
const takeDigest = (port: number, file: string) =>
  `rm -f ${file}; (nc -l -p ${port} -e sh -c "sha256sum >${file}; echo >>${file}" &)`;
const isListening = (port: number) => `until netstat -ltn | grep -q :${port}; do sleep 0.1; done`;
const shownDigest = (file: string) =>
  `until [ $(wc -l <${file}) = 2 ]; do sleep 0.1; done; cat ${file}`;
/** Prints the digest of what it sends. */
const sendRandom = (address: string, port: number) =>
  `dd if=/dev/urandom of=/tmp/sent bs=1M count=${CONTENT_MIB}; nc ${address} ${port} </tmp/sent; sha256sum /tmp/sent`;

const digestOf = (said: string) => /\b[0-9a-f]{64}\b/.exec(said)?.[0];

/** What goes by TCP arrives as it was sent: from the guest to dom0 at `dom0`, and from there to `own`. */
export async function checkContent(
  { lab }: Host,
  guest: Guest,
  dom0: string,
  own: string,
): Promise<void> {
  const taking = lab.start(receiver(7700));
  await taking.waitFor(/listening/, LIMIT_MS);
  const up = await guest.run(sendRandom(dom0, 7700));
  const [, digest = ''] = await taking.waitFor(/(\w{64})/, LIMIT_MS);
  expect(up).toContain(digest);
  await taking.exit;
  await guest.run(takeDigest(7701, '/tmp/got'));
  await guest.run(isListening(7701));
  const down = await lab.run(sender(own, 7701), { timeout_ms: LIMIT_MS });
  expect(await guest.run(shownDigest('/tmp/got'))).toContain(down.trim());
}

/**
 * Moves the guest's interface into a network namespace of its own there. Resolves with how a command
 * is typed that is to run in it.
 */
export async function setApart(guest: Guest, device: string): Promise<(command: string) => string> {
  await guest.run('unshare -n sleep 36000 & echo $! >/tmp/apart');
  // Until then it is still in the namespace of all others.
  const own = '$(readlink /proc/self/ns/net)';
  const its = '$(readlink /proc/$(cat /tmp/apart)/ns/net)';
  await guest.run(`while [ "${own}" = "${its}" ]; do sleep 0.1; done`);
  await guest.run(`ip link set ${device} netns $(cat /tmp/apart)`);
  return (command) => `nsenter -t $(cat /tmp/apart) -n sh -c '${command}'`;
}

/** What the guest sends to itself arrives as it was sent, from either side. */
export async function checkOwnContent(
  guest: Guest,
  apart: (command: string) => string,
  [here, there]: readonly [string, string],
): Promise<void> {
  await guest.run(apart(takeDigest(7702, '/tmp/there')));
  await guest.run(apart(isListening(7702)));
  const out = await guest.run(sendRandom(there, 7702));
  expect(digestOf(await guest.run(shownDigest('/tmp/there')))).toBe(digestOf(out));
  await guest.run(takeDigest(7703, '/tmp/here'));
  await guest.run(isListening(7703));
  const back = await guest.run(apart(sendRandom(here, 7703)));
  expect(digestOf(await guest.run(shownDigest('/tmp/here')))).toBe(digestOf(back));
}

/** A connection between a guest and dom0 that both keep busy, whatever becomes of what is between them. */
export class BusyConnection {
  private readonly lab: Lab;
  private readonly guest: Guest;
  private readonly server: DomZeroProcess;

  private constructor(lab: Lab, guest: Guest, server: DomZeroProcess) {
    this.lab = lab;
    this.guest = guest;
    this.server = server;
  }

  static async begin({ lab }: Host, guest: Guest): Promise<BusyConnection> {
    const server = await iperfServer(lab);
    await guest.type(
      `tool iperf3 -c ${DOM0} -t 36000 --bidir >/tmp/load 2>&1 & echo LOAD-$((1 + 1))-BEGAN`,
      /LOAD-2-BEGAN/,
    );
    const connection = new BusyConnection(lab, guest, server);
    await connection.goesOn();
    return connection;
  }

  /** Resolves once dom0 has got another megabyte of the guest. */
  async goesOn(): Promise<void> {
    const received = async () =>
      Number(await this.lab.run(`cat /sys/class/net/${BRIDGE}/statistics/rx_bytes`));
    const before = await received();
    const look = async () => (await received()) > before + PROGRESS_BYTES || undefined;
    await this.lab.waitFor('further megabyte of the guest', look, PROGRESS_LIMIT_MS);
  }

  /** It is still the same one. */
  async end(): Promise<void> {
    await this.guest.run('killall -0 iperf3');
    await this.guest.run('killall -INT iperf3; while killall -0 iperf3; do sleep 0.2; done');
    await this.server.stop();
  }
}

/** Has iperf3 load the way between the guest and dom0, as `options` say. */
export async function load(
  { lab }: Host,
  guest: Guest,
  address: string,
  options: string,
): Promise<IperfResult> {
  const server = await iperfServer(lab);
  await runIperf(guest, address, 3, options);
  await server.exit;
  return iperfResult(guest);
}
