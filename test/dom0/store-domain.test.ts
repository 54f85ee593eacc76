/** A domain that is xenstored and ends again and again, under the clients that it has. */
import { beforeEach, describe, expect, test } from 'vitest';
import { SHUTDOWN_crash } from '../../src/abi/sched.ts';
import { XenError } from '../../src/base/errors.ts';
import { DOM0, type DomId, domId } from '../../src/base/ids.ts';
import { logTo, silentLog } from '../../src/base/log.ts';
import { Prng } from '../../src/base/prng.ts';
import { frontConsole } from '../../src/console/console-stream.ts';
import { StoreDomainKeeper } from '../../src/dom0/store-domain/keeper.ts';
import { recordStoreDomain } from '../../src/dom0/store-domain/records.ts';
import type { StoreDomain, StoreToolstack } from '../../src/dom0/store-domain/toolstack.ts';
import type { EventChannel, SharedPages } from '../../src/hypervisor/contract.ts';
import { type SimDomain, type SimGuest, SimWorld } from '../../src/hypervisor/sim/world.ts';
import { XenstoreClient } from '../../src/xenstore/client.ts';
import { JournalPages } from '../../src/xenstored/journal/journal-pages.ts';
import { recover } from '../../src/xenstored/journal/recovery.ts';
import { DEFAULT_OPTIONS } from '../../src/xenstored/options.ts';
import { startXenstored, type Xenstored } from '../../src/xenstored/server.ts';
import { LinuxFront } from '../xenstored/linux-front.ts';

const STORE = domId(1);
const JOURNAL_PAGES = 129;
const EPOCH = 'the store domain';
/** Longer than any pause that the keeper makes. */
const LONG_MS = 60_000;

/** Xen's toolstack for the store domain, with dom0's kernel and the journal's domain. */
class StoreHost implements StoreToolstack {
  readonly world: SimWorld;
  readonly dom0: SimDomain;
  /** Each time that one was started. */
  readonly made: DomId[] = [];
  readonly log: string[] = [];
  /** How often `start` is to fail. */
  refusals = 0;
  /** Called while one is started, when its image has been read. */
  onStart: (() => void) | undefined;
  /** What the next image prints as soon as it runs. */
  greeting = '';
  running: SimGuest | undefined;
  xenstored: Xenstored | undefined;
  readonly journal: SimDomain;
  private readonly journalPages: SharedPages;
  private readonly kernelPage: SharedPages;
  private readonly kernelChannel: EventChannel;

  constructor(seed: number) {
    this.world = new SimWorld({ seed });
    this.dom0 = this.world.createDomain();
    this.journal = this.world.createDomain({ domid: domId(2) });
    const { kernel } = this.journal;
    this.journalPages = kernel.grants.share(STORE, JOURNAL_PAGES, 'read-write');
    this.kernelPage = this.dom0.kernel.grants.share(STORE, 1, 'read-write');
    this.kernelChannel = this.dom0.kernel.events.allocateUnbound(STORE);
  }

  /** What asks for xenstore in dom0: its kernel. */
  client(): XenstoreClient {
    const front = new LinuxFront(this.kernelPage, this.kernelChannel);
    return new XenstoreClient(front, this.world.clock);
  }

  async find(): Promise<StoreDomain | undefined> {
    const { running } = this;
    if (running === undefined || !running.domain.exists) return undefined;
    const { console } = running;
    return {
      domid: STORE,
      journal: this.journal.domid,
      consoleFrame: console.gfn,
      consolePort: console.channel.port,
    };
  }

  async start(): Promise<StoreDomain> {
    if (this.refusals-- > 0) throw new XenError('ENOMEM', 'start the store domain');
    this.onStart?.();
    const guest = this.world.buildGuest({ domid: STORE, privileged: true });
    this.running = guest;
    this.made.push(STORE);
    this.boot(guest);
    return (await this.find()) as StoreDomain;
  }

  async destroy(domid: DomId): Promise<void> {
    expect(domid).toBe(STORE);
    this.running?.domain.kill();
  }

