import fc from 'fast-check';
import { expect, test } from 'vitest';
import { NetifExtraGso, NetifExtraHash } from '../../src/abi/io/netif.ts';
import { ExtraInfos, ExtraInfoWriter } from '../../src/net/extra-info.ts';
import { MAC_A, MAC_B } from './packets.ts';

function slotPair() {
  const slot = new Uint8Array(12);
  return { slot, writer: new ExtraInfoWriter(slot), infos: new ExtraInfos(slot) };
}

test('what is written is read again', () => {
  const gsos = fc.record({
    type: fc.constantFrom('tcpv4' as const, 'tcpv6' as const),
    size: fc.integer({ min: 48, max: 0xffff }),
  });
  const hashes = fc.record({ type: fc.nat(3), value: fc.nat(0xffffffff) });
  fc.assert(
    fc.property(gsos, hashes, fc.boolean(), (gso, hash, more) => {
      const { writer, infos } = slotPair();
      writer.writeGso(gso, true);
      infos.take();
      expect(infos.more).toBe(true);
      writer.writeHash(hash, more);
      infos.take();
      expect(infos.more).toBe(more);
      writer.writeMulticast(MAC_A, true);
      infos.take();
      writer.writeMulticast(MAC_B, false);
      infos.take();
      expect(infos).toMatchObject({ more: false, gso, hash, joined: MAC_A, left: MAC_B });
      infos.clear();
      expect([infos.gso, infos.hash, infos.joined, infos.left]).toEqual([
        undefined,
        undefined,
        undefined,
        undefined,
      ]);
    }),
  );
});

test.each([
  ['no type', { type: 0 }, 'one of XEN_NETIF_EXTRA_TYPE_*'],
  ['an unknown type', { type: 5 }, 'one of XEN_NETIF_EXTRA_TYPE_*'],
  ['the largest type', { type: 255 }, 'one of XEN_NETIF_EXTRA_TYPE_*'],
  ['no kind of GSO', { type: 1, gso_type: 0, gso_size: 1400 }, 'TCPV4 or TCPV6'],
  ['an unknown kind of GSO', { type: 1, gso_type: 3, gso_size: 1400 }, 'TCPV4 or TCPV6'],
  ['segments of nothing', { type: 1, gso_type: 1, gso_size: 0 }, '8 or more'],
  ['segments that are too small', { type: 1, gso_type: 2, gso_size: 7 }, '8 or more'],
])('%s is a violation', (_, fields, rule) => {
  const { slot, infos } = slotPair();
  Object.assign(NetifExtraGso.view(slot), fields);
  expect(() => infos.take()).toThrow(rule);
});

test('segments as small as Linux makes them, of 48 bytes with their options, are in order', () => {
  const { slot, infos } = slotPair();
  Object.assign(NetifExtraGso.view(slot), { type: 1, gso_type: 1, gso_size: 8 });
  infos.take();
  expect(infos.gso).toEqual({ type: 'tcpv4', size: 8 });
});

test('a hash by an algorithm that is not known counts as none', () => {
  const { slot, writer, infos } = slotPair();
  writer.writeHash({ type: 1, value: 5 }, false);
  NetifExtraHash.view(slot).hash_algorithm = 2;
  infos.take();
  expect(infos.hash).toBeUndefined();
});
