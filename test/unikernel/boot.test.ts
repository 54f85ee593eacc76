/** What the stub-domain kernel does with the machine that a loader gives it, before it looks for Xen. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { buildImage } from '../../src/dom0/image/image.ts';
import { hasMachine, Machine } from './machine.ts';
import { scratchDirectory } from './native-stubdom.ts';

/** The engine takes its time to compile when nobody has done it before. */
const LIMIT_MS = 240_000;

/** As processors have it after a reset: single precision, and an exception for every inexact result. */
const FCW_RESET = 0x40;
const FCW_INIT = 0x37f;
const MXCSR_INIT = 0x1f80;

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

test.skipIf(!hasMachine)(
  'numbers are calculated as C has it where there is QEMU, whatever state the loader leaves',
  async () => {
    const [entry, image] = ['empty.js', 'empty.elf'].map((name) => join(scratch.path, name));
    writeFileSync(entry!, '');
    await buildImage(entry!, image!);
    const machine = await Machine.create(image!, join(scratch.path, 'gdb'));
    try {
      await machine.setRegister('fctrl', FCW_RESET);
      await machine.setRegister('mxcsr', 0);
      await machine.run();
      expect(machine.console).toContain('there is no Xen here');
      expect(await machine.register('fctrl')).toBe(FCW_INIT);
      expect(await machine.register('mxcsr')).toBe(MXCSR_INIT);
    } finally {
      await machine.close();
    }
  },
  LIMIT_MS,
);
