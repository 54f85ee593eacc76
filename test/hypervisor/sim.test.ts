import { domId } from '../../src/base/ids.ts';
import { SimWorld } from '../../src/hypervisor/sim/world.ts';
import { hypervisorConformance } from './conformance.ts';
import type { Harness } from './harness.ts';

/** Two ends in the simulator: two domains, or two processes of domain 0. */
function simHarness(loopback: boolean): Harness {
  const world = new SimWorld({ seed: 1 });
  const a = world.createDomain();
  const b = loopback ? a.startProcess() : world.createDomain();
  return {
    a: a.hypervisor,
    b: b.hypervisor,
    control: a.control,
    other: domId(77),
    settle: () => world.run(),
    leftovers: () => world.leftovers(),
    close: () => {},
  };
}

hypervisorConformance('sim, in two domains,', () => simHarness(false));
hypervisorConformance('sim, in one domain,', () => simHarness(true));
