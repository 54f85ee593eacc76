/**
 * The contract's conformance suite as the only script of a stub domain, where both ends are this
 * domain. Prints a line for each test on the console, and a summary.
 */
import { SHUTDOWN_crash, SHUTDOWN_poweroff } from '../../src/abi/sched.ts';
import { sleep } from '../../src/base/clock.ts';
import { domId } from '../../src/base/ids.ts';
import { eventLoop } from '../../src/hypervisor/unikernel/event-loop.ts';
import { openUnikernelHypervisor } from '../../src/hypervisor/unikernel/hypervisor.ts';
import { hypervisorConformance } from '../hypervisor/conformance.ts';
import type { Harness } from '../hypervisor/harness.ts';
import { type Outcome, runTests } from './vitest.ts';

const loop = eventLoop();
const { xen } = loop;

/** Xen raises an event at once; the loop takes one at a time, and timers after them. */
const SETTLE_MS = 5;

function stubdomHarness(): Harness {
  return {
    a: openUnikernelHypervisor(),
    b: openUnikernelHypervisor(),
    control: undefined,
    other: domId(77),
    settle: () => sleep(loop, SETTLE_MS),
    close: () => {},
  };
}

const count = { passed: 0, skipped: 0, failed: 0 };

function report(outcome: Outcome): void {
  count[outcome.status] += 1;
  const reason = outcome.status === 'passed' ? '' : ` (${outcome.reason})`;
  xen.print(`${outcome.status} ${outcome.title}${reason}\n`);
}

hypervisorConformance('unikernel, in one domain,', stubdomHarness);
runTests(report).then(() => {
  xen.print(`conformance: ${JSON.stringify({ ...count, memory: xen.memory() })}\n`);
  xen.shutDown(count.failed === 0 ? SHUTDOWN_poweroff : SHUTDOWN_crash);
});
