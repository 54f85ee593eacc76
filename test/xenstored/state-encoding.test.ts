/** What one version of our xenstored hands to another. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { latin1Encode } from '../../src/base/bytes.ts';
import { XenError } from '../../src/base/errors.ts';
import type { ServerState } from '../../src/xenstored/state.ts';
import { decodeState, encodeState, isEncodedState } from '../../src/xenstored/state-encoding.ts';
import { serverState } from './arbitrary-state.ts';

const listener = 7;
const arrays = (state: ServerState) => ({ ...state, nodes: [...state.nodes] });

test('a state comes out as it was', () => {
  fc.assert(
    fc.property(serverState, (state) => {
      const bytes = encodeState({ state, listener });
      expect(isEncodedState(bytes)).toBe(true);
      const decoded = decodeState(bytes);
      expect(decoded.listener).toBe(listener);
      expect(arrays(decoded.state)).toEqual(arrays(state));
    }),
  );
});

test('bytes of every kind come out as bytes', () => {
  const [state] = fc.sample(serverState, { numRuns: 1, seed: 1 }) as [ServerState];
  const input = Buffer.from([0, 10, 34, 92, 127, 128, 255]);
  const connections = state.connections.map((each) => ({ ...each, input }));
  const decoded = decodeState(encodeState({ state: { ...state, connections }, listener })).state;
  for (const each of decoded.connections) expect(each.input).toEqual(new Uint8Array(input));
});

describe('what is refused:', () => {
  const [state] = fc.sample(serverState, { numRuns: 1, seed: 1 }) as [ServerState];
  const whole = encodeState({ state, listener });

  test('anything that is cut off', () => {
    fc.assert(
      fc.property(fc.nat(whole.length - 1), (length) => {
        expect(() => decodeState(whole.subarray(0, length))).toThrow(XenError);
      }),
    );
  });

  test.each([
    ['another format', 'xenstore', /does not begin with/],
    [
      'another version',
      '{"format":"paravane xenstored state","version":99}\n',
      /reads version 1, not 99/,
    ],
    [
      'a line that is no JSON',
      '{"format":"paravane xenstored state","version":1}\n{"a":}\n',
      /line 2 is no JSON/,
    ],
    [
      'another number of nodes',
      '{"format":"paravane xenstored state","version":1}\n{}\n["/","",[],1,1]\n{"nodes":2}\n',
      /does not end with the number/,
    ],
  ])('%s', (_, text, reason) => {
    expect(() => decodeState(latin1Encode(text))).toThrow(reason);
  });
});
