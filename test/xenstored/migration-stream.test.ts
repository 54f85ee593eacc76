/** The stream in which xenstoreds hand over to one another. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { XS_STATE_TYPE_GLOBAL } from '../../src/abi/xenstore_state.ts';
import { latin1Encode } from '../../src/base/bytes.ts';
import { ProtocolViolation } from '../../src/base/errors.ts';
import { logTo } from '../../src/base/log.ts';
import { nodeClock } from '../../src/node/clock.ts';
import { encodeMigrationStream } from '../../src/xenstored/migration-stream-encode.ts';
import type { Permissions } from '../../src/xenstored/permissions.ts';
import { DEFAULT_QUOTAS } from '../../src/xenstored/quota.ts';
import { startXenstored } from '../../src/xenstored/server.ts';
import type { ServerState } from '../../src/xenstored/state.ts';
import { serverState } from './arbitrary-state.ts';
import {
  comparable,
  decode,
  END,
  handed,
  long,
  node,
  padded,
  ROOT,
  record,
  ring,
  stream,
  watch,
} from './stream-bytes.ts';

/** Takes the state up as the daemon does, and returns how many things do not fit together. */
function takeUp(state: ServerState): number {
  const log = logTo(() => {});
  const xenstored = startXenstored({ clock: nodeClock, log, state });
  const findings = xenstored.check();
  xenstored.close();
  return findings;
}

/** A decoder gives domains other incarnations. */
function withoutNumbers(given: ServerState) {
  const domains = new Map(given.domains.map(({ domid: id, incarnation }) => [incarnation, id]));
  const { lastIncarnation: _, ...rest } = comparable(given);
  const named = (permissions: Permissions) =>
    permissions.map((each) => ({ ...each, incarnation: domains.get(each.incarnation) ?? 'none' }));
  return {
    ...rest,
    domains: given.domains
      .map(({ incarnation: _, ring: had, ...each }) => ({ ...each, port: had?.remotePort }))
      .sort((a, b) => a.domid - b.domid),
    nodes: rest.nodes.map((each) => ({ ...each, permissions: named(each.permissions) })),
    specialPermissions: rest.specialPermissions.map(([name, each]) => [name, named(each)]),
  };
}

describe('a state', () => {
  test('comes out of its stream as it was', () => {
    fc.assert(
      fc.property(serverState, (given) => {
        const decoded = decode(encodeMigrationStream(given, handed));
        expect(handed).toMatchObject({ listener: decoded.listener, events: decoded.events });
        expect(withoutNumbers(decoded.state)).toEqual(withoutNumbers(given));
        expect(takeUp(decoded.state)).toBe(0);
      }),
    );
  });

  test('cut off anywhere is refused', () => {
    fc.assert(
      fc.property(serverState, fc.double({ min: 0, max: 1, maxExcluded: true }), (given, part) => {
        const bytes = encodeMigrationStream(given, handed);
        const cut = bytes.subarray(0, Math.floor(part * bytes.length));
        expect(() => decode(cut)).toThrow(ProtocolViolation);
      }),
    );
  });

  test('with bits turned is refused with a rule and a position, or is a state', () => {
    const flips = fc.array(fc.tuple(fc.nat(), fc.nat(7)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(serverState, flips, (given, turned) => {
        const bytes = encodeMigrationStream(given, handed);
        for (const [at, bit] of turned) {
          const index = at % bytes.length;
          bytes[index] = (bytes[index] as number) ^ (1 << bit);
        }
        let decoded: ServerState;
        try {
          decoded = decode(bytes).state;
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolViolation);
          expect((error as Error).message).toMatch(/at byte \d+/);
          return;
        }
        expect(takeUp(decoded)).toBe(0);
      }),
      { numRuns: 300 },
    );
  });
});

describe('the bytes', () => {
  test('of a store with one guest are those that the document describes', () => {
    const position = { consumed: undefined, produced: undefined };
    const nothing = { input: new Uint8Array(0), lastTransactionId: 0, transactions: [] };
    const domain = { features: 0, ownQuotas: {}, shutdown: false, target: undefined };
    const n0 = [{ access: 'n', domid: 0, incarnation: 1 }] as const;
    const given: ServerState = {
      generation: 2,
      lastIncarnation: 2,
      quotas: DEFAULT_QUOTAS,
      specialPermissions: new Map([['@releaseDomain', n0]]),
      domains: [
        { ...domain, domid: 0, incarnation: 1, ring: { remotePort: undefined } },
        { ...domain, domid: 2, incarnation: 2, ring: { remotePort: 9 } },
      ],
      nodes: [
        { path: '/', value: '', permissions: n0, generation: 1, birth: 1 },
        {
          path: '/a',
          value: 'xyz',
          permissions: [
            { access: 'b', domid: 2, incarnation: 2 },
            { access: 'r', domid: 7, incarnation: 0 },
          ],
          generation: 2,
          birth: 2,
        },
      ],
      connections: [
        {
          ...nothing,
          carrier: { kind: 'ring', domid: 2, ignored: false, ...position },
          output: [],
          watches: [
            {
              path: '/local/domain/2/dev',
              token: 't',
              depth: undefined,
              relative: true,
              number: 1,
            },
          ],
        },
      ],
    };
    expect(encodeMigrationStream(given, { ...handed, ports: new Map([[2, 4]]) })).toEqual(
      stream(
        record(XS_STATE_TYPE_GLOBAL, [...long(5), ...long(6)]),
        // Dom0's ring has to be there, even where nobody has used it.
        ring(1, { domid: 0, port: 0 }),
        ring(2, { domid: 2, port: 4 }),
        padded(watch(2, 'dev', 't')),
        padded(node('@releaseDomain')),
        padded(ROOT),
        padded(node('/a', 'xyz', [...latin1Encode('b'), 0, 2, 0, ...latin1Encode('r'), 1, 7, 0])),
        END,
      ),
    );
  });
});
