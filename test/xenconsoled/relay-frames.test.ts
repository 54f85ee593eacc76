/** What a console domain and its relay say to each other, as bytes and back, and bytes that say nothing. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ProtocolViolation } from '../../src/base/errors.ts';
import { domId } from '../../src/base/ids.ts';
import {
  parseRelayFrame,
  RELAY_BYTES_MAX,
  type RelayMessage,
  relayFrame,
} from '../../src/xenconsoled/relay-frames.ts';

/** Of a frame: a byte of type, one that is reserved, and two of length. */
const HEADER_SIZE = 4;

function parse(bytes: Uint8Array): RelayMessage {
  return parseRelayFrame({ type: bytes[0] as number, payload: bytes.subarray(HEADER_SIZE) });
}

const u32 = fc.integer({ min: 0, max: 0xffffffff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const guest = fc.integer({ min: 0, max: 0x7fef }).map(domId);
const some = fc.uint8Array({ maxLength: RELAY_BYTES_MAX });
const text = fc.stringMatching(/^[ -~]{0,200}$/);
const fields = fc.dictionary(
  fc.stringMatching(/^[a-z_]{1,20}$/),
  fc.oneof(text, fc.integer(), fc.boolean()),
  { maxKeys: 5 },
);

const message: fc.Arbitrary<RelayMessage> = fc.oneof(
  fc.record({ type: fc.constant('hello' as const), version: u32 }),
  fc.record({
    type: fc.constant('open' as const),
    channel: u32,
    kind: fc.constantFrom('log' as const, 'terminal' as const, 'viewer' as const),
    domid: guest,
    index: u32,
  }),
  fc.record({ type: fc.constant('opened' as const), channel: u32, path: text }),
  fc.record({ type: fc.constant('refused' as const), channel: u32, reason: text }),
  fc.record({ type: fc.constant('data' as const), channel: u32, bytes: some }),
  fc.record({ type: fc.constant('credit' as const), channel: u32, count: u32 }),
  fc.record({ type: fc.constant('close' as const), channel: u32, isOver: fc.boolean() }),
  fc.record({ type: fc.constant('batch' as const), channel: u32, index: u32, bytes: some }),
  fc.record({ type: fc.constant('stored' as const), channel: u32 }),
  fc.record({ type: fc.constant('rest' as const), channel: u32 }),
  fc.record({ type: fc.constant('window' as const), domid: guest, columns: u16, rows: u16 }),
  fc.record({
    type: fc.constant('line' as const),
    level: fc.constantFrom('error' as const, 'warn' as const, 'info' as const, 'debug' as const),
    message: text,
    fields,
  }),
);

test('every message is the same after it was bytes', () => {
  fc.assert(
    fc.property(message, (said) => {
      expect(parse(relayFrame(said))).toEqual(said);
    }),
    { numRuns: 1000 },
  );
});

test('any bytes are a message or a violation that names the rule', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 255 }), some, (type, payload) => {
      try {
        parseRelayFrame({ type, payload });
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolViolation);
        expect(String(error)).toMatch(/relay: /);
      }
    }),
    { numRuns: 2000 },
  );
});

test.each<[string, number, string]>([
  ['an unknown type', 99, ''],
  ['a payload that is cut off', 3, '0100'],
  ['a guest that is cut off', 2, '0100000000000000aa'],
  ['a channel of an unknown kind', 2, '010000000000000001000900'],
  ['a domid that is no guest', 2, '0100000000000000f07f0000'],
  ['a window that is no JSON', 11, '7b7b'],
  ['a window that is no object', 11, '31'],
  ['a line without a level', 12, '7b7d'],
])('%s is refused', (_, type, payload) => {
  expect(() => parseRelayFrame({ type, payload: Buffer.from(payload, 'hex') })).toThrow(
    ProtocolViolation,
  );
});

test('a line is shortened to what fits into a frame, whatever is in it', () => {
  const fieldsOfMany = Object.fromEntries(
    Array.from({ length: 100 }, (_, n) => [`field${n}`, '"\\\u{1f600}'.repeat(2000)]),
  );
  const long = '\\"\n'.repeat(4000);
  const said = { type: 'line', level: 'warn', message: long, fields: fieldsOfMany } as const;
  const heard = parse(relayFrame(said));
  expect(heard).toMatchObject({ type: 'line', level: 'warn' });
});
