/** How mapped memory ends. A file of two pages stands for what a device would map. */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LinuxPages } from '../../src/hypervisor/linux/pages.ts';
import { runScript } from './run-script.ts';
import { native } from './shim.ts';

const PAGE = 4096;
let directory: string;
let file: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'paravane-pages-'));
  file = join(directory, 'two-pages');
  writeFileSync(file, new Uint8Array(2 * PAGE).fill(7));
});

afterEach(() => rmSync(directory, { recursive: true }));

function map(firstPage = 0, count = 2): ArrayBuffer {
  const fd = openSync(file, 'r+');
  try {
    return native.mapFile(fd, firstPage, count);
  } finally {
    closeSync(fd);
  }
}

const timesMapped = () => readFileSync('/proc/self/maps', 'latin1').split(file).length - 1;

/** Whether some page of this process begins with `marker`. */
function somePageBegins(marker: Uint8Array): boolean {
  const memory = openSync('/proc/self/mem', 'r');
  const chunk = Buffer.alloc(256 * PAGE);
  try {
    for (const line of readFileSync('/proc/self/maps', 'latin1').split('\n')) {
      const [, from, to] = /^(\w+)-(\w+) rw-p/.exec(line) ?? [];
      if (from === undefined) continue;
      const end = Number(`0x${to}`);
      for (let at = Number(`0x${from}`); at < end; at += chunk.length) {
        const count = readSync(memory, chunk, 0, Math.min(chunk.length, end - at), at);
        for (let page = 0; page < count; page += PAGE) {
          if (chunk.compare(marker, 0, marker.length, page, page + marker.length) === 0)
            return true;
        }
      }
    }
    return false;
  } finally {
    closeSync(memory);
  }
}

describe('allocatePages', () => {
  test('memory begins at a page and is zeroed', () => {
    const marker = randomBytes(32);
    const bytes = new Uint8Array(native.allocatePages(3));
    expect([bytes.length, bytes.some((byte) => byte !== 0)]).toEqual([3 * PAGE, false]);
    expect(somePageBegins(marker)).toBe(false);
    bytes.set(marker, PAGE);
    expect(somePageBegins(marker)).toBe(true);
  });

  test('memory goes when nobody uses it any more', () => {
    const program = `
      const before = process.memoryUsage().rss;
      for (let round = 0; round < 20; round++) {
        new Uint8Array(native.allocatePages(4096)).fill(1);
        await collect(() => process.memoryUsage().rss < before + (64 << 20));
      }
      say('done');`;
    expect(runScript(file, program)).toEqual({ said: ['done'], status: 'ok' });
  });

  test('refuses a number of pages that makes no sense', () => {
    for (const wrong of [0, -1, 1.5, 2 ** 20 + 1, Number.NaN]) {
      expect(() => native.allocatePages(wrong)).toThrow(RangeError);
    }
    expect(() => native.allocatePages('1' as unknown as number)).toThrow(TypeError);
  });
});

describe('unmap', () => {
  test('the memory is the file, from the page asked for', () => {
    const buffer = map(1, 1);
    const bytes = new Uint8Array(buffer);
    expect(bytes.length).toBe(PAGE);
    bytes[3] = 9;
    expect(readFileSync(file)[PAGE + 3]).toBe(9);
    native.unmap(buffer);
  });

  test('Atomics work on mapped memory', () => {
    const buffer = map();
    const words = new Uint32Array(buffer);
    expect(Atomics.exchange(words, 1, 5)).toBe(0x07070707);
    expect(Atomics.load(words, 1)).toBe(5);
    native.unmap(buffer);
  });

  test('unmap detaches every view and takes the mapping away', () => {
    const buffer = map();
    const bytes = new Uint8Array(buffer, 100);
    const data = new DataView(buffer);
    expect(timesMapped()).toBe(1);
    native.unmap(buffer);
    expect(timesMapped()).toBe(0);
    expect([buffer.byteLength, bytes.length, bytes[0]]).toEqual([0, 0, undefined]);
    expect(() => data.getUint8(0)).toThrow(TypeError);
  });

  test('unmap twice does nothing the second time', () => {
    const first = map();
    native.unmap(first);
    // It is likely to get the address that has just become free.
    const second = map();
    native.unmap(first);
    expect(new Uint8Array(second)[0]).toBe(7);
    native.unmap(second);
  });

  test('many mappings in a row use the same addresses without harm', () => {
    for (let round = 0; round < 2000; round++) {
      const buffer = map();
      expect(new Uint8Array(buffer)[PAGE]).toBe(7);
      native.unmap(buffer);
    }
    expect(timesMapped()).toBe(0);
  });

  test('mapped memory cannot be moved to another owner', () => {
    const buffer = map();
    try {
      // Up to Node 20 this makes a copy, later it throws.
      new Uint8Array(structuredClone(buffer, { transfer: [buffer] }))[0] = 8;
    } catch (error) {
      expect(error).toHaveProperty('name', 'DataCloneError');
    }
    expect(new Uint8Array(buffer)[0]).toBe(7);
    native.unmap(buffer);
    expect(timesMapped()).toBe(0);
  });
});

