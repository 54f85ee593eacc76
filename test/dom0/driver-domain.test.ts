/** A driver domain that ends again and again under a guest that works on its disk. */
import { beforeEach, describe, expect, test } from 'vitest';
import { SHUTDOWN_crash, SHUTDOWN_poweroff, SHUTDOWN_suspend } from '../../src/abi/sched.ts';
import { XenError } from '../../src/base/errors.ts';
import { type DomId, domId } from '../../src/base/ids.ts';
import { Prng } from '../../src/base/prng.ts';
import type { BlockFront } from '../../src/block/front.ts';
import { MemoryDisk } from '../../src/block/memory-disk.ts';
import { DriverDomainKeeper } from '../../src/dom0/driver-domain/keeper.ts';
import type { Toolstack } from '../../src/dom0/driver-domain/toolstack.ts';
import { CRASH_KEY, crashText } from '../../src/xenbus/crash-report.ts';
import type { BackService } from '../../stubdoms/back-service.ts';
import { FrontDisks } from '../../stubdoms/blkback/front-disks.ts';
import { startBlkback } from '../../stubdoms/blkback/service.ts';
import { BlockHost, XVDA } from '../block/block-host.ts';
import { expectSame, pattern } from '../block/content.ts';
import type { HostDevice, HostGuest } from '../xenbus/sim-host.ts';

const NAME = 'driver';
const SIZE = 1 << 20;

/** The toolstack of the simulated host: the driver domain has a disk of domain 0's. */
class DriverHost implements Toolstack {
  readonly host: BlockHost;
  readonly disk = new MemoryDisk(SIZE);
  readonly made: DomId[] = [];
  /** How often `create` is to fail. */
  refusals = 0;
  /** How often `destroy` is to fail. */
  refusedEnds = 0;
  domain: HostGuest | undefined;
  private own: HostDevice | undefined;
  blkback: BackService | undefined;

  constructor(host: BlockHost) {
    this.host = host;
  }

  async name(): Promise<string> {
    return NAME;
  }

  async create(wanted: DomId | undefined): Promise<DomId> {
    if (this.refusals-- > 0) throw new XenError('ENOMEM', 'make a domain');
    const domain = await this.host.guest(wanted);
    this.domain = domain;
    this.made.push(domain.domid);
    const name = `/local/domain/${domain.domid}/name`;
    await this.host.finish(this.host.tools.write(name, NAME));
    this.own = await this.host.attachDisk(domain, this.disk);
    return domain.domid;
  }

  async unpause(): Promise<void> {
    const { hypervisor, xenstore, boot } = this.domain!;
    const { clock } = boot.domain;
    const parts = { hypervisor, xenstore, clock, log: this.host.logger };
    const fronts = new FrontDisks(parts);
    this.blkback = await startBlkback({
      ...parts,
      options: { driverDomain: true },
      openDisk: (request) => fronts.open(FrontDisks.devidOf(request.path)!, request),
    });
  }

  async destroy(domid: DomId): Promise<void> {
    const { domain, own } = this;
    if (this.refusedEnds-- > 0) throw new XenError('EIO', 'destroy a domain');
    if (domain?.domid !== domid) return;
    this.domain = undefined;
    await this.host.destroy(domain, [own!]);
    await this.host.finish(this.host.tools.remove(`/local/domain/${domid}`));
  }
}

let host: BlockHost;
let driver: DriverHost;
let keeper: DriverDomainKeeper;

async function openKeeper(): Promise<DriverDomainKeeper> {
  const { control, clock, xenstore } = host.startProcess();
  const parts = { xenstore, domainControl: control, toolstack: driver, clock, log: host.logger };
  return host.finish(DriverDomainKeeper.open(parts));
}

async function begin(seed: number): Promise<void> {
  host = await BlockHost.start(seed);
  driver = new DriverHost(host);
  keeper = await openKeeper();
}

/** A guest whose xvda is the driver domain's xvda. */
async function guestWithDisk(): Promise<readonly [HostGuest, HostDevice]> {
  const guest = await host.guest();
  const keys = { params: `vbd:${XVDA}`, mode: 'w', script: '/etc/xen/scripts/block' };
  const device = await host.attach(guest, 'vbd', XVDA, keys, {}, driver.made[0]!);
  await host.settle();
  return [guest, device];
}

/** Writes and reads back, in several lanes; each keeps to its own part of the disk. */
async function work(front: BlockFront, seed: number): Promise<void> {
  const lanes = Array.from({ length: 4 }, async (_, lane) => {
    for (let round = 0; round < 24; round++) {
      const data = pattern(40_960, seed * 1000 + lane * 100 + round);
      const start = (lane * SIZE) / 4 + round * 512;
      await front.write(start, [data]);
      const target = new Uint8Array(data.length);
      await front.read(start, [target]);
      expectSame(target, data);
    }
  });
  await Promise.all(lanes);
}

