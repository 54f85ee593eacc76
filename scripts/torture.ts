/** `npm run torture -- NAME`: random clients and random kills until the time is over, against a model. */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import fc from 'fast-check';
import { tortureProcess } from '../test/xenstored/journal/process-torture.ts';
import { run, scenario } from '../test/xenstored/journal/ring-run.ts';
import { CHECKOUT } from './lab/debian.ts';

const USAGE = `usage: npm run torture -- xenstored [--seconds N] [--seed S]
  --seconds N  how long (60); half of it with rings in the simulator, half with a real process
  --seed S     begin with this seed instead of a random one; each run prints its own
`;

interface Torture {
  readonly seed: number;
  readonly end_ms: number;
}

/** Domains on their rings in the simulator; returns readable differences. */
async function tortureRings({ seed, end_ms }: Torture): Promise<string[]> {
  let count = 0;
  for (; performance.now() < end_ms; count++) {
    const runSeed = seed + count;
    const [one] = fc.sample(scenario, { seed: runSeed, numRuns: 1 });
    if (one === undefined) continue;
    const undisturbed = await run({ ...one, kills: [] });
    const disturbed = await run(one);
    const found = [...disturbed.problems, ...differingLines(undisturbed, disturbed)];
    if (found.length > 0) {
      return [`rings, --seed ${runSeed}, kills ${JSON.stringify(one.kills)}:`, ...found];
    }
  }
  process.stdout.write(`rings in the simulator: ${count} runs with kills, no difference\n`);
  return [];
}

/** What was told or is there without kills, `-`, and with them, `+`, where that is not the same. */
function differingLines(undisturbed: unknown, disturbed: unknown): string[] {
  const lines = (value: unknown) => JSON.stringify(value, undefined, 1).split('\n');
  const [expected, found] = [lines(undisturbed), lines(disturbed)];
  const at = expected.findIndex((line, index) => line !== found[index]);
  if (at < 0 && expected.length === found.length) return [];
  const from = at < 0 ? expected.length : at;
  return [
    ...expected.slice(from, from + 3).map((line) => `- ${line.trim().slice(0, 200)}`),
    ...found.slice(from, from + 3).map((line) => `+ ${line.trim().slice(0, 200)}`),
  ];
}

/** A real process behind its socket; returns readable differences. */
async function tortureDaemon({ seed, end_ms }: Torture): Promise<string[]> {
  const program = [join(CHECKOUT, 'dist/paravane.js')];
  const goesOn = () => performance.now() < end_ms;
  const { kills, changes, differences } = await tortureProcess({ seed, program, goesOn });
  if (differences.length > 0) return [`process, --seed ${seed}:`, ...differences];
  process.stdout.write(`a real process: ${changes} changes, ${kills} kills, no difference\n`);
  return [];
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { seconds: { type: 'string', default: '60' }, seed: { type: 'string' } },
  });
  const seconds = Number(values.seconds);
  const seed = values.seed === undefined ? Date.now() % 1_000_000_000 : Number(values.seed);
  const isWrong = !(seconds > 0) || !Number.isInteger(seed) || seed < 0;
  if (positionals.length !== 1 || positionals[0] !== 'xenstored' || isWrong) {
    process.stderr.write(USAGE);
    return 2;
  }
  process.stdout.write(`seed ${seed}\n`);
  const half_ms = (seconds * 1000) / 2;
  const found = await tortureRings({ seed, end_ms: performance.now() + half_ms });
  found.push(...(await tortureDaemon({ seed, end_ms: performance.now() + half_ms })));
  for (const line of found) process.stdout.write(`${line}\n`);
  return found.length === 0 ? 0 : 1;
}

process.exitCode = await main();
