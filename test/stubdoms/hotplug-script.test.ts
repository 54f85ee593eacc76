/** The hotplug script for interfaces, as libxl runs it, with our xenstored and TAP devices of the test's. */
import { execFile, execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TapInterface } from '../../src/node/tap-interface.ts';
import { connectXenstoreSocket } from '../../src/node/xenstore-socket.ts';
import type { XenstoreClient } from '../../src/xenstore/client.ts';
import { type Host, startHost } from '../dom0/host.ts';
import { native } from '../native/shim.ts';
import { missingForTaps } from '../node/network-namespace.ts';

const SCRIPT = fileURLToPath(new URL('../../scripts/hotplug/paravane-vif', import.meta.url));
const BACK = '/local/domain/0/backend/vif/3/0';

let host: Host;
let store: XenstoreClient;

beforeEach(async () => {
  host = await startHost();
  store = await connectXenstoreSocket(host.socket);
  await store.write(`${BACK}/state`, '2');
});

afterEach(() => {
  store.close();
  host.stop();
});

/** Resolves with its exit status and what it complained of. */
function run(command: string, vif: string): Promise<{ code: number; error: string }> {
  const env = {
    ...process.env,
    XENSTORED_PATH: host.socket,
    XENBUS_PATH: 'backend/vif/3/0',
    vif,
  };
  return new Promise((resolve) => {
    const child = execFile(SCRIPT, [command], { env }, (_, __, error) => {
      resolve({ code: child.exitCode ?? -1, error });
    });
  });
}

const key = (name: string) => store.readIfPresent(`${BACK}/${name}`);

test('without a device the switch is the network, whatever it is called', async () => {
  await store.write(`${BACK}/bridge`, 'lan.10');
  expect(await run('online', 'pvh-none')).toEqual({ code: 0, error: '' });
  expect(await key('hotplug-status')).toBe('connected');
  expect((await run('offline', 'pvh-none')).code).toBe(0);
});

test('what libxl never asks for is refused', async () => {
  const { code, error } = await run('dance', 'pvh-none');
  expect([code, error]).toEqual([1, expect.stringContaining("unknown command 'dance'")]);
  expect(await key('hotplug-status')).toBe('error');
});

const missing = missingForTaps();

describe.skipIf(missing !== undefined)(missing ?? 'a TAP device', () => {
  let tap: TapInterface;
  const ip = (...words: string[]) => execFileSync('ip', words, { encoding: 'utf8' });

  beforeEach(() => {
    tap = TapInterface.open(native, { name: 'pvh0' });
    ip('link', 'add', 'pvhbr', 'type', 'bridge');
  });

  afterEach(() => {
    tap.close();
    ip('link', 'delete', 'pvhbr');
  });

  test('gets its name, its MTU and its place in the bridge, and is up', async () => {
    await store.write(`${BACK}/bridge`, 'pvhbr');
    await store.write(`${BACK}/vifname`, 'pvhguest');
    await store.write(`${BACK}/mtu`, '1400');
    expect(await run('online', 'pvh0')).toEqual({ code: 0, error: '' });
    expect(await key('hotplug-status')).toBe('connected');
    const shown = ip('link', 'show', 'pvhguest');
    expect(shown).toMatch(/<[^>]*\bUP\b[^>]*> mtu 1400 .*master pvhbr/);
    expect(shown).toContain('fe:ff:ff:ff:ff:ff');
  });

  test('has no bridge where there is none of the name, and xl hears of it', async () => {
    await store.write(`${BACK}/bridge`, 'pvhother');
    const { code, error } = await run('online', 'pvh0');
    expect([code, error]).toEqual([1, expect.stringContaining('there is no bridge pvhother')]);
    expect([await key('hotplug-status'), await key('hotplug-error')]).toEqual([
      'error',
      'there is no bridge pvhother',
    ]);
  });

  test('is up without a bridge where none is asked for', async () => {
    expect((await run('add', 'pvh0')).code).toBe(0);
    expect(ip('link', 'show', 'pvh0')).toMatch(/<[^>]*\bUP\b/);
  });
});
