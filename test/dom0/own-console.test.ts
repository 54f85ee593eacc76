/** The console of a domain that serves consoles, while it is made again: libxl waits for its terminal. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { XenError } from '../../src/base/errors.ts';
import { domId } from '../../src/base/ids.ts';
import { withOwnConsole } from '../../src/dom0/driver-domain/own-console.ts';
import { SimHost } from '../xenbus/sim-host.ts';

const DOMID = domId(1);
const CONSOLE = `/local/domain/${DOMID}/console`;

let host: SimHost;

beforeEach(() => {
  host = new SimHost();
});

afterEach(async () => {
  expect(await host.end()).toEqual([]);
});

/** Makes the domain's console as libxl does, for `backend`, and waits as libxl does. */
async function make(backend: number): Promise<string | undefined> {
  await host.tools.transaction(async (nodes) => {
    await nodes.write(`${CONSOLE}/backend-id`, String(backend));
    await nodes.write(`${CONSOLE}/tty`, '');
  });
  await host.settle();
  return host.tools.readIfPresent(`${CONSOLE}/tty`);
}

test.each([
  ['to itself has a terminal that shows nothing', 1, '/dev/null'],
  ['to dom0 is left to dom0', 0, ''],
])('a console that is given %s', async (_, backend, terminal) => {
  const made = withOwnConsole(host.tools, DOMID, host.logger, () => make(backend));
  expect(await host.finish(made)).toBe(terminal);
});

test('a failure is passed on, and nothing watches any more', async () => {
  const made = withOwnConsole(host.tools, DOMID, host.logger, async () => {
    throw new XenError('ENOMEM', 'make a domain');
  });
  await expect(host.finish(made)).rejects.toThrow('make a domain');
  expect(await host.finish(make(1))).toBe('');
});
