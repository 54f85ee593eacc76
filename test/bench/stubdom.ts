/**
 * What it costs and brings to have a service in a domain of its own: the unikernel (`ours`) beside the
 * same service on our Linux runtime (`linux`) and in dom0 (`dom0`), and what others made for the same job.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BenchOptions, Row } from './rounds.ts';
import { benchDriverDomain } from './stubdom-blkback.ts';
import { benchStoreDomain } from './stubdom-xenstored.ts';

const PARTS: Readonly<
  Record<string, (options: BenchOptions, directory: string) => Promise<Row[]>>
> = { blkback: benchDriverDomain, xenstored: benchStoreDomain };

export async function benchStubDomains(options: BenchOptions): Promise<Row[]> {
  const names = options.part === undefined ? Object.keys(PARTS) : [options.part];
  const directory = mkdtempSync(join(tmpdir(), 'paravane-bench-'));
  try {
    const rows: Row[] = [];
    for (const name of names) {
      const run = PARTS[name];
      if (run === undefined) throw new Error(`the parts are ${Object.keys(PARTS).join(', ')}`);
      rows.push(...(await run(options, directory)));
    }
    return rows;
  } finally {
    rmSync(directory, { recursive: true });
  }
}
