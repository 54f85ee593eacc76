import { expect, test } from 'vitest';
import { SHUTDOWN_poweroff, SHUTDOWN_reboot } from '../../src/abi/sched.ts';
import { onShutdownRequest } from '../../src/xenbus/shutdown-request.ts';
import { SimHost } from './sim-host.ts';

test.each([
  ['poweroff', SHUTDOWN_poweroff],
  ['halt', SHUTDOWN_poweroff],
  ['reboot', SHUTDOWN_reboot],
])('a request for %s is taken once and answered', async (request, reason) => {
  const host = new SimHost();
  const guest = await host.guest();
  const home = `/local/domain/${guest.domid}`;
  const reasons: number[] = [];
  await host.finish(onShutdownRequest(guest.xenstore, (asked) => reasons.push(asked)));
  await host.settle();
  expect(reasons).toEqual([]);
  for (const text of ['sleep', request, request]) {
    await host.finish(host.tools.write(`${home}/control/shutdown`, text));
    await host.settle();
  }
  expect(reasons).toEqual([reason]);
  expect(await host.value(`${home}/control/feature-poweroff`)).toBe('1');
  expect(await host.end()).toEqual([]);
});

test('a request that is taken is gone from its node', async () => {
  const host = new SimHost();
  const guest = await host.guest();
  const node = `/local/domain/${guest.domid}/control/shutdown`;
  await host.finish(host.tools.write(node, 'poweroff'));
  await host.finish(onShutdownRequest(guest.xenstore, () => {}));
  await host.settle();
  expect(await host.value(node)).toBe('');
  expect(await host.end()).toEqual([]);
});
