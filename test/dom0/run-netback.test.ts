/** The command line of `paravane run netback`, as far as it is refused before Xen is needed. */
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { runProgram } from '../../src/dom0/program.ts';
import { services } from '../../src/dom0/services.ts';

async function refusal(...args: string[]): Promise<{ code: number; error: string }> {
  let error = '';
  const terminal = {
    width: 80,
    out: () => {},
    error: (text: string) => {
      error += text;
    },
  };
  return { code: await runProgram(['run', 'netback', ...args], services, terminal), error };
}

test.each([
  [['--switch', '--dhcp', '10.0.0.0'], 'an address range is 10.0.0.0/24'],
  [['--switch', '--dhcp', '10.0.0.1/24'], 'begins with its first address: 10.0.0.0/24'],
  [['--without', 'sg'], 'sg is none of scatter-gather'],
  [['--switch', '--uplink', 'eth0'], 'a whole number from 0'],
])('%j makes no sense', async (args, words) => {
  const { code, error } = await refusal(...args);
  expect([code, error]).toEqual([2, expect.stringContaining(words)]);
});

test.each([
  ['--dhcp', '10.0.0.0/24'],
  ['--tap', 'lan0'],
  ['--uplink', '0'],
])('%s without a switch is refused', (...args) => {
  // In a process of its own: a service listens for signals before it starts.
  const words = ['--import', 'tsx', 'src/dom0/paravane.ts', 'run', 'netback', ...args];
  const { status, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8' });
  expect([status, stderr]).toEqual([1, expect.stringContaining('for the network of --switch')]);
});
