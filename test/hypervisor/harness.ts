/** What the conformance suite needs of a binding, and the small words that its tests are made of. */
import { expect, type TestContext, test } from 'vitest';
import { XenError } from '../../src/base/errors.ts';
import type { DomId } from '../../src/base/ids.ts';
import type { DomainControl, EventChannel, Hypervisor } from '../../src/hypervisor/contract.ts';

/** Two ends of the contract. They may be two processes of one domain where `supports.loopback`. */
export interface Harness {
  readonly a: Hypervisor;
  readonly b: Hypervisor;
  /** The privileged calls of `a`'s domain, when it is privileged. */
  readonly control: DomainControl | undefined;
  /** A domid that is neither end's; the domain need not exist. */
  readonly other: DomId;
  /** Returns when every signal sent so far has been delivered. */
  settle(): Promise<void>;
  /** What both ends still hold, as sentences, where the binding can tell. */
  leftovers?(): string[];
  /** Closes both ends and the harness itself. */
  close(): Promise<void> | void;
}

export type MakeHarness = () => Promise<Harness> | Harness;

/** Settles until `holds`, because a kernel may take its time: Linux looks at deferred revokes once a second. */
export async function eventually(harness: Harness, holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 200 && !holds(); turn++) await harness.settle();
  expect(holds()).toBe(true);
}

/** The code of the operating error that refuses the call. The error must say what was tried. */
export function refusal(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (!(error instanceof XenError)) throw error;
    expect(error.operation).not.toBe('');
    return error.code;
  }
  throw new Error('the call was not refused');
}

/** Expects the call to be rejected as the caller's own mistake. */
export function expectMistake(call: () => unknown): void {
  let thrown: unknown;
  try {
    call();
  } catch (error) {
    thrown = error;
  }
  expect(thrown instanceof TypeError || thrown instanceof RangeError, String(thrown)).toBe(true);
}

/** Counts the events of a channel. */
export function countEvents(channel: EventChannel): { count: number } {
  const events = { count: 0 };
  channel.onEvent(() => {
    events.count += 1;
  });
  return events;
}

/** A channel from `a` to `b`, with the signal that the bind itself makes already taken. */
export async function connect(harness: Harness) {
  const { a, b } = harness;
  const offered = a.events.allocateUnbound(b.domid);
  const bound = b.events.bindInterdomain(a.domid, offered.port);
  const first = countEvents(bound);
  await eventually(harness, () => first.count > 0);
  return { offered, bound };
}

/** Defines tests that get a fresh harness each and must leave nothing behind. */
export function conformanceTest(makeHarness: MakeHarness) {
  return (
    statement: string,
    body: (harness: Harness, context: TestContext) => Promise<void> | void,
  ) => {
    test(statement, async (context) => {
      const harness = await makeHarness();
      try {
        await body(harness, context);
        harness.a.close();
        harness.b.close();
        expect(harness.leftovers?.() ?? []).toEqual([]);
      } finally {
        await harness.close();
      }
    });
  };
}

export type ConformanceTest = ReturnType<typeof conformanceTest>;
