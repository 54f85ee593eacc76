import { afterEach, beforeEach, expect, test } from 'vitest';
import { XenError } from '../../src/base/errors.ts';
import { BackBus } from '../../src/xenbus/back-bus.ts';
import type { BackConnection } from '../../src/xenbus/back-device.ts';
import type { DeviceKeys } from '../../src/xenbus/device-end.ts';
import { type HostDevice, type HostGuest, type HostProcess, SimHost } from './sim-host.ts';

/** What the driver was asked to do, as `announce 1/0`. */
let calls: string[];
/** What `connect` does for a device, where it is not to succeed at once. */
let onConnect: Map<string, (keys: DeviceKeys) => Promise<BackConnection | undefined>>;
let host: SimHost;
let guest: HostGuest;
let bus: BackBus;
let process: HostProcess;

const nameOf = (path: string) => path.split('/').slice(-2).join('/');

beforeEach(async () => {
  calls = [];
  onConnect = new Map();
  host = new SimHost();
  process = host.startProcess();
  const { hypervisor, xenstore } = process;
  const connection = (name: string) => ({
    close: async () => {
      calls.push(`close ${name}`);
    },
  });
  const driverFor = () => ({
    announce: async (keys: DeviceKeys) => {
      calls.push(`announce ${nameOf(keys.path)}`);
      await keys.write({ 'feature-test': '1' });
    },
    connect: async (keys: DeviceKeys) => {
      const name = nameOf(keys.path);
      calls.push(`connect ${name}`);
      const special = onConnect.get(name);
      return special === undefined ? connection(name) : special(keys);
    },
  });
  bus = await host.finish(
    BackBus.open({ xenstore, log: host.logger, domid: hypervisor.domid, type: 'test', driverFor }),
  );
  guest = await host.guest();
});

afterEach(async () => {
  await host.finish(bus.close());
  expect(await host.end()).toEqual([]);
});

async function attach(devid: number): Promise<HostDevice> {
  const device = await host.attach(guest, 'test', devid);
  await host.settle();
  return device;
}

async function setFront(device: HostDevice, state: string): Promise<void> {
  await host.finish(guest.xenstore.write(`${device.front}/state`, state));
  await host.settle();
}

const backState = (device: HostDevice) => host.value(`${device.back}/state`);

test('a device goes through the whole handshake and is gone at the end', async () => {
  const device = await attach(0);
  expect(await backState(device)).toBe('2');
  expect(await host.value(`${device.back}/feature-test`)).toBe('1');
  await setFront(device, '3');
  expect(await backState(device)).toBe('4');
  await setFront(device, '4');
  await setFront(device, '5');
  expect(await backState(device)).toBe('5');
  expect(calls).toEqual(['announce 1/0', 'connect 1/0']);
  await setFront(device, '6');
  expect(await backState(device)).toBe('6');
  expect(calls.at(-1)).toBe('close 1/0');
  await host.removeDirectories(device);
  await host.settle();
  expect(bus.paths).toEqual([]);
});

test('devices that were there before the back end are found', async () => {
  await host.finish(bus.close());
  const device = await attach(7);
  expect(await backState(device)).toBe('1');
  const { hypervisor, xenstore } = host.startProcess();
  const parts = { xenstore, log: host.logger, domid: hypervisor.domid, type: 'test' };
  const driver = { announce: async () => {}, connect: async () => undefined };
  bus = await host.finish(BackBus.open({ ...parts, driverFor: () => driver }));
  await host.settle();
  expect(await backState(device)).toBe('2');
});

test('a device that is not ready is asked again when one of its keys changes', async () => {
  let ready = false;
  onConnect.set('1/0', async () => (ready ? { close: async () => {} } : undefined));
  const device = await attach(0);
  await setFront(device, '3');
  expect(await backState(device)).toBe('2');
  ready = true;
  await host.finish(host.tools.write(`${device.back}/hotplug-status`, 'connected'));
  await host.settle();
  expect(await backState(device)).toBe('4');
});

