import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  BROADCAST,
  isGroupAddress,
  type MacAddress,
  macAddressAt,
  macAddressText,
  parseMacAddress,
  writeMacAddress,
} from '../../src/net/mac-address.ts';

test('an address is read, written and read again from text and from bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), fc.nat(3), (bytes, offset) => {
      const memory = new Uint8Array(10);
      memory.set(bytes, offset);
      const address = macAddressAt(memory, offset);
      expect(parseMacAddress(macAddressText(address))).toBe(address);
      const written = new Uint8Array(10);
      writeMacAddress(address, written, offset);
      expect(written).toEqual(memory);
      expect(isGroupAddress(address)).toBe((bytes[0]! & 1) === 1);
    }),
  );
});

test('text is in the order of the bytes', () => {
  expect(macAddressText(0x0016_3e01_0203 as MacAddress)).toBe('00:16:3e:01:02:03');
  expect(parseMacAddress('FF:ff:FF:ff:ff:ff')).toBe(BROADCAST);
});

test.each([
  '',
  '00:16:3e:01:02',
  '00:16:3e:01:02:03:04',
  '0016:3e:01:02:03',
  '00:16:3e:01:02:0g',
  ' 00:16:3e:01:02:03',
])('text that is no address is refused: %j', (text) => {
  expect(() => parseMacAddress(text)).toThrow(/a MAC address is six bytes/);
});
