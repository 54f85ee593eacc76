import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as wire from '../../src/abi/io/xs_wire.ts';
import { latin1Decode, latin1Encode } from '../../src/base/bytes.ts';
import { ProtocolViolation } from '../../src/base/errors.ts';
import {
  decodeError,
  decodeStrings,
  encodeError,
  encodePacket,
  encodeStringAndValue,
  encodeStrings,
  HEADER_SIZE,
  OK_PAYLOAD,
  operationName,
  PAYLOAD_MAX,
  type Packet,
} from '../../src/xenstore/packet.ts';
import { PacketStream } from '../../src/xenstore/packet-stream.ts';
import { type PipeEnd, pipe } from './pipe.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** The header as xs_wire.h has it: type, req_id, tx_id, len. */
const golden: [type: number, name: string, payload: Uint8Array, bytes: string][] = [
  [
    0,
    'CONTROL',
    encodeStrings('print', 'hi'),
    '00000000070000000500000009000000' + '7072696e7400686900',
  ],
  [1, 'DIRECTORY', encodeStrings('/'), '01000000070000000500000002000000' + '2f00'],
  [2, 'READ', encodeStrings('/a'), '02000000070000000500000003000000' + '2f6100'],
  [3, 'GET_PERMS', encodeStrings('/a'), '03000000070000000500000003000000' + '2f6100'],
  [4, 'WATCH', encodeStrings('/a', 't'), '04000000070000000500000005000000' + '2f61007400'],
  [5, 'UNWATCH', encodeStrings('/a', 't'), '05000000070000000500000005000000' + '2f61007400'],
  [6, 'TRANSACTION_START', encodeStrings(''), '06000000070000000500000001000000' + '00'],
  [7, 'TRANSACTION_END', encodeStrings('T'), '07000000070000000500000002000000' + '5400'],
  [
    8,
    'INTRODUCE',
    encodeStrings('3', '9', '1'),
    '08000000070000000500000006000000' + '330039003100',
  ],
  [9, 'RELEASE', encodeStrings('3'), '09000000070000000500000002000000' + '3300'],
  [10, 'GET_DOMAIN_PATH', encodeStrings('3'), '0a000000070000000500000002000000' + '3300'],
  [
    11,
    'WRITE',
    encodeStringAndValue('/a', 'v\0\xff'),
    '0b000000070000000500000006000000' + '2f61007600ff',
  ],
  [12, 'MKDIR', encodeStrings('/a'), '0c000000070000000500000003000000' + '2f6100'],
  [13, 'RM', encodeStrings('/a'), '0d000000070000000500000003000000' + '2f6100'],
  [14, 'SET_PERMS', encodeStrings('/a', 'n3'), '0e000000070000000500000006000000' + '2f61006e3300'],
  [15, 'WATCH_EVENT', encodeStrings('/a', 't'), '0f000000070000000500000005000000' + '2f61007400'],
  [16, 'ERROR', encodeError('ENOENT'), '10000000070000000500000007000000' + '454e4f454e5400'],
  [17, 'IS_DOMAIN_INTRODUCED', encodeStrings('3'), '11000000070000000500000002000000' + '3300'],
  [18, 'RESUME', encodeStrings('3'), '12000000070000000500000002000000' + '3300'],
  [19, 'SET_TARGET', encodeStrings('3', '4'), '13000000070000000500000004000000' + '33003400'],
  [21, 'RESET_WATCHES', encodeStrings(''), '15000000070000000500000001000000' + '00'],
  [22, 'DIRECTORY_PART', encodeStrings('/', '0'), '16000000070000000500000004000000' + '2f003000'],
];

describe('packet', () => {
  test.each(golden)('type %i, %s, has its golden bytes', (type, name, payload, bytes) => {
    expect(hex(encodePacket({ type, requestId: 7, transactionId: 5, payload }))).toBe(bytes);
    expect(operationName(type)).toBe(name);
    expect((wire as unknown as Record<string, number>)[`XS_${name}`]).toBe(type);
  });

  test('an operation without a name is called by its number', () => {
    expect(operationName(20)).toBe('operation 20');
  });

  test('the reply to say that all went well is OK and NUL', () => {
    expect(hex(OK_PAYLOAD)).toBe('4f4b00');
  });

  test('encode refuses a payload above XENSTORE_PAYLOAD_MAX', () => {
    const payload = new Uint8Array(PAYLOAD_MAX + 1);
    expect(() => encodePacket({ type: 2, requestId: 1, transactionId: 0, payload })).toThrow(
      RangeError,
    );
  });

  test('strings with a NUL inside are refused, since they would become two', () => {
    expect(() => encodeStrings('/a', 'b\0c')).toThrow(RangeError);
    expect(() => encodeStringAndValue('/a\0', 'v')).toThrow(RangeError);
  });

  test('decodeStrings stops before what is not terminated', () => {
    expect(decodeStrings(latin1Encode('a\0\0bc'))).toEqual({ strings: ['a', ''], end: 3 });
    expect(decodeStrings(latin1Encode('a\0b\0'), 1)).toEqual({ strings: ['a'], end: 2 });
    expect(decodeStrings(new Uint8Array(0))).toEqual({ strings: [], end: 0 });
  });

  test('strings survive the way there and back', () => {
    const text = fc.string({
      unit: fc.integer({ min: 1, max: 255 }).map((c) => String.fromCharCode(c)),
    });
    fc.assert(
      fc.property(fc.array(text), (strings) => {
        const payload = encodeStrings(...strings);
        expect(decodeStrings(payload)).toEqual({ strings, end: payload.length });
      }),
    );
  });

  test('every error of the wire survives, and a code that it lacks becomes EINVAL', () => {
    for (const code of ['EINVAL', 'EACCES', 'EAGAIN', 'E2BIG', 'EPERM'] as const) {
      expect(decodeError(encodeError(code))).toBe(code);
    }
    expect(decodeError(encodeError('ESRCH'))).toBe('EINVAL');
    expect(decodeError(latin1Encode('ENOENT'))).toBe('ENOENT');
    expect(decodeError(latin1Encode('EWHAT\0'))).toBeUndefined();
    expect(decodeError(new Uint8Array(0))).toBeUndefined();
  });
});

