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
        const text = names.map((name) => `${name}\0`).join('');
        expect(latin1Decode(list.bytesFrom(0, list.byteLength))).toBe(text);
        expect(list.byteLength).toBe(text.length);
        for (let offset = 0; offset < text.length + 3; offset += 7) {
          const part = latin1Decode(list.bytesFrom(offset, 50));
          const whole = text.slice(offset, offset + 50);
          expect(part).toBe(whole.slice(0, whole.lastIndexOf('\0') + 1));
        }
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

  test('of 10,000 is read in parts without looking at more names than it returns', () => {
    let list = ChildList.empty;
    const looked = new Set<string>();
    // A name that tells when it is looked at.
    const counted = (text: string) =>
      new Proxy(new String(text), {
        get(target, key) {
          looked.add(text);
          const value: unknown = Reflect.get(target, key);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      }) as unknown as string;
    for (let birth = 1; birth <= 10_000; birth++) list = list.with(counted(`c${birth}`), birth);
    let parts = 0;
    let looks = 0;
    for (let offset = 0; offset < list.byteLength; parts++) {
      looked.clear();
      offset += list.bytesFrom(offset, 4096).length;
      looks += looked.size;
    }
    expect(parts).toBe(15);
    // Each name once, and again those of a run that two parts share.
    expect(looks).toBeLessThan(10_000 + 64 * parts);
  });

  test('holds 50,000 children, added and removed one by one', () => {
    let list = ChildList.empty;
    for (let birth = 1; birth <= 50_000; birth++) list = list.with(`c${birth}`, birth);
    expect(list.count).toBe(50_000);
    for (let birth = 1; birth <= 50_000; birth++) list = list.without(`c${birth}`, birth);
    expect([...list]).toEqual([]);
  });
});
