/** iperf3 in a guest with `toolsGuestInitramfs()`, and what it says of a load in the end. */
import type { Guest } from './guest.ts';
import type { Lab } from './lab.ts';
import type { DomZeroProcess } from './process.ts';

const LIMIT_MS = 180_000;

export interface IperfResult {
  /** What has arrived, by the account of whoever received it. */
  readonly bytes: number;
  readonly seconds: number;
}

/** An iperf3 in dom0 that waits for one load. */
export async function iperfServer(lab: Lab): Promise<DomZeroProcess> {
  const server = lab.start(['iperf3', '-s', '-1', '--forceflush']);
  await server.waitFor(/listening/, LIMIT_MS);
  return server;
}

/** The same in a guest, in the background. */
export async function iperfServerIn(guest: Guest): Promise<void> {
  await guest.run('(tool iperf3 -s -1 >/tmp/server 2>&1 &)');
  await guest.run('until netstat -ltn | grep -q :5201; do sleep 0.1; done');
}

/** Runs a load in the guest against the server at `address`; `options` tell iperf3 which. */
export async function runIperf(
  guest: Guest,
  address: string,
  seconds: number,
  options: string,
): Promise<void> {
  await guest.run(`tool iperf3 -c ${address} -t ${seconds} -J ${options} >/tmp/iperf`);
}

/** What the load that was run last has come to. */
export async function iperfResult(guest: Guest): Promise<IperfResult> {
  // The whole report would take its time at the console.
  const said = await guest.run(
    `tr -d ' \\n\\t' </tmp/iperf | grep -oE '"sum_received":[^}]*' | tail -n 1`,
  );
  const field = (name: string) => new RegExp(`"${name}":([\\d.]+)`).exec(said)?.[1];
  const [bytes, seconds] = [field('bytes'), field('seconds')];
  if (bytes === undefined || seconds === undefined) {
    throw new Error(`iperf3 in ${guest.name} has told no sum: ${said}`);
  }
  return { bytes: Number(bytes), seconds: Number(seconds) };
}
