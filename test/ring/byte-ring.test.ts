import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ProtocolViolation } from '../../src/base/errors.ts';
import { type ByteRing, ByteRingReader, ByteRingWriter } from '../../src/ring/byte-ring.ts';

const CONS = 4;
const PROD = 0;

function byteRing(size: number, start = 0): ByteRing {
  const page = new Uint8Array(16 + size);
  const words = new Uint32Array(page.buffer, 0, 2);
  words[0] = start;
  words[1] = start;
  return { name: 'the test ring', page, data: page.subarray(16), cons: CONS, prod: PROD };
}

const indexesOf = (ring: ByteRing) => new Uint32Array(ring.page.buffer, 0, 2);

describe('byte ring', () => {
  test('is a queue of bytes, wherever the indexes stand', () => {
    const transfer = fc.record({ write: fc.boolean(), length: fc.nat(40) });
    fc.assert(
      fc.property(
        fc.constantFrom(1, 2, 16, 32),
        fc.oneof(fc.constant(0), fc.integer({ min: 0xffffffff - 70, max: 0xffffffff })),
        fc.array(transfer, { maxLength: 100 }),
        (size, start, transfers) => {
          const ring = byteRing(size, start);
          const reader = new ByteRingReader(ring);
          const writer = new ByteRingWriter(ring);
          const queue: number[] = [];
          let next = 0;
          for (const { write, length } of transfers) {
            if (write) {
              const source = Uint8Array.from({ length }, () => next++);
              const written = writer.write(source);
              expect(written).toBe(Math.min(length, size - queue.length));
              queue.push(...source.subarray(0, written));
              next -= length - written;
            } else {
              const target = new Uint8Array(length).fill(0xee);
              const taken = queue.splice(0, length);
              expect(reader.read(target)).toBe(taken.length);
              expect([...target.subarray(0, taken.length)]).toEqual(taken);
              expect(target.subarray(taken.length).every((byte) => byte === 0xee)).toBe(true);
            }
            expect(reader.available).toBe(queue.length);
            expect(writer.space).toBe(size - queue.length);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  test('goes on from zero when the guest clears the page', () => {
    const ring = byteRing(16, 5);
    const reader = new ByteRingReader(ring);
    const writer = new ByteRingWriter(ring);
    writer.write(Uint8Array.of(1, 2, 3));
    ring.page.fill(0);
    expect([reader.available, writer.space]).toEqual([0, 16]);
    writer.write(Uint8Array.of(9));
    const target = new Uint8Array(4);
    expect([reader.read(target), target[0]]).toEqual([1, 9]);
  });

  test.each([
    ['one byte more than the size', 17, 0],
    ['the consumer in front of the producer', 0, 1],
    ['half the range apart', 0x80000000, 0],
    ['one byte more, across the wrap', 8, 0xfffffff7],
  ])('indexes that cannot be are a violation: %s', (_, prod, cons) => {
    const ring = byteRing(16);
    indexesOf(ring).set([prod, cons]);
    const byte = new Uint8Array(1);
    const reader = new ByteRingReader(ring);
    const writer = new ByteRingWriter(ring);
    expect(() => reader.available).toThrow(ProtocolViolation);
    expect(() => reader.read(byte)).toThrow('prod - cons <= size');
    expect(() => writer.space).toThrow(ProtocolViolation);
    expect(() => writer.write(byte)).toThrow('the test ring');
    expect([...indexesOf(ring)]).toEqual([prod, cons]);
  });

  test('whatever a peer writes, what is moved stays inside the data area', () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.integer({ min: -20, max: 20 }), (cons, distance) => {
        const ring = byteRing(16);
        const area = new Uint8Array(48).fill(0xaa);
        const reader = new ByteRingReader({ ...ring, data: area.subarray(16, 32) });
        const writer = new ByteRingWriter({ ...ring, data: area.subarray(16, 32) });
        for (const step of [
          () => expect(reader.read(new Uint8Array(64))).toBeLessThanOrEqual(16),
          () => expect(writer.write(new Uint8Array(64))).toBeLessThanOrEqual(16),
        ]) {
          indexesOf(ring).set([cons + distance, cons]);
          try {
            step();
            expect(distance).toBeGreaterThanOrEqual(0);
            expect(distance).toBeLessThanOrEqual(16);
          } catch (error) {
            if (!(error instanceof ProtocolViolation)) throw error;
            expect(distance < 0 || distance > 16).toBe(true);
          }
        }
        expect(area.subarray(0, 16).every((byte) => byte === 0xaa)).toBe(true);
        expect(area.subarray(32).every((byte) => byte === 0xaa)).toBe(true);
      }),
    );
  });

  test('a size that is no power of two is refused', () => {
    expect(() => new ByteRingReader(byteRing(24))).toThrow('power of two');
    expect(() => new ByteRingWriter(byteRing(0))).toThrow('power of two');
  });
});
