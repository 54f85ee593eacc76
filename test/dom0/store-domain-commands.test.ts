/** How `paravane run store-domain` is asked, and how it asks Xen. */
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { domId } from '../../src/base/ids.ts';
import { runProgram } from '../../src/dom0/program.ts';
import { services } from '../../src/dom0/services.ts';
import { hostStoreToolstack, parseDomain } from '../../src/dom0/store-domain/toolstack.ts';

async function refusal(...args: string[]): Promise<readonly [code: number, error: string]> {
  let error = '';
  const terminal = {
    width: 80,
    out: () => {},
    error: (text: string) => {
      error += text;
    },
  };
  return [await runProgram(['run', 'store-domain', ...args], services, terminal), error];
}

test.each([
  [[], "required option '-i, --image <file>'"],
  [['--image', 'x.elf', '--journal', '63k'], 'it is from 64k to 120M'],
  [['--image', 'x.elf', '--journal', '1G'], 'it is from 64k to 120M'],
  [['--image', 'x.elf', '--journal', 'much'], 'a whole number from 1 with a unit'],
  [['--image', 'x.elf', '--memory', '0'], 'a whole number from 1'],
  [['--image', 'x.elf', '--memory', '1025'], 'it is at most 1024: the kernel uses no more'],
  [['--image', 'x.elf', '--cpus', '3-1'], 'numbers and ranges of processors, such as 1-3,5'],
])('%j makes no sense', async (args, words) => {
  expect(await refusal(...args)).toEqual([2, expect.stringContaining(words)]);
});

test('a domain is four numbers, and none is nothing at all', () => {
  expect(parseDomain('1 2 1044479 1\n')).toEqual({
    domid: 1,
    journal: 2,
    consoleFrame: 1044479,
    consolePort: 1,
  });
  expect(parseDomain('')).toBeUndefined();
});

test.each(['1 2 3', '1 2 3 x', 'hello', '1 2 3 4 5'])('"%s" is refused as a domain', (line) => {
  expect(() => parseDomain(line)).toThrow(expect.objectContaining({ code: 'EIO' }));
});

test.skipIf(existsSync('/dev/xen/privcmd'))(
  'outside of dom0 nothing is found, started or destroyed, and Xen is said not to answer',
  async () => {
    const form = { image: '/nowhere', memory_mib: 32, journalBytes: 1 << 20 };
    const toolstack = hostStoreToolstack(form);
    const words = 'Xen does not answer here: is this dom0?';
    await expect(toolstack.find()).rejects.toThrow(words);
    await expect(toolstack.start()).rejects.toThrow(words);
    await expect(toolstack.destroy(domId(1))).rejects.toThrow(words);
  },
);
