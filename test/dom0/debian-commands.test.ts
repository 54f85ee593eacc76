/** Debian's commands and ours, side by side on one xenstored. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Host, startHost } from './host.ts';

let host: Host;
beforeAll(async () => {
  host = await startHost();
  const values: [string, string][] = [
    ['/local/domain/0/name', 'Domain-0'],
    ['/local/domain/0/empty', ''],
    ['/local/domain/0/device/vbd/51712/backend', '/local/domain/0/backend/vbd/0/51712'],
    ['/bytes', '\\000\\001\\x08\\t\\n\\r\\\\"\\x7f\\xff'],
    ['/long', 'x'.repeat(200)],
    ['/long-escaped', '\\x01'.repeat(40)],
    [`/${'long-name-'.repeat(12)}`, 'value'],
    ['/sixty', 'y'.repeat(46)],
  ];
  expect((await host.paravane(['write', ...values.flat()])).code).toBe(0);
  await host.paravane(['chmod', '/local/domain/0/name', 'n0', 'r1', 'b22']);
});
afterAll(() => host.stop());

describe('output is the same, byte for byte, of', () => {
  test.each([
    ['ls', []],
    ['ls', ['/local']],
    ['ls', ['-f']],
    ['ls', ['-p']],
    ['ls', ['-f', '-p']],
    ['ls', ['-p', '/local/domain/0']],
    ['read', ['/bytes']],
    ['read', ['-R', '/bytes']],
    ['read', ['-p', '/bytes', '/local/domain/0/name']],
    ['list', ['/local/domain/0']],
    ['list', ['-p', '/local', '/local/domain/0']],
    ['exists', ['/local', '/bytes']],
    ['exists', ['/local', '/nowhere']],
    ['watch', ['-n', '1', '/local']],
  ])('%s %j', async (command, args) => {
    const debian = await host.debian(`xenstore-${command}`, args);
    const ours = await host.paravane([command, ...args]);
    expect(ours).toEqual(debian);
  });
});

describe('the effect is the same of', () => {
  const both = async (command: string, argsFor: (root: string) => string[]) => {
    expect((await host.debian(`xenstore-${command}`, argsFor('/debian'))).code).toBe(0);
    expect((await host.paravane([command, ...argsFor('/ours')])).code).toBe(0);
    const trees = ['/debian', '/ours'].map((root) => host.debian('xenstore-ls', ['-p', root]));
    const [debian, ours] = await Promise.all(trees);
    expect(debian?.out).not.toBe('');
    expect(ours).toEqual(debian);
  };

  test.each(['plain', '\\t\\n\\r\\\\', '\\101\\7\\x41\\xg', '\\q', 'é', '\\377\\400'])(
    'write %j',
    (value) => both('write', (root) => [`${root}/value`, value]),
  );

  test('write --raw', () => both('write', (root) => ['-R', `${root}/value`, '\\t\\x41']));

  test('rm --tidy', async () => {
    await both('write', (root) => [`${root}/keep`, '1', `${root}/a/b/c`, '1']);
    await both('rm', (root) => ['-t', `${root}/a/b/c`]);
  });

  test('chmod -r and -u', async () => {
    await both('write', (root) => [`${root}/p/q/r`, '1']);
    await both('chmod', (root) => ['-r', `${root}/p`, 'r0', 'b3']);
    await both('chmod', (root) => ['-u', `${root}/p/q`, 'n0', 'w5']);
  });
});
