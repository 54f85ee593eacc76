import { expect, test } from 'vitest';
import { SHUTDOWN_poweroff, SHUTDOWN_reboot } from '../../src/abi/sched.ts';
import { onShutdownRequest } from '../../src/xenbus/shutdown-request.ts';
import { SimHost } from './sim-host.ts';

const unexpected = () => expect.unreachable('a request to suspend');

test.each([
  ['poweroff', SHUTDOWN_poweroff],
  ['halt', SHUTDOWN_poweroff],
  ['reboot', SHUTDOWN_reboot],
])('a request for %s is taken once and answered', async (request, reason) => {
  const host = new SimHost();
  const guest = await host.guest();
  const home = `/local/domain/${guest.domid}`;
  const reasons: number[] = [];
  await host.finish(
    onShutdownRequest(guest.xenstore, {
      end: (asked) => reasons.push(asked),
      suspend: unexpected,
    }),
  );
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
  await host.finish(onShutdownRequest(guest.xenstore, { end: () => {}, suspend: unexpected }));
  await host.settle();
  expect(await host.value(node)).toBe('');
  expect(await host.end()).toEqual([]);
});

test('a domain may be suspended any number of times before it ends', async () => {
  const host = new SimHost();
  const guest = await host.guest();
  const home = `/local/domain/${guest.domid}`;
  const asked: (number | string)[] = [];
  const handlers = {
    end: (reason: number) => asked.push(reason),
    suspend: () => asked.push('suspend'),
  };
  await host.finish(onShutdownRequest(guest.xenstore, handlers));
  for (const text of ['suspend', 'suspend', 'poweroff']) {
    await host.finish(host.tools.write(`${home}/control/shutdown`, text));
    await host.settle();
    expect(await host.value(`${home}/control/shutdown`)).toBe('');
  }
  expect(asked).toEqual(['suspend', 'suspend', SHUTDOWN_poweroff]);
  expect(await host.value(`${home}/control/feature-suspend`)).toBe('1');
  expect(await host.end()).toEqual([]);
});
