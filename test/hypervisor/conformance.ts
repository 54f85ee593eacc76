/**
 * The contract of src/hypervisor/contract.ts in executable form: every binding runs it. One small
 * test for each behaviour, in the contract's own words.
 */
import { describe } from 'vitest';
import { controlConformance } from './conformance-control.ts';
import { copyConformance } from './conformance-copy.ts';
import { eventConformance } from './conformance-events.ts';
import { grantConformance } from './conformance-grants.ts';
import { conformanceTest, type MakeHarness } from './harness.ts';

/** @param makeHarness called before each test */
export function hypervisorConformance(name: string, makeHarness: MakeHarness): void {
  const conforms = conformanceTest(makeHarness);
  describe(`${name} conforms to the hypervisor contract`, () => {
    describe('grants', () => grantConformance(conforms));
    describe('copies', () => copyConformance(conforms));
    describe('event channels', () => eventConformance(conforms));
    describe('domains', () => controlConformance(conforms));
  });
}
