/**
 * The Linux binding on real Xen: runs in dom0 (`scripts/xen npx vitest run test/hypervisor`), where
 * both ends are this process and dom0 grants to itself.
 */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { VIRQ_DOM_EXC } from '../../src/abi/xen.ts';
import { DOM0, domId } from '../../src/base/ids.ts';
import type { Hypervisor } from '../../src/hypervisor/contract.ts';
import { openDomainControl, openLinuxHypervisor } from '../../src/hypervisor/linux/hypervisor.ts';
import { openKernelStoreRing } from '../../src/hypervisor/linux/kernel-store-ring.ts';
import { hypervisorConformance } from './conformance.ts';
import { connect, countEvents, eventually, type Harness } from './harness.ts';

const inDom0 = existsSync('/dev/xen/evtchn');
const title = inDom0 ? 'the Linux binding' : 'skipped: not in dom0 (see scripts/xen)';

/** Linux hands an event over in less; there is nothing that tells when. */
const SETTLE_MS = 20;

/** What this process still has of the devices that the two ends share. */
function leftovers(): string[] {
  const ours = /\/dev\/xen\/(evtchn|gntdev|gntalloc)/;
  const descriptors = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      // The descriptor with which the directory was read is closed again.
      return '';
    }
  });
  const mappings = readFileSync('/proc/self/maps', 'latin1').split('\n');
  return [...descriptors, ...mappings].filter((line) => ours.test(line));
}

function dom0Harness(): Harness {
  const a = openLinuxHypervisor();
  const b = openLinuxHypervisor();
  const control = openDomainControl();
  return {
    a,
    b,
    control,
    other: domId(77),
    settle: () => delay(SETTLE_MS),
    leftovers,
    close: () => {
      a.close();
      b.close();
      control.close();
    },
  };
}

/** Leaves many ports of `b` in the driver's ring, which is not read before the event loop turns. */
function bindAndClose(a: Hypervisor, b: Hypervisor, rounds: number): void {
  for (let round = 0; round < rounds; round++) {
    const offered = a.events.allocateUnbound(b.domid);
    const bound = b.events.bindInterdomain(a.domid, offered.port);
    offered.notify();
    bound.close();
    offered.close();
  }
}

describe.skipIf(!inDom0)(title, () => {
  hypervisorConformance('linux, in dom0,', dom0Harness);

  test('the domain knows that it is dom0', () => {
    const hypervisor = openLinuxHypervisor();
    expect(hypervisor.domid).toBe(DOM0);
    hypervisor.close();
  });

  test("events survive the overflow of the driver's ring", async () => {
    const harness = dom0Harness();
    const { a, b } = harness;
    const { offered, bound } = await connect(harness);
    const events = countEvents(bound);
    // Nobody signals `bound`: its handler runs only once all channels count as signalled.
    await eventually(harness, () => {
      if (events.count === 0) bindAndClose(a, b, 200);
      return events.count > 0;
    });
    const seen = events.count;
    offered.notify();
    await eventually(harness, () => events.count > seen);
    harness.close();
  });

  test('an event channel of a closed process can be bound again, for that of the kernel for xenstored too', () => {
    for (let round = 0; round < 3; round++) {
      const hypervisor = openLinuxHypervisor();
      const { pages, channel } = openKernelStoreRing(hypervisor);
      expect(pages.count).toBe(1);
      expect(channel.closed).toBe(false);
      pages.close();
      hypervisor.close();
    }
    expect(leftovers()).toEqual([]);
  });

  test("Xen's console begins with the text of its boot", () => {
    const control = openDomainControl();
    const text = Buffer.from(control.readConsole() ?? []).toString('latin1');
    expect(text).toContain('Xen');
    control.close();
  });

  test('the interrupt of dying domains can be bound', () => {
    const hypervisor = openLinuxHypervisor();
    expect(hypervisor.events.bindVirq(VIRQ_DOM_EXC).port).toBeGreaterThan(0);
    hypervisor.close();
  });
});