  /** What the composition does in a stub domain. */
  private boot({ domain, console }: SimGuest): void {
    if (this.greeting !== '') {
      const { channel, page } = console;
      const printed = frontConsole({ page: page.page(0), channel });
      printed.write(new TextEncoder().encode(this.greeting));
    }
    const { hypervisor, control, clock } = domain;
    const { bytes } = hypervisor.grants.map(this.journal.domid, this.journalPages.refs);
    const storage = new JournalPages(bytes);
    const { quotas } = DEFAULT_OPTIONS;
    this.xenstored = startXenstored({
      hypervisor,
      domainControl: control,
      clock,
      log: silentLog,
      state: storage.found && recover(storage.found, quotas, EPOCH, silentLog),
      journal: { storage, epoch: EPOCH, growth: { size_min: 16 * 1024, factor: 2 } },
    });
    this.xenstored.attachKernelRing(
      hypervisor.grants.map(DOM0, this.kernelPage.refs),
      hypervisor.events.bindInterdomain(DOM0, this.kernelChannel.port),
    );
  }

  openKeeper(): Promise<StoreDomainKeeper> {
    const { hypervisor, control, clock } = this.dom0.startProcess();
    const log = logTo((level, message) => this.log.push(`${level}: ${message}`));
    const parts = { hypervisor, domainControl: control!, toolstack: this, clock, log };
    return StoreDomainKeeper.open(parts);
  }

  leftovers(): string[] {
    this.running?.domain.kill();
    this.journal.kill();
    this.dom0.kernel.close();
    return this.world.leftovers();
  }
}

let host: StoreHost;
let keeper: StoreDomainKeeper;
let client: XenstoreClient;

async function begin(seed: number): Promise<void> {
  host = new StoreHost(seed);
  keeper = await host.openKeeper();
  client = host.client();
  await host.world.finish(recordStoreDomain(client, keeper.current, 32));
}

const passes = (for_ms: number) => host.world.run({ for_ms });

async function end(): Promise<void> {
  client.close();
  await host.world.finish(keeper.close());
  await passes(1000);
  expect(host.leftovers()).toEqual([]);
}

