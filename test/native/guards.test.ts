/** Wrong arguments throw, whatever they are; nothing here needs Xen. */
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openFifo } from './fifo.ts';
import { native, onXen } from './shim.ts';

const directory = mkdtempSync(join(tmpdir(), 'paravane-guards-'));
let fd: number;

beforeAll(() => {
  writeFileSync(join(directory, 'page'), new Uint8Array(4096));
  fd = openSync(join(directory, 'page'), 'r+');
});

afterAll(() => {
  closeSync(fd);
  rmSync(directory, { recursive: true });
});

/** Calls with whatever arguments, as a program without types could. */
function callWith(call: unknown, ...values: unknown[]): unknown {
  return (call as (...args: unknown[]) => unknown)(...values);
}

describe.each(['readNow', 'writeNow'] as const)('%s', (name) => {
  test('rejects what is no descriptor, and what is no bytes', () => {
    for (const wrong of [undefined, null, '0', {}, 1n]) {
      expect(() => callWith(native[name], wrong, new Uint8Array(1))).toThrow(TypeError);
      expect(() => callWith(native[name], fd, wrong)).toThrow(TypeError);
    }
    expect(() => callWith(native[name], fd, new Uint16Array(1))).toThrow(TypeError);
    expect(() => native[name](-1, new Uint8Array(1))).toThrow(RangeError);
    expect(() => native[name](fd, new Uint8Array(0))).toThrow(RangeError);
  });

  test('tells the errno of a closed descriptor', () => {
    expect(native[name](0x7fffffff, new Uint8Array(1))).toBe(-constants.errno.EBADF);
  });
});

describe('connectUnix', () => {
  test('rejects what is no path, and one that is too long', () => {
    expect(() => callWith(native.connectUnix, 1)).toThrow(TypeError);
    for (const wrong of ['', 'x'.repeat(108)]) {
      expect(() => native.connectUnix(wrong)).toThrow(RangeError);
    }
  });
});

describe('Tap', () => {
  test('rejects what is no name, and one that no interface can have', () => {
    for (const wrong of [undefined, null, 1, {}, []]) {
      expect(() => Reflect.construct(native.Tap, [wrong])).toThrow(TypeError);
    }
    for (const wrong of ['', 'x'.repeat(16), 'a\0b']) {
      expect(() => new native.Tap(wrong)).toThrow(RangeError);
    }
  });
});

describe('setAside', () => {
  test('rejects what is no number, and numbers out of range', () => {
    for (const wrong of [undefined, null, '0', {}, 1n]) {
      expect(() => callWith(native.setAside, wrong, 1)).toThrow(TypeError);
      expect(() => callWith(native.setAside, fd, wrong)).toThrow(TypeError);
    }
    for (const wrong of [-1, 0.5, Number.NaN, 2 ** 53]) {
      expect(() => native.setAside(wrong, 1)).toThrow(RangeError);
      expect(() => native.setAside(fd, wrong)).toThrow(RangeError);
    }
    expect(() => native.setAside(fd, 0)).toThrow(RangeError);
  });

  test('tells the errno of a closed descriptor', () => {
    expect(native.setAside(0x7fffffff, 1)).toBe(-constants.errno.EBADF);
  });
});

describe('mapFile and unmap', () => {
  test('mapFile rejects what is no number', () => {
    for (const wrong of [undefined, null, '0', {}, [], 1n, Symbol('x')]) {
      expect(() => callWith(native.mapFile, wrong, 0, 1)).toThrow(TypeError);
      expect(() => callWith(native.mapFile, fd, wrong, 1)).toThrow(TypeError);
      expect(() => callWith(native.mapFile, fd, 0, wrong)).toThrow(TypeError);
    }
  });

  test('mapFile rejects numbers out of range', () => {
    for (const wrong of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      expect(() => native.mapFile(wrong, 0, 1)).toThrow(RangeError);
      expect(() => native.mapFile(fd, wrong, 1)).toThrow(RangeError);
      expect(() => native.mapFile(fd, 0, wrong)).toThrow(RangeError);
    }
    expect(() => native.mapFile(fd, 0, 0)).toThrow(RangeError);
  });

  test('mapFile rejects pages beyond the end of a file', () => {
    expect(() => native.mapFile(fd, 1, 1)).toThrow(RangeError);
    expect(() => native.mapFile(fd, 0, 2)).toThrow(RangeError);
  });

  test('mapFile of a closed descriptor fails as the operating system says', () => {
    expect(() => native.mapFile(0x7fffffff, 0, 1)).toThrow(
      expect.objectContaining({ code: 'EBADF', syscall: 'dup' }),
    );
  });

  test('unmap rejects what it did not map', () => {
    for (const wrong of [undefined, {}, 5, new Uint8Array(8), new SharedArrayBuffer(8)]) {
      expect(() => callWith(native.unmap, wrong)).toThrow(TypeError);
    }
    expect(() => native.unmap(new ArrayBuffer(4096))).toThrow(TypeError);
    expect(() => native.unmap(new ArrayBuffer(0))).toThrow(TypeError);
  });

  test('mapFile and unmap answer any arguments with a value or an error', () => {
    fc.assert(
      fc.property(fc.array(fc.anything(), { maxLength: 4 }), (values) => {
        // A descriptor number that happens to be right would map one of our own files.
        fc.pre(typeof values[0] !== 'number');
        expect(() => callWith(native.mapFile, ...values)).toThrow();
        expect(() => callWith(native.unmap, ...values)).toThrow();
      }),
      { numRuns: 200 },
    );
  });
});

