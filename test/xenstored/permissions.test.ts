import { describe, expect, test } from 'vitest';
import {
  type Caller,
  formatEntry,
  MAY_OWN,
  MAY_READ,
  MAY_WRITE,
  ownedBy,
  type PermissionEntry,
  parseEntry,
  rightsOf,
} from '../../src/xenstored/permissions.ts';

const ALL = MAY_READ | MAY_WRITE | MAY_OWN;

/** `r5.2`: read access for the second domain that had domid 5. */
function entries(text: string): PermissionEntry[] {
  return text.split(' ').map((word) => {
    const [entry = '', incarnation] = word.split('.');
    return { ...parseEntry(entry), incarnation: Number(incarnation) };
  });
}

const guest = (domid: number, incarnation: number, target?: Caller['target']): Caller => ({
  privileged: false,
  identity: { domid, incarnation },
  target,
});

describe('rights', () => {
  test.each([
    ['n5.1', guest(5, 1), ALL],
    ['n5.1', guest(5, 2), 0],
    ['r0.1', guest(5, 1), MAY_READ],
    ['b0.1 n5.1', guest(5, 1), 0],
    ['b0.1 n5.1', guest(5, 2), MAY_READ | MAY_WRITE],
    ['n0.1 w5.1 r5.1', guest(5, 1), MAY_WRITE],
    ['n0.1 r6.3', guest(5, 1, { domid: 6, incarnation: 3 }), MAY_READ],
    ['n6.3', guest(5, 1, { domid: 6, incarnation: 3 }), ALL],
    ['n6.3', guest(5, 1, { domid: 6, incarnation: 4 }), 0],
    ['n7.1', { privileged: true, identity: undefined, target: undefined }, ALL],
    ['r7.1', { privileged: false, identity: undefined, target: undefined }, MAY_READ],
  ])('by %s of %j are %i', (permissions, caller, rights) => {
    expect(rightsOf(caller, entries(permissions))).toBe(rights);
  });
});

describe('a permission entry', () => {
  test.each([
    ['n0', 'n', 0],
    ['r12', 'r', 12],
    ['b0x10', 'b', 16],
    ['w010', 'w', 8],
    ['n +7', 'n', 7],
    ['n-1', 'n', 0xffffffff],
  ])('%s is parsed as strtol does', (text, access, domid) => {
    expect(parseEntry(text)).toEqual({ access, domid });
  });

  test.each(['', 'n', 'x0', 'n0x', 'n08', 'n1 ', 'N1', 'n1.5', '0'])('"%s" is refused', (text) => {
    expect(() => parseEntry(text)).toThrow('an entry is one of n r w b and a domid');
  });

  test('is formatted with a signed number', () => {
    expect(entries('n3.1 r4294967295.0').map(formatEntry)).toEqual(['n3', 'r-1']);
  });
});

test('another owner changes nothing but the owner', () => {
  const changed = ownedBy(entries('r0.1 b5.2'), { domid: 7, incarnation: 9 });
  expect(changed).toEqual(entries('r7.9 b5.2'));
});
