/** The hypervisor contract's conformance suite, over Linux's device nodes in dom0. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CHECKOUT } from '../../scripts/lab/debian.ts';
import { labWithoutDaemons } from './shared-lab.ts';

test('the Linux binding passes the conformance suite in dom0', async () => {
  // The suite binds what can be bound once in a dom0, and xenstored has it otherwise.
  const lab = await labWithoutDaemons();
  const vitest = join(CHECKOUT, 'node_modules/.bin/vitest');
  const reports = '--reporter=default --reporter=json --outputFile=/lab/conformance.json';
  await lab.run(`${vitest} run test/hypervisor/linux.test.ts ${reports}`, {
    cwd: CHECKOUT,
    timeout_ms: 540_000,
  });
  // Outside of dom0 that file skips itself and passes.
  const passed = await lab.run(`node -p "require('/lab/conformance.json').numPassedTests"`);
  expect(Number(passed)).toBeGreaterThan(50);
});