test('a connected device that the toolstack removes waits for its front end', async () => {
  const device = await attach(0);
  await setFront(device, '3');
  await setFront(device, '4');
  await host.askToClose(device);
  await host.settle();
  expect(await backState(device)).toBe('5');
  expect(calls.at(-1)).toBe('connect 1/0');
  await setFront(device, '6');
  expect(await backState(device)).toBe('6');
});

test('a device whose front end never began is removed at once', async () => {
  const device = await attach(0);
  await host.askToClose(device);
  await host.settle();
  expect(await backState(device)).toBe('6');
});

test('a device removed by force lets go', async () => {
  const device = await attach(0);
  await setFront(device, '4');
  await host.forceClose(device);
  expect(await backState(device)).toBe('6');
  expect(calls.at(-1)).toBe('close 1/0');
});

test('a directory that vanishes while the device connects does not come back', async () => {
  let release = () => {};
  let closed = false;
  onConnect.set('1/0', async () => {
    await new Promise<void>((resolve) => {
      release = resolve;
    });
    return {
      close: async () => {
        closed = true;
      },
    };
  });
  const device = await attach(0);
  await setFront(device, '3');
  await host.removeDirectories(device);
  release();
  await host.settle();
  expect(closed).toBe(true);
  expect(bus.paths).toEqual([]);
  expect(await host.tree('/local/domain/0')).toEqual([]);
});

test('a device that is removed while it connects still ends in Closed', async () => {
  let release = () => {};
  onConnect.set('1/0', async () => {
    await new Promise<void>((resolve) => {
      release = resolve;
    });
    return { close: async () => {} };
  });
  const device = await attach(0);
  await setFront(device, '3');
  await host.askToClose(device);
  release();
  await host.settle();
  expect(await backState(device)).toBe('5');
  await setFront(device, '6');
  expect(await backState(device)).toBe('6');
});

test('a directory that is replaced at once is served anew', async () => {
  const device = await attach(0);
  await setFront(device, '4');
  await host.finish(
    host.tools.transaction(async (nodes) => {
      await nodes.remove(device.back);
      await nodes.remove(device.front);
    }),
  );
  await attach(0);
  expect(await backState(device)).toBe('2');
  await setFront(device, '3');
  expect(await backState(device)).toBe('4');
});

test('the failure of one device is its own, told in xenstore, and gone with it', async () => {
  onConnect.set('1/0', async () => {
    throw new XenError('ENOENT', 'open \u{1f4be} disk', 'there is no such file');
  });
  const bad = await attach(0);
  const good = await attach(1);
  await setFront(bad, '3');
  await setFront(good, '3');
  expect(await backState(bad)).toBe('5');
  expect(await backState(good)).toBe('4');
  const errorPath = '/local/domain/0/error/backend/test/1/0/error';
  expect(await host.value(errorPath)).toMatch(/^ENOENT open \?+ disk: there is no such file/);
  await host.forceClose(bad);
  await host.removeDirectories(bad);
  await host.forceClose(good);
  await host.removeDirectories(good);
  await host.settle();
  expect(await host.tree('/local/domain/0')).toEqual([]);
});

test('a directory that names another front end than its path is refused', async () => {
  const device = await host.attach(guest, 'test', 0, { 'frontend-id': '7' });
  await host.settle();
  expect(bus.paths).toEqual([]);
  expect(await backState(device)).toBe('1');
  expect(host.log.filter((line) => line.includes('not a device')).length).toBe(1);
});

test('rubbish beside the devices is left alone', async () => {
  await host.finish(host.tools.write('/local/domain/0/backend/test/abc/0/frontend', 'x'));
  await host.finish(host.tools.write('/local/domain/0/backend/test/1/x', ''));
  await host.finish(host.tools.write('/local/domain/0/backend/test', 'value'));
  const device = await attach(0);
  expect(await backState(device)).toBe('2');
});

test('close lets go of the devices and leaves their states', async () => {
  const device = await attach(0);
  await setFront(device, '4');
  await host.finish(bus.close());
  expect(calls.at(-1)).toBe('close 1/0');
  expect(await backState(device)).toBe('4');
});

test('close lets go of the devices also when xenstored is gone', async () => {
  const device = await attach(0);
  await setFront(device, '4');
  process.xenstore.close();
  await host.finish(bus.close());
  expect(calls.at(-1)).toBe('close 1/0');
});
