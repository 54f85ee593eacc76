import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { domId } from '../../src/base/ids.ts';
import { formatPermission, parsePermission } from '../../src/xenstore/permissions.ts';

describe('permission entry', () => {
  test('survives the way there and back', () => {
    const entry = fc.record({
      access: fc.constantFrom('n' as const, 'r' as const, 'w' as const, 'b' as const),
      domid: fc.nat(0x7fef).map(domId),
    });
    fc.assert(
      fc.property(entry, (permission) => {
        expect(parsePermission(formatPermission(permission))).toEqual(permission);
      }),
    );
  });

  test.each(['', 'n', '5', 'x5', 'n-1', 'n5 ', ' n5', 'nr5', 'n32752', 'n99999', 'n123456', 'N5'])(
    '%j is refused as EINVAL',
    (text) => {
      expect(() => parsePermission(text)).toThrow(/EINVAL/);
    },
  );
});
