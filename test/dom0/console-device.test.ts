import { afterEach, beforeEach, expect, test } from 'vitest';
import { DOM0 } from '../../src/base/ids.ts';
import { ConsoleFront } from '../../src/console/front.ts';
import { attachConsole, detachConsole } from '../../src/dom0/console-device.ts';
import { startXenconsoled, XENCONSOLED_DEFAULTS } from '../../src/xenconsoled/xenconsoled.ts';
import { type HostGuest, SimHost } from '../xenbus/sim-host.ts';
import { FakeTerminal } from '../xenconsoled/console-host.ts';

let host: SimHost;
let guest: HostGuest;

beforeEach(async () => {
  host = new SimHost();
  guest = await host.guest();
});

afterEach(async () => {
  expect(await host.end()).toEqual([]);
});

test('a console that is attached, used and detached leaves xenstore as it was', async () => {
  const { hypervisor, control, clock, xenstore } = host.startProcess();
  const terminals: FakeTerminal[] = [];
  const never = () => {
    throw new Error('nothing is logged here');
  };
  const daemon = await host.finish(
    startXenconsoled(
      {
        hypervisor,
        domainControl: control,
        xenstore,
        clock,
        log: host.logger,
        openTerminal: () => {
          const terminal = new FakeTerminal('/dev/pts/1');
          terminals.push(terminal);
          return terminal;
        },
        openLog: never,
        openNote: never,
      },
      XENCONSOLED_DEFAULTS,
    ),
  );
  await host.finish(host.tools.mkdir(`/local/domain/${guest.domid}/device`));
  await host.finish(host.tools.mkdir(`/local/domain/${DOM0}/backend`));
  const before = await host.tree();
  expect(await host.finish(attachConsole(host.tools, guest.domid, {}))).toBe(1);
  const parts = { hypervisor: guest.hypervisor, xenstore: guest.xenstore, log: host.logger };
  const front = await host.finish(ConsoleFront.connect({ ...parts, devid: 1 }));
  front.write(Uint8Array.of(0x21));
  await host.settle();
  expect(terminals[0]?.shown).toBe('!');
  await host.finish(detachConsole(host.tools, guest.domid, 1, 60_000));
  expect(front.ended).toBe(true);
  expect(await host.tree()).toEqual(before);
  await host.finish(daemon.close());
});

test('numbers are taken in order, and each once', async () => {
  const { tools } = host;
  expect(await host.finish(attachConsole(tools, guest.domid, { number: 2 }))).toBe(2);
  expect(await host.finish(attachConsole(tools, guest.domid, {}))).toBe(1);
  expect(await host.finish(attachConsole(tools, guest.domid, {}))).toBe(3);
  const again = attachConsole(tools, guest.domid, { number: 2 });
  await expect(host.finish(again)).rejects.toMatchObject({ code: 'EEXIST' });
  const none = detachConsole(tools, guest.domid, 8, 1000);
  await expect(host.finish(none)).rejects.toMatchObject({ code: 'ENOENT' });
});
