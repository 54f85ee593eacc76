import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { buildSync } from 'esbuild';
import { expect, test } from 'vitest';
import type { ThreadedEnd } from './threaded-end.ts';

// The schedules of the other tests take each call as one step. Here both ends really run at once,
// so a store that another processor sees too late, or a signal held back wrongly, stops them for good.
test('two ends on two processors lose no request and no wake-up', async () => {
  const shared = {
    page: new SharedArrayBuffer(4096),
    channels: new SharedArrayBuffer(12),
    total: 100_000,
  };
  // A worker thread of Node 20 takes no TypeScript.
  const program = buildSync({
    entryPoints: [fileURLToPath(new URL('threaded-end.ts', import.meta.url))],
    bundle: true,
    write: false,
    platform: 'node',
  }).outputFiles[0]!.text;
  const workers = (['front', 'back'] as const).map((end) => {
    const workerData: ThreadedEnd = { end, ...shared };
    return new Worker(program, { eval: true, workerData });
  });
  try {
    const results = await Promise.all(workers.map((worker) => once(worker, 'message')));
    expect(results).toEqual([['done'], ['done']]);
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
});
