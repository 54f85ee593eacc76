import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { latin1Decode } from '../../src/base/bytes.ts';
import { ChildList } from '../../src/xenstored/child-list.ts';

describe('a list of children', () => {
  test('is in order of birth, whatever is added and removed', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(300), { maxLength: 400, size: 'max' }), (births) => {
        let list = ChildList.empty;
        const model = new Set<number>();
        for (const birth of births) {
          const name = `child-${birth}`;
          list = model.has(birth) ? list.without(name, birth) : list.with(name, birth);
          if (!model.delete(birth)) model.add(birth);
        }
        const names = [...model].sort((a, b) => a - b).map((birth) => `child-${birth}`);
        expect([...list]).toEqual(names);
        expect(list.count).toBe(names.length);
        expect(latin1Decode(list.bytes)).toBe(names.map((name) => `${name}\0`).join(''));
        expect(list.byteLength).toBe(list.bytes.length);
      }),
      { numRuns: 100 },
    );
  });

  test('stays as it was when another is made of it', () => {
    let list = ChildList.empty;
    for (let birth = 1; birth <= 200; birth++) list = list.with(`c${birth}`, birth);
    const before = [...list];
    list.with('new', 1000);
    list.without('c100', 100);
    expect([...list]).toEqual(before);
  });

  test('holds 50,000 children, added and removed one by one', () => {
    let list = ChildList.empty;
    for (let birth = 1; birth <= 50_000; birth++) list = list.with(`c${birth}`, birth);
    expect(list.count).toBe(50_000);
    for (let birth = 1; birth <= 50_000; birth++) list = list.without(`c${birth}`, birth);
    expect([...list]).toEqual([]);
  });
});