describe('LinuxPages', () => {
  test('pages are windows on the memory until close', () => {
    const pages = new LinuxPages(map());
    expect(pages.count).toBe(2);
    const second = pages.page(1);
    second[0] = 1;
    expect(pages.bytes[PAGE]).toBe(1);
    pages.close();
    pages.close();
    expect(pages.closed).toBe(true);
    expect(second.length).toBe(0);
    expect(() => pages.bytes).toThrow(TypeError);
    expect(() => pages.page(0)).toThrow(TypeError);
    expect(timesMapped()).toBe(0);
  });
});

describe('without unmap', () => {
  test('the garbage collector takes the mapping away with the last view', () => {
    const program = `
      let bytes = new Uint8Array(map());
      await collect(() => mapped() === 0);
      say([mapped(), bytes[0]]);
      bytes = undefined;
      await collect(() => mapped() === 0);
      say(mapped());`;
    expect(runScript(file, program)).toEqual({ said: [[1, 7], 0], status: 'ok' });
  });

  test('a mapping that was unmapped is not unmapped again when collected', () => {
    const program = `
      native.unmap(map());
      const second = map();
      await collect(() => false);
      say([mapped(), new Uint8Array(second)[0]]);`;
    expect(runScript(file, program)).toEqual({ said: [[1, 7]], status: 'ok' });
  });

  test('a worker takes its mappings away when it ends', () => {
    const program = `
      const { Worker } = require('node:worker_threads');
      const mine = map();
      for (const end of ['', 'process.exit(0)', 'setInterval(() => {}, 1000)']) {
        const source = process.env.TEST_PRELUDE +
          'globalThis.kept = [map(), map()]; native.unmap(kept[0]);' +
          'require("node:worker_threads").parentPort.postMessage(mapped());' + end;
        const worker = new Worker(source, { eval: true });
        await new Promise((resolve) => worker.once('message', (n) => { say(n); resolve(); }));
        if (end.startsWith('setInterval')) await worker.terminate();
        else await new Promise((resolve) => worker.once('exit', resolve));
        say(mapped());
      }
      native.unmap(mine);
      say(mapped());`;
    expect(runScript(file, program)).toEqual({ said: [2, 1, 2, 1, 2, 1, 0], status: 'ok' });
  });

  test('a process ends well with mappings and pollers open', () => {
    for (const end of ['process.exit(0)', 'poller.unref()']) {
      const program = `
        globalThis.kept = map();
        const { execFileSync } = require('node:child_process');
        const fifo = path + '.fifo';
        execFileSync('mkfifo', [fifo]);
        globalThis.poller = new native.Poller(fs.openSync(fifo, fs.constants.O_RDWR), () => {});
        poller.start(native.READABLE);
        fs.unlinkSync(fifo);
        say('open');
        ${end};`;
      expect(runScript(file, program)).toEqual({ said: ['open'], status: 'ok' });
    }
  });

  test('a worker ends well with a poller at work', () => {
    const program = `
      const { Worker } = require('node:worker_threads');
      require('node:child_process').execFileSync('mkfifo', [path + '.fifo']);
      const source = process.env.TEST_PRELUDE +
        'const fd = fs.openSync(path + ".fifo", fs.constants.O_RDWR);' +
        'globalThis.poller = new native.Poller(fd, () => {});' +
        'poller.start(native.READABLE);' +
        'require("node:worker_threads").parentPort.postMessage("started");';
      const worker = new Worker(source, { eval: true });
      await new Promise((resolve) => worker.once('message', (word) => { say(word); resolve(); }));
      await worker.terminate();
      fs.unlinkSync(path + '.fifo');
      say('ended');`;
    expect(runScript(file, program)).toEqual({ said: ['started', 'ended'], status: 'ok' });
  });

  test('an error of the callback is an uncaught exception and polling goes on', () => {
    const program = `
      require('node:child_process').execFileSync('/usr/bin/mkfifo', [path + '.fifo']);
      const fd = fs.openSync(path + '.fifo', fs.constants.O_RDWR);
      fs.writeSync(fd, 'xy');
      let poller;
      process.on('uncaughtException', (error) => {
        say(error.message);
        if (error.message === 'y') poller.close();
      });
      poller = new native.Poller(fd, () => {
        const byte = Buffer.alloc(1);
        fs.readSync(fd, byte);
        throw new Error(byte.toString());
      });
      poller.start(native.READABLE);
      fs.unlinkSync(path + '.fifo');`;
    expect(runScript(file, program)).toEqual({ said: ['x', 'y'], status: 'ok' });
  });

  test('a poller at work is not collected, one that is stopped is', () => {
    const program = `
      require('node:child_process').execFileSync('mkfifo', [path + '.fifo']);
      const fd = fs.openSync(path + '.fifo', fs.constants.O_RDWR);
      let calls = 0;
      let weak = new WeakRef(new native.Poller(fd, () => { calls++; fs.readSync(fd, Buffer.alloc(1)); }));
      weak.deref().start(native.READABLE);
      await collect(() => weak.deref() === undefined);
      fs.writeSync(fd, 'x');
      await collect(() => calls > 0);
      say([weak.deref() !== undefined, calls]);
      weak.deref().stop();
      await collect(() => weak.deref() === undefined);
      say(weak.deref() === undefined);
      fs.unlinkSync(path + '.fifo');`;
    expect(runScript(file, program)).toEqual({ said: [[true, 1], true], status: 'ok' });
  });
});
