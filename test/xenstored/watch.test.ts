import { describe, expect, test } from 'vitest';
import { pathSeenBy, type Watch, type Watcher, WatchIndex } from '../../src/xenstored/watch.ts';

const nobody: Watcher = {
  caller: { privileged: false, identity: undefined, target: undefined },
  deliver() {},
};
const watchOf = (path: string, token = 't', home = ''): Watch => ({
  watcher: nobody,
  path,
  token,
  depth: undefined,
  home,
});

describe('an index of watches', () => {
  const root = watchOf('/');
  const deep = watchOf('/a/b');
  const other = watchOf('/ab');
  const again = watchOf('/a/b', 'u');
  const above = watchOf('/a');
  const index = new WatchIndex();
  for (const watch of [root, deep, other, again, above]) index.add(watch);

  test('finds those at a path and above it, oldest first', () => {
    expect(index.covering('/a/b/c')).toEqual([root, deep, again, above]);
    expect(index.covering('/a')).toEqual([root, above]);
    expect(index.covering('/')).toEqual([root]);
    expect(index.covering('/a/bc')).toEqual([root, above]);
  });

  test('finds those at exactly a path', () => {
    expect(index.at('/a/b')).toEqual([deep, again]);
    expect(index.at('/a/b/c')).toEqual([]);
  });

  test('forgets what is removed', () => {
    index.remove(deep);
    index.remove(deep);
    expect(index.at('/a/b')).toEqual([again]);
    expect(index.count).toBe(4);
  });
});

test('a watch on a relative path sees relative paths', () => {
  const watch = watchOf('/local/domain/1/x', 't', '/local/domain/1');
  expect(pathSeenBy(watch, '/local/domain/1/x/y')).toBe('x/y');
  expect(pathSeenBy(watchOf('/x'), '/x/y')).toBe('/x/y');
});
