import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { XenError } from '../../src/base/errors.ts';
import {
  absoluteOrSpecialPath,
  absolutePath,
  childPath,
  isAtOrBelow,
  parentPath,
  pathName,
  splitPath,
} from '../../src/xenstore/path.ts';

const HOME = '/local/domain/3';
const component = fc.stringMatching(/^[A-Za-z0-9_@-]{1,12}$/);
const components = fc.array(component, { minLength: 1, maxLength: 8 });

describe('path', () => {
  test.each([
    ['', 'not empty'],
    ['/a/', 'does not end in "/"'],
    ['a/', 'does not end in "/"'],
    ['//', 'empty component'],
    ['/a//b', 'empty component'],
    ['/a b', 'made of'],
    ['/a\0b', 'made of'],
    ['/ä', 'made of'],
    ['/a.b', 'made of'],
    [`/${'a'.repeat(3072)}`, 'at most 3072'],
    ['a'.repeat(2049), 'at most 2048'],
    ['@releaseDomain', 'begins with "@"'],
  ])('%j is refused by a named rule', (path, rule) => {
    expect(() => absolutePath(path, HOME)).toThrow(rule);
    expect(() => absolutePath(path, HOME)).toThrow(XenError);
  });

  test('the longest paths are accepted', () => {
    expect(absolutePath(`/${'a'.repeat(3071)}`, HOME)).toHaveLength(3072);
    expect(absolutePath('a'.repeat(2048), HOME)).toHaveLength(2048 + HOME.length + 1);
  });

  test('a relative path counts with its home (XSA-323)', () => {
    const home = `/${'h'.repeat(1100)}`;
    expect(() => absolutePath('a'.repeat(2000), home)).toThrow('at most 3072');
  });

  test('a relative path stands under the home, and without one nowhere', () => {
    expect(absolutePath('device/vbd', HOME)).toBe('/local/domain/3/device/vbd');
    expect(() => absolutePath('device')).toThrow('needs a home');
  });

  test('happenings are for watches and permissions only, and have a grammar too', () => {
    expect(absoluteOrSpecialPath('@releaseDomain')).toBe('@releaseDomain');
    expect(absoluteOrSpecialPath('/a')).toBe('/a');
    expect(() => absoluteOrSpecialPath('@release Domain')).toThrow('made of');
    expect(() => absoluteOrSpecialPath(`@${'a'.repeat(2048)}`)).toThrow('at most 2048');
  });

  test('an error shows as much of a hostile path as a line bears', () => {
    expect(() => absolutePath(`/${'\n'.repeat(4000)}`)).toThrow(/^path "\/(\\n){60}\.\.\."/);
  });

  test('splitting, parents and names agree with the components', () => {
    fc.assert(
      fc.property(components, (names) => {
        const path = absolutePath(`/${names.join('/')}`);
        expect(splitPath(path)).toEqual(names);
        expect(pathName(path)).toBe(names.at(-1));
        expect(childPath(parentPath(path), pathName(path))).toBe(path);
        expect(isAtOrBelow(path, parentPath(path))).toBe(true);
        expect(isAtOrBelow(parentPath(path), path)).toBe(false);
        expect(isAtOrBelow(`${path}x`, path)).toBe(false);
      }),
    );
  });

  test('the root has no components, no name, and is its own parent', () => {
    expect(absolutePath('/')).toBe('/');
    expect(splitPath('/')).toEqual([]);
    expect(pathName('/')).toBe('');
    expect(parentPath('/')).toBe('/');
    expect(isAtOrBelow('/', '/')).toBe(true);
    expect(isAtOrBelow('@releaseDomain', '/')).toBe(false);
  });
});
