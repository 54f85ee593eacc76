/** A guest with a front end that does whatever a test wants, and what must hold when it is gone. */
import { expect } from 'vitest';
import type { HostGuest } from '../xenbus/sim-host.ts';
import { NetHost } from './net-host.ts';
import { RawFront } from './raw-front.ts';

export interface RawGuest {
  readonly host: NetHost;
  readonly guest: HostGuest;
  readonly front: RawFront;
}

export async function startRawGuest(): Promise<RawGuest> {
  const host = await NetHost.start();
  const guest = await host.guest();
  await host.attachVif(guest);
  return { host, guest, front: new RawFront(host, guest) };
}

/** Destroys the guest; nothing of it may be left, and nothing of the back end when that ends too. */
export async function expectNothingLeft({ host, guest, front }: RawGuest): Promise<void> {
  await host.destroy(guest, [front.device]);
  expect(host.bus.paths).toEqual([]);
  expect([...host.plugged.keys()]).toEqual([]);
  expect(await host.tree('/local/domain/0')).toEqual([]);
  expect(await host.endAll()).toEqual([]);
}
