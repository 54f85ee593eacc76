/**
 * The part of vitest that the conformance suite uses, for an engine without Node: its bundle has this
 * in the place of vitest.
 */
import { isDeepEqual } from './deep-equal.ts';

export interface TestContext {
  /** Ends the test, which then counts as skipped. */
  skip(condition: boolean, reason: string): void;
}

type TestBody = (context: TestContext) => Promise<void> | void;

interface Test {
  /** The names of the groups that it is in, and its own. */
  readonly title: string;
  readonly body: TestBody;
}

class Skip {
  readonly reason: string;
  constructor(reason: string) {
    this.reason = reason;
  }
}

const tests: Test[] = [];
let groups: string[] = [];

export function describe(name: string, body: () => void): void {
  groups = [...groups, name];
  body();
  groups = groups.slice(0, -1);
}

export function test(name: string, body: TestBody): void {
  tests.push({ title: [...groups, name].join(' > '), body });
}

export type Outcome =
  | { readonly title: string; readonly status: 'passed' }
  | { readonly title: string; readonly status: 'skipped'; readonly reason: string }
  | { readonly title: string; readonly status: 'failed'; readonly reason: string };

async function outcomeOf({ title, body }: Test): Promise<Outcome> {
  try {
    await body({
      skip: (condition, reason) => {
        if (condition) throw new Skip(reason);
      },
    });
    return { title, status: 'passed' };
  } catch (error) {
    if (error instanceof Skip) return { title, status: 'skipped', reason: error.reason };
    const reason = error instanceof Error ? `${error}\n${error.stack ?? ''}` : String(error);
    return { title, status: 'failed', reason };
  }
}

/** Runs all tests that were defined, one after the other. */
export async function runTests(report: (outcome: Outcome) => void): Promise<void> {
  for (const each of tests) report(await outcomeOf(each));
}

function show(value: unknown): string {
  if (typeof value === 'object' && value !== null && !(value instanceof Error)) {
    return JSON.stringify(value) ?? String(value);
  }
  return String(value);
}

function matches(value: unknown, part: Readonly<Record<string, unknown>>): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.entries(part).every(([key, expected]) =>
      isDeepEqual((value as Record<string, unknown>)[key], expected),
    )
  );
}

/** @param message added to what a failure says */
export function expect(value: unknown, message = '') {
  const must = (holds: boolean, what: string) => {
    if (!holds) throw new Error(`expected ${show(value)} ${what}${message && `: ${message}`}`);
  };
  return {
    toBe: (other: unknown) => must(Object.is(value, other), `to be ${show(other)}`),
    toBeUndefined: () => must(value === undefined, 'to be undefined'),
    toEqual: (other: unknown) => must(isDeepEqual(value, other), `to equal ${show(other)}`),
    toMatchObject: (part: Readonly<Record<string, unknown>>) =>
      must(matches(value, part), `to match ${show(part)}`),
    toMatch: (pattern: RegExp) => must(pattern.test(String(value)), `to match ${pattern}`),
    toContain: (item: unknown) =>
      must((value as readonly unknown[]).includes(item), `to contain ${show(item)}`),
    toHaveLength: (length: number) =>
      must((value as ArrayLike<unknown>).length === length, `to have length ${length}`),
    toBeLessThan: (other: number) => must((value as number) < other, `to be less than ${other}`),
    toBeGreaterThan: (other: number) =>
      must((value as number) > other, `to be greater than ${other}`),
    not: {
      toBe: (other: unknown) => must(!Object.is(value, other), `not to be ${show(other)}`),
    },
  };
}