const packetArbitrary: fc.Arbitrary<Packet> = fc.record({
  type: fc.nat(0xffffffff),
  requestId: fc.nat(0xffffffff),
  transactionId: fc.nat(0xffffffff),
  payload: fc.uint8Array({ maxLength: 200 }),
});

function feed(end: PipeEnd, bytes: Uint8Array): void {
  end.incoming.push(...bytes);
}

describe('packet stream', () => {
  test('packets arrive whole and in order however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(packetArbitrary, { maxLength: 8 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 40 })),
        (packets, cuts) => {
          const [end] = pipe();
          const stream = new PacketStream(end);
          const bytes = packets.flatMap((packet) => [...encodePacket(packet)]);
          const received: Packet[] = [];
          for (let at = 0; at < bytes.length; ) {
            const cut = cuts.next().value;
            feed(end, Uint8Array.from(bytes.slice(at, at + cut)));
            at += cut;
            for (let next = stream.receive(); next; next = stream.receive()) received.push(next);
          }
          expect(received).toEqual(packets);
          expect(stream.partialInput()).toHaveLength(0);
        },
      ),
      { numRuns: 50 },
    );
  });

  test('packets leave whole and in order however little the stream takes', () => {
    fc.assert(
      fc.property(
        fc.array(packetArbitrary, { maxLength: 30 }),
        fc.integer({ min: 1, max: 50 }),
        (packets, moveMax) => {
          const [end, peer] = pipe(64, moveMax);
          const stream = new PacketStream(end);
          const wanted: number[] = [];
          const got: number[] = [];
          for (const packet of packets) {
            stream.send(packet);
            wanted.push(...encodePacket(packet));
            stream.flush();
            got.push(...peer.incoming.splice(0));
            expect(got.length + stream.queuedBytes).toBe(wanted.length);
            expect([...got, ...stream.unsentOutput()]).toEqual(wanted);
          }
          while (!stream.flush()) got.push(...peer.incoming.splice(0));
          got.push(...peer.incoming.splice(0));
          expect(hex(Uint8Array.from(got))).toBe(hex(Uint8Array.from(wanted)));
          expect(stream.queuedBytes).toBe(0);
        },
      ),
      { numRuns: 50 },
    );
  });

  test.each([PAYLOAD_MAX + 1, 0x40000000, 0x80000000, 0xffffffff])(
    'a length of %i is refused before memory is set aside',
    (len) => {
      const [end] = pipe();
      const header = encodePacket({
        type: 2,
        requestId: 1,
        transactionId: 0,
        payload: new Uint8Array(0),
      });
      new DataView(header.buffer).setUint32(12, len, true);
      feed(end, header);
      const stream = new PacketStream(end);
      expect(() => stream.receive()).toThrow(ProtocolViolation);
      expect(() => stream.receive()).toThrow('xenstore: len <= XENSTORE_PAYLOAD_MAX');
    },
  );

  test('a payload of exactly XENSTORE_PAYLOAD_MAX and one of nothing are accepted', () => {
    const [end] = pipe();
    const stream = new PacketStream(end);
    for (const length of [PAYLOAD_MAX, 0]) {
      feed(
        end,
        encodePacket({ type: 2, requestId: 1, transactionId: 0, payload: new Uint8Array(length) }),
      );
      expect(stream.receive()?.payload).toHaveLength(length);
    }
  });

  test('receive takes no byte of the packet after', () => {
    const [end] = pipe();
    const stream = new PacketStream(end);
    const one = encodePacket({
      type: 2,
      requestId: 1,
      transactionId: 0,
      payload: encodeStrings('/a'),
    });
    feed(end, one);
    feed(end, one);
    stream.receive();
    expect(end.incoming).toHaveLength(one.length);
  });

  test('what came of a packet can be seen, and goes on in another stream', () => {
    const packet = {
      type: 11,
      requestId: 1,
      transactionId: 0,
      payload: encodeStringAndValue('/a', 'value'),
    };
    const bytes = encodePacket(packet);
    for (let cut = 0; cut < bytes.length; cut++) {
      const [end] = pipe();
      const before = new PacketStream(end);
      feed(end, bytes.subarray(0, cut));
      expect(before.receive()).toBeUndefined();
      const [next] = pipe();
      feed(next, before.partialInput());
      feed(next, bytes.subarray(cut));
      expect(new PacketStream(next).receive()).toEqual(packet);
    }
  });

  test('a queue that the peer lets grow keeps every byte', () => {
    const [end, peer] = pipe(1 << 20, 1 << 20);
    const stream = new PacketStream(end);
    const payload = new Uint8Array(PAYLOAD_MAX).fill(7);
    for (let requestId = 0; requestId < 40; requestId++) {
      stream.send({ type: 2, requestId, transactionId: 0, payload });
    }
    expect(stream.queuedBytes).toBe(40 * (HEADER_SIZE + PAYLOAD_MAX));
    expect(stream.flush()).toBe(true);
    expect(peer.incoming).toHaveLength(40 * (HEADER_SIZE + PAYLOAD_MAX));
    stream.send({ type: 2, requestId: 99, transactionId: 0, payload: encodeStrings('/a') });
    stream.flush();
    expect(latin1Decode(Uint8Array.from(peer.incoming.slice(-3)))).toBe('/a\0');
  });
});
