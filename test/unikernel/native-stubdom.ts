/** Bundles on the native build of the engine: a stub domain as a process of this machine. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildEngine } from '../../src/dom0/image/engine.ts';
import { buildBundle } from '../../src/dom0/image/image.ts';

export const CONFORMANCE_ENTRY = 'test/unikernel/conformance-bundle.ts';
/** What a bundle with tests in it has in the place of vitest. */
export const TEST_ALIAS = { vitest: './test/unikernel/vitest.ts' };

/** How a process tells the `SHUTDOWN_…` with which its domain ended. */
export interface End {
  readonly reason: number | null;
  readonly console: string;
}

/** A directory for the files of one test; `remove` it after. */
export function scratchDirectory(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'paravane-unikernel-'));
  return { path, remove: () => rmSync(path, { recursive: true }) };
}

/** Xen's ways of telling a domain of its events; not every Xen has the former. */
export type EventAbi = 'FIFO' | 'two-level';

/** What the host program takes before the bundle. */
const flagsOf = (abi: EventAbi, snapshots: boolean) => [
  ...(abi === 'two-level' ? ['--two-level'] : []),
  ...(snapshots ? ['--snapshot'] : []),
];

/**
 * Runs the file `bundle`, with `options` as the domain's command line.
 *
 * @param snapshots a pause ends in the same domain, and not in another one
 */
export async function runBundle(
  bundle: string,
  options: readonly string[] = [],
  abi: EventAbi = 'FIFO',
  snapshots = false,
): Promise<End> {
  const { host } = await buildEngine();
  const child = spawn(host, [...flagsOf(abi, snapshots), bundle, ...options], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let console = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('latin1').on('data', (text: string) => {
      console += text;
    });
  }
  const reason = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { reason, console };
}

/** Compiles the script and runs it. */
export async function runScript(
  script: string,
  options: readonly string[] = [],
  abi: EventAbi = 'FIFO',
  snapshots = false,
): Promise<End> {
  const scratch = scratchDirectory();
  try {
    const entry = join(scratch.path, 'entry.js');
    const bundle = join(scratch.path, 'bundle');
    writeFileSync(entry, script);
    await buildBundle(await buildEngine(), entry, bundle);
    return await runBundle(bundle, options, abi, snapshots);
  } finally {
    scratch.remove();
  }
}
