/** One program in the place of another, and the sockets that it goes on with. */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { native, shimPath } from './shim.ts';

const directory = mkdtempSync(join(tmpdir(), 'paravane-process-'));
const NONE = new Int32Array(0);
let listener: number;

beforeAll(() => {
  listener = native.listenUnix(join(directory, 'socket'), 1);
});
afterAll(() => {
  closeSync(listener);
  rmSync(directory, { recursive: true });
});

function callWith(call: unknown, ...values: unknown[]): unknown {
  return (call as (...args: unknown[]) => unknown)(...values);
}

describe('execute', () => {
  test('keeps the process, the descriptors given and no others', () => {
    const script = `
      const native = require(${JSON.stringify(shimPath)});
      const fs = require('node:fs');
      const [kept, lost] = [1, 2].map(() => fs.openSync('/dev/zero', 'r'));
      const shell = 'echo $$ $WORD; readlink /proc/self/fd/' + kept + ' /proc/self/fd/' + lost;
      fs.writeSync(1, process.pid + '\\n');
      native.execute('/bin/sh', ['sh', '-c', shell], ['WORD=here', 'PATH=/bin:/usr/bin'], Int32Array.of(kept));
    `;
    const { stdout } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
    const [before, after, kept, ...more] = stdout.trim().split('\n');
    expect(after).toBe(`${before} here`);
    expect(kept).toBe('/dev/zero');
    expect(more).toEqual([]);
  });

  test('of what cannot be run fails as the operating system says, and all is as it was', () => {
    const fd = openSync('/dev/zero', 'r');
    expect(() => native.execute('/no/such', [], [], Int32Array.of(fd))).toThrow(
      expect.objectContaining({ code: 'ENOENT', syscall: 'execve' }),
    );
    const inherits = spawnSync('readlink', [`/proc/self/fd/${fd}`], { encoding: 'utf8' });
    expect(inherits.stdout).not.toContain('/dev/zero');
    closeSync(fd);
  });

  test('rejects strings with a NUL, and descriptors that are not open', () => {
    expect(() => native.execute('/no\0', [], [], NONE)).toThrow(RangeError);
    expect(() => native.execute('/no', ['a\0'], [], NONE)).toThrow(RangeError);
    expect(() => native.execute('/no', [], ['a\0'], NONE)).toThrow(RangeError);
    expect(() => native.execute('/no', [], [], Int32Array.of(-1))).toThrow(
      expect.objectContaining({ code: 'EBADF' }),
    );
  });

  test('rejects any arguments of other types', () => {
    fc.assert(
      fc.property(fc.array(fc.anything(), { maxLength: 5 }), (values) => {
        fc.pre(typeof values[0] !== 'string');
        expect(() => callWith(native.execute, ...values)).toThrow(TypeError);
        expect(() => callWith(native.execute, '/no/such', ...values)).toThrow();
      }),
    );
  });
});

describe('adoptUnix', () => {
  test('takes a socket that listens where one is asked for, and no other', () => {
    native.adoptUnix(listener, 16);
    expect(() => native.adoptUnix(listener, 0)).toThrow(
      expect.objectContaining({ code: 'EISCONN' }),
    );
    expect(native.acceptUnix(listener)).toBeLessThan(0);
  });

  test('rejects what is no socket, and what is not open', () => {
    const fd = openSync('/dev/zero', 'r');
    expect(() => native.adoptUnix(fd, 0)).toThrow(expect.objectContaining({ code: 'ENOTSOCK' }));
    closeSync(fd);
    expect(() => native.adoptUnix(0x7fffffff, 0)).toThrow(
      expect.objectContaining({ code: 'EBADF' }),
    );
    for (const wrong of [undefined, '0', {}, 1n]) {
      expect(() => callWith(native.adoptUnix, wrong, 0)).toThrow(TypeError);
    }
  });
});