describe('a store domain that is kept', () => {
  beforeEach(() => begin(1));

  test('is in xenstore what libxl looks for, and once', async () => {
    const { world } = host;
    expect(await world.finish(client.read('/tool/xenstored/domid'))).toBe('1');
    expect(await world.finish(client.read('/local/domain/1/name'))).toBe('Xenstore');
    await world.finish(client.write('/local/domain/1/name', 'renamed'));
    await world.finish(recordStoreDomain(client, keeper.current, 32));
    expect(await world.finish(client.read('/local/domain/1/name'))).toBe('renamed');
    await end();
  });

  test('is started again when it was destroyed, and knows what it knew', async () => {
    const { world } = host;
    await world.finish(client.write('/tool/kept', 'yes'));
    host.running?.domain.kill();
    expect(await world.finish(client.read('/tool/kept'))).toBe('yes');
    expect(host.made).toEqual([STORE, STORE]);
    await end();
  });

  test('is started again when it has crashed, once it was destroyed', async () => {
    host.running?.domain.shutdown(SHUTDOWN_crash);
    await passes(LONG_MS);
    expect(host.made).toHaveLength(2);
    expect(host.log).toContain('error: the store domain has ended');
    await end();
  });

  test('is left alone as long as it runs', async () => {
    await passes(LONG_MS);
    expect(host.made).toHaveLength(1);
    await end();
  });

  test('is tried to be started until that succeeds, ever more rarely', async () => {
    host.refusals = 5;
    const begun_ms = host.world.clock.now_ms();
    host.running?.domain.kill();
    await host.world.run({ until: () => host.made.length === 2 });
    expect(host.world.clock.now_ms() - begun_ms).toBeGreaterThan(100 * (1 + 2 + 4 + 8 + 16 + 32));
    expect(host.log.filter((line) => line.startsWith('error: the store domain'))).toHaveLength(5);
    await end();
  });

  test('that was started by a former keeper is kept by the next, and not started again', async () => {
    await host.world.finish(keeper.close());
    keeper = await host.openKeeper();
    await passes(LONG_MS);
    expect(host.made).toHaveLength(1);
    host.running?.domain.kill();
    await passes(LONG_MS);
    expect(host.made).toHaveLength(2);
    await end();
  });

  test('that ended while nobody kept it is there again with the next keeper', async () => {
    await host.world.finish(client.write('/tool/kept', 'yes'));
    await host.world.finish(keeper.close());
    host.running?.domain.kill();
    await passes(LONG_MS);
    expect(host.made).toHaveLength(1);
    keeper = await host.openKeeper();
    expect(await host.world.finish(client.read('/tool/kept'))).toBe('yes');
    await end();
  });

  test('is replaced by another image when an operator wants that, and its console is logged', async () => {
    const { world } = host;
    await world.finish(client.write('/tool/kept', 'yes'));
    host.greeting = `another image\r\nof ${'n'.repeat(1500)}\nand more`;
    keeper.replace();
    await passes(LONG_MS);
    expect(await world.finish(client.read('/tool/kept'))).toBe('yes');
    expect(host.made).toHaveLength(2);
    expect(host.log).toContain('info: xenstored: another image');
    const parts = host.log.filter((line) => /xenstored: (of )?n+$/.test(line));
    expect(parts.map((line) => line.length)).toEqual([1017, 520]);
    await end();
    expect(host.log).toContain('info: xenstored: and more');
  });

  test('is replaced too when that is wanted while it is started', async () => {
    host.onStart = () => {
      host.onStart = undefined;
      keeper.replace();
    };
    host.running?.domain.kill();
    await passes(LONG_MS);
    expect(host.made).toHaveLength(3);
    await end();
  });

  test('whose journal is destroyed works on, and the log says what that means', async () => {
    host.journal.kill();
    await passes(LONG_MS);
    expect(await host.world.finish(client.read('/tool/xenstored/domid'))).toBe('1');
    const lines = host.log.filter((line) => line.includes('with the journal was destroyed'));
    expect(lines).toEqual([expect.stringMatching(/^error: .* all of xenstore ends with/)]);
    await end();
  });

  test('has its domid free as soon as it has ended, though its console is read', async () => {
    const former = host.running?.domain;
    former?.kill();
    expect(former?.exists).toBe(true);
    await host.world.run({ until: () => host.made.length === 2 });
    expect(former?.exists).toBe(false);
    await end();
  });
});

test.each([21, 22, 23])(
  'a store domain destroyed under load loses nothing that it acknowledged, seed %i',
  async (seed) => {
    await begin(seed);
    const { world } = host;
    const guest = world.buildGuest({ domid: domId(7), xenstoreDomid: STORE });
    const { gfn, page, channel } = guest.xenstore;
    await world.finish(client.introduce(domId(7), gfn, channel.port));
    await world.finish(client.mkdir('/local/domain/7'));
    await world.finish(
      client.setPermissions('/local/domain/7', [{ domid: domId(7), access: 'n' }]),
    );
    const inGuest = new XenstoreClient(new LinuxFront(page, channel), world.clock);
    const prng = new Prng(seed);
    let events = 0;
    await world.finish(inGuest.watch('count', () => events++));

    const count = async (store: XenstoreClient, path: string) => {
      for (let n = 1; n <= 150; n++) {
        await store.write(path, `${n} ${'x'.repeat(prng.below(900))}`);
        expect((await store.read(path)).split(' ')[0]).toBe(String(n));
        await store.transaction((nodes) => nodes.write(`${path}/again`, String(n)));
        expect(await store.read(`${path}/again`)).toBe(String(n));
      }
    };
    let done = false;
    const working = Promise.all([count(client, '/tool/count'), count(inGuest, 'count')]).then(
      () => {
        done = true;
      },
    );
    working.catch(() => {});
    for (let times = 1; !done && times <= 12; times++) {
      await world.run({ until: () => done || prng.chance(0.002) });
      host.running?.domain.kill();
      await world.run({ until: () => host.made.length === times + 1 });
    }
    await world.finish(working);
    expect(host.made.length).toBeGreaterThan(3);
    // One at once, and one for each of both writes; those around an end may be told twice.
    expect(events).toBeGreaterThanOrEqual(301);
    expect(host.xenstored?.check()).toBe(0);
    inGuest.close();
    guest.domain.kill();
    await end();
  },
);
