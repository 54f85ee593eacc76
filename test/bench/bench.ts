/** `npm run bench -- NAME`: measures what we made beside what others made of the same. */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { table } from './report.ts';
import type { BenchOptions, Row } from './rounds.ts';

const BENCHES: Readonly<Record<string, (options: BenchOptions) => Promise<Row[]>>> = {
  attacks: async (options) => (await import('./attacks.ts')).benchAttacks(options),
  block: async (options) => (await import('./block.ts')).benchBlock(options),
  console: async (options) => (await import('./console.ts')).benchConsole(options),
  net: async (options) => (await import('./net.ts')).benchNet(options),
  stubdom: async (options) => (await import('./stubdom.ts')).benchStubDomains(options),
  xenstored: async (options) => (await import('./xenstored.ts')).benchXenstored(options),
  vchan: async (options) => (await import('./vchan.ts')).benchVchan(options),
};

const USAGE = `usage: npm run bench -- NAME [--part PART] [--json FILE] [--quick]
  NAME         ${Object.keys(BENCHES).join(', ')}
  --part PART  of vchan: bridge (without Xen), processes (without Xen) or lab; of stubdom: blkback
               or xenstored; otherwise all of them
  --json FILE  write the figures there too
  --quick      fewer rounds and smaller counts, to see that all works
`;

function commandLine() {
  return parseArgs({
    allowPositionals: true,
    options: {
      part: { type: 'string' },
      json: { type: 'string' },
      quick: { type: 'boolean', default: false },
    },
  });
}

async function main(): Promise<number> {
  let parsed: ReturnType<typeof commandLine>;
  try {
    parsed = commandLine();
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${USAGE}`);
    return 2;
  }
  const { values, positionals } = parsed;
  const [name] = positionals;
  const run = name === undefined ? undefined : BENCHES[name];
  if (run === undefined || positionals.length !== 1) {
    process.stderr.write(USAGE);
    return 2;
  }
  const rows = await run(values);
  process.stdout.write(`${table(rows)}\n`);
  if (values.json !== undefined) {
    writeFileSync(values.json, `${JSON.stringify({ bench: name, rows }, undefined, 2)}\n`);
  }
  return 0;
}

process.exitCode = await main();
