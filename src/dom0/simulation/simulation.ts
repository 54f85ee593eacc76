/**
 * A Xen host in one process: xenstored, xenconsoled, blkback and netback in domain 0, and two guests
 * that use them, all in the simulator. It shows the protocols at work without root, Xen or QEMU.
 */
import { latin1Decode, latin1Encode } from '../../base/bytes.ts';
import { type Log, type LogFields, type LogLevel, logTo } from '../../base/log.ts';
import { SimWorld } from '../../hypervisor/sim/world.ts';
import { PROMPT, runGuest } from './guest.ts';
import { type Host, startHost } from './host.ts';
import { destroyGuest, initialiseDom0, introduceGuest } from './toolstack.ts';

export interface SimulationOptions {
  /** Decides the order of everything that Xen leaves open. */
  readonly seed: number;
  /** Told every step: hypercalls, xenstore packets, what services log and what consoles show. */
  readonly print: (line: string) => void;
  /** Lets promises settle between two events. */
  readonly settle: () => Promise<void>;
}

export interface SimulationResult {
  /** What each guest answered to the line typed at its console. */
  readonly answers: readonly string[];
  /** What is left at the end that should be gone, as sentences; empty, if all went well. */
  readonly leftovers: readonly string[];
  /** Virtual time that passed. */
  readonly duration_ms: number;
}

const GUESTS = ['alder', 'birch'];

type Print = (line: string) => void;

/** Makes a guest, sits at its console until it powers off, and destroys it. */
async function liveThrough(
  world: SimWorld,
  host: Host,
  name: string,
  seed: number,
  print: Print,
): Promise<string> {
  const guest = world.buildGuest({ name });
  const show = (bytes: Uint8Array) => {
    const text = latin1Decode(bytes).trim();
    print(`console      ${name}: ${text}`);
    return text;
  };
  const mac = `00:16:3e:00:00:0${guest.domain.domid}`;
  await introduceGuest(host.store, guest, { name, disk: `/simulated/${name}.img`, mac });
  const life = runGuest(guest, seed, logOf(print, name));
  const viewer = await host.viewer(guest);
  for (const line of latin1Decode(await viewer.readUntil(PROMPT)).split('\n')) {
    if (line.trim() !== '') show(latin1Encode(line));
  }
  const typed = `hello ${name}`;
  print(`console      typed at ${name}: ${typed}`);
  await viewer.write(latin1Encode(`${typed}\n`));
  const answer = show(await viewer.readLine());
  show(await viewer.readLine());
  await life;
  await destroyGuest(host.store, guest);
  return answer;
}

/** A log whose lines say who speaks. */
function logOf(print: Print, who: string): Log {
  return logTo((level: LogLevel, message: string, fields: LogFields) => {
    const details = Object.entries(fields).map(([name, value]) => ` ${name}=${value}`);
    print(`${who.padEnd(12)} ${level}: ${message}${details.join('')}`);
  });
}

/** Runs the host and its guests to their end. Rejects when one of them fails. */
export async function simulate(options: SimulationOptions): Promise<SimulationResult> {
  const { seed, settle } = options;
  const print: Print = (line) => {
    options.print(`${world.clock.now_ms().toFixed(3).padStart(10)} ms  ${line}`);
  };
  const world: SimWorld = new SimWorld({
    seed,
    settle,
    log: logTo((_level, message) => print(`xen          ${message}`)),
  });
  const dom0 = world.createDomain({ name: 'dom0' });
  const story = async () => {
    const host = await startHost(
      dom0,
      (service) => logOf(print, service),
      // The trace carries the date, which means nothing here.
      (line) => print(`xenstore     ${line.replace(/ \d{4}-\d\d-\d\dT\S+/, '')}`),
    );
    await initialiseDom0(host.store);
    const before = host.status();
    const answers = await Promise.all(
      GUESTS.map((name, index) => liveThrough(world, host, name, seed + index, print)),
    );
    const after = host.status();
    await host.close();
    const nodes = after.nodes - before.nodes;
    return { answers, extra: nodes === 0 ? [] : [`xenstore has ${nodes} nodes more than before`] };
  };
  const { answers, extra } = await world.finish(story());
  return {
    answers,
    leftovers: [...extra, ...world.leftovers()],
    duration_ms: world.clock.now_ms(),
  };
}