async function end(): Promise<void> {
  await host.finish(keeper.close());
  if (driver.domain !== undefined) await driver.destroy(driver.domain.domid);
  if (await host.exists('/tool/paravane')) {
    await host.finish(host.tools.remove('/tool/paravane'));
  }
  expect(await host.endAll()).toEqual([]);
}

describe('a driver domain that is kept', () => {
  beforeEach(() => begin(1));

  test('serves a disk that it has itself, and removes what is left of one', async () => {
    const [guest, device] = await guestWithDisk();
    const front = await host.front(guest);
    await host.finish(front.write(0, [pattern(4096, 7)]));
    const found = new Uint8Array(4096);
    await host.finish(driver.disk.read(0, [found]));
    expectSame(found, pattern(4096, 7));
    await host.finish(front.close());
    await host.askToClose(device);
    await host.settle(500);
    expect(await host.value(`${device.back}/state`)).toBe('6');
    await host.settle(2000);
    expect(await host.exists(device.back)).toBe(false);
    await host.destroy(guest, [device]);
    await end();
  });

  test('is left alone by the end of other domains', async () => {
    const other = await host.guest();
    await host.destroy(other, []);
    await host.settle(60_000);
    expect(driver.made).toHaveLength(1);
    await end();
  });

  test('is made again under its domid when it has crashed, and what it left is logged', async () => {
    const { xenstore, domid } = driver.domain!;
    await host.finish(xenstore.write(CRASH_KEY, crashText(new Error('no disk'))));
    driver.domain!.boot.domain.shutdown(SHUTDOWN_crash);
    await host.settle(60_000);
    expect(driver.made).toEqual([domid, domid]);
    expect(keeper.current).toBe(domid);
    expect(host.log.find((line) => line.includes('has ended'))).toContain('no disk');
    await end();
  });

  test.each([0, 2])(
    'is destroyed when it was shut down, after %i tries that failed, and not made again',
    async (refused) => {
      driver.refusedEnds = refused;
      driver.domain!.boot.domain.shutdown(SHUTDOWN_poweroff);
      await host.settle(60_000);
      expect(driver.made).toHaveLength(1);
      expect(driver.domain).toBeUndefined();
      expect(await host.exists('/tool/paravane')).toBe(false);
      await end();
    },
  );

  test('is left to whoever saves it', async () => {
    driver.domain!.boot.domain.shutdown(SHUTDOWN_suspend);
    await host.settle(60_000);
    expect(driver.domain).toBeDefined();
    await driver.destroy(driver.domain!.domid);
    await host.settle(60_000);
    expect(driver.made).toHaveLength(2);
    await end();
  });

  test('is tried to be made again until that succeeds', async () => {
    driver.refusals = 3;
    await driver.destroy(driver.domain!.domid);
    await host.settle(60_000);
    expect(driver.made).toHaveLength(2);
    expect(host.log.filter((line) => line.startsWith('error: domain driver'))).toHaveLength(3);
    await end();
  });

  test('that ended while nobody kept it has its domid again, too', async () => {
    await host.finish(keeper.close());
    await driver.destroy(driver.domain!.domid);
    keeper = await openKeeper();
    await host.settle(60_000);
    expect(driver.made).toEqual([keeper.current, keeper.current]);
    await end();
  });

  test('does not get devices back whose guests have gone meanwhile', async () => {
    const [guest, device] = await guestWithDisk();
    await driver.destroy(driver.domain!.domid);
    guest.xenstore.close();
    await host.finish(host.tools.remove(`/local/domain/${guest.domid}`));
    guest.boot.domain.kill();
    await host.settle(60_000);
    expect(driver.made).toHaveLength(2);
    expect(await host.exists(device.back)).toBe(false);
    await end();
  });
});

test.each([11, 12, 13])(
  'a driver domain destroyed under load loses no write of its guest, seed %i',
  async (seed) => {
    await begin(seed);
    const [guest, device] = await guestWithDisk();
    const front = await host.front(guest);
    const prng = new Prng(seed);
    let done = false;
    const working = work(front, seed).then(() => {
      done = true;
    });
    working.catch(() => {});
    for (let times = 0; times < 4; times++) {
      await host.run({ until: () => done || prng.chance(0.01) });
      await driver.destroy(driver.domain!.domid);
      await host.run({ until: () => driver.made.length === times + 2 });
    }
    await host.finish(working);
    expect(new Set(driver.made)).toEqual(new Set([domId(Number(driver.made[0]))]));
    expect(driver.made).toHaveLength(5);
    expect(await host.value(`${device.back}/state`)).toBe('4');
    await host.finish(front.close());
    await host.destroy(guest, [device]);
    await end();
  },
);