describe('discard and tryLock', () => {
  const nothing = () => {};

  test('discard rejects wrong arguments', () => {
    for (const wrong of [undefined, null, '0', {}, 1n]) {
      expect(() => callWith(native.discard, wrong, 0, 1, nothing)).toThrow(TypeError);
      expect(() => callWith(native.discard, fd, wrong, 1, nothing)).toThrow(TypeError);
      expect(() => callWith(native.discard, fd, 0, wrong, nothing)).toThrow(TypeError);
      expect(() => callWith(native.discard, fd, 0, 1, wrong)).toThrow(TypeError);
    }
    for (const wrong of [-1, 0.5, Number.NaN, 2 ** 53]) {
      expect(() => native.discard(fd, wrong, 1, nothing)).toThrow(RangeError);
      expect(() => native.discard(fd, 0, wrong, nothing)).toThrow(RangeError);
    }
  });

  test('discard tells what the operating system refuses', async () => {
    const results = await Promise.all(
      [0x7fffffff, fd].map(
        (target) =>
          new Promise<number>((resolve) =>
            native.discard(target, 0, 0, (result) => resolve(result)),
          ),
      ),
    );
    expect(results).toEqual([-constants.errno.EBADF, -constants.errno.EINVAL]);
  });

  test('tryLock rejects wrong arguments and a closed descriptor', () => {
    expect(() => callWith(native.tryLock, 'fd', true)).toThrow(TypeError);
    expect(() => callWith(native.tryLock, fd, 1)).toThrow(TypeError);
    expect(() => native.tryLock(0x7fffffff, true)).toThrow(
      expect.objectContaining({ code: 'EBADF', syscall: 'flock' }),
    );
  });
});

describe.skipIf(onXen)('devices that do not exist', () => {
  test.each(['Evtchn', 'Gntdev', 'Gntalloc', 'Privcmd'] as const)(
    'new %s fails with ENOENT and the path',
    (name) => {
      expect(() => new native[name]()).toThrow(
        expect.objectContaining({
          code: 'ENOENT',
          errno: -2,
          syscall: 'open',
          path: `/dev/xen/${name.toLowerCase()}`,
        }),
      );
    },
  );
});

describe('classes', () => {
  test('a method refuses an object of another kind as its own', () => {
    const fifo = openFifo();
    const poller = new native.Poller(fifo.fd, () => {});
    const { bindVirq } = native.Evtchn.prototype;
    const { copy } = native.Gntdev.prototype;
    for (const method of [bindVirq, copy]) {
      expect(() => method.call(poller as never, 1 as never)).toThrow(TypeError);
      expect(() => method.call({} as never, 1 as never)).toThrow(TypeError);
    }
    poller.close();
    fifo.close();
  });

  test('Poller rejects wrong arguments', () => {
    const { Poller } = native;
    expect(() => Reflect.construct(Poller, [])).toThrow(TypeError);
    expect(() => Reflect.construct(Poller, [1, 'no function'])).toThrow(TypeError);
    expect(() => new Poller(-1, () => {})).toThrow(RangeError);
    expect(() => new Poller(0x7fffffff, () => {})).toThrow(
      expect.objectContaining({ code: 'EBADF' }),
    );
    // A regular file is always ready; epoll does not take it.
    expect(() => new Poller(fd, () => {})).toThrow(expect.objectContaining({ code: 'EPERM' }));
  });
});
