/** How clients share the daemon's time. The clocks here go on only as the tests say. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { XS_READ } from '../../src/abi/io/xs_wire.ts';
import { bytePipe } from '../../src/base/byte-pipe.ts';
import type { Clock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { SimWorld } from '../../src/hypervisor/sim/world.ts';
import { type Domain, Domains } from '../../src/xenstored/domain.ts';
import { DEFAULT_OPTIONS } from '../../src/xenstored/options.ts';
import { DEFAULT_QUOTAS } from '../../src/xenstored/quota.ts';
import { startXenstored } from '../../src/xenstored/server.ts';
import { TimeLimit } from '../../src/xenstored/time-limit.ts';
import { RawClient } from './raw-client.ts';

describe('clients', () => {
  /** Who was answered, in order, when the first asks ten times before the second asks once. */
  async function order(look_ms: number): Promise<string[]> {
    const sim = new SimWorld({ seed: 1 });
    let late_ms = 0;
    const answered: string[] = [];
    const slow: Clock = {
      // Whoever looks at the clock finds that his work has taken time.
      now_ms: () => {
        late_ms += look_ms;
        return sim.clock.now_ms() + late_ms;
      },
      wallclock_ms: () => sim.clock.wallclock_ms(),
      after: (delay_ms, callback) => sim.clock.after(delay_ms, callback),
    };
    const traceFile = {
      isOpen: true,
      open() {},
      close() {},
      write: (line: string) => {
        const [, name] = /^IN (\S+)/.exec(line) ?? [];
        if (name !== undefined) answered.push(name);
      },
      append() {},
    };
    const xenstored = startXenstored({ clock: slow, log: silentLog, traceFile });
    const clients = ['first', 'second'].map((name) => {
      const [ours, theirs] = bytePipe(sim.clock);
      xenstored.attachSocket(theirs, name);
      return new RawClient(ours);
    }) as [RawClient, RawClient];
    for (let request = 0; request < 10; request++) clients[0].send(XS_READ, '/|');
    clients[1].send(XS_READ, '/|');
    await sim.run();
    expect(clients.map(({ received }) => received.length)).toEqual([10, 1]);
    xenstored.close();
    await sim.run();
    return answered;
  }

  test('whose requests take long have their turns one request at a time', async () => {
    expect((await order(1)).indexOf('second')).toBeLessThanOrEqual(1);
  });

  test('whose requests are quick are answered many at a time', async () => {
    const answered = await order(0);
    expect([0, 10]).toContain(answered.indexOf('second'));
  });
});

describe('the time limit', () => {
  class Setting {
    now_ms = 0;
    readonly limit: TimeLimit;
    readonly guest: Domain;
    readonly dom0: Domain;

    constructor() {
      const clock: Clock = {
        now_ms: () => this.now_ms,
        wallclock_ms: () => this.now_ms,
        after: () => ({ cancel() {} }),
      };
      const quotas = { ...DEFAULT_QUOTAS };
      const parts = { domainControl: undefined, options: DEFAULT_OPTIONS, quotas, clock };
      const domains = new Domains({ ...parts, log: silentLog });
      this.limit = new TimeLimit(clock);
      this.guest = domains.findOrCreate(1);
      this.dom0 = domains.findOrCreate(0);
    }

    work(domain: Domain, time_ms: number): void {
      this.limit.charge(domain, () => {
        this.now_ms += time_ms;
      });
    }
  }

  test('lets a domain that has saved time have a burst of requests', () => {
    const setting = new Setting();
    for (let request = 0; request < 10; request++) setting.work(setting.guest, 0.9);
    expect(setting.limit.wait_ms(setting.guest)).toBe(0);
  });

  test('makes a domain wait after a request that took long, as long as it takes to earn that', () => {
    const setting = new Setting();
    setting.work(setting.guest, 100);
    const wait_ms = setting.limit.wait_ms(setting.guest);
    expect(wait_ms).toBeGreaterThan(50);
    setting.now_ms += wait_ms;
    expect(setting.limit.wait_ms(setting.guest)).toBe(0);
  });

  test('does not hold for a privileged domain', () => {
    const setting = new Setting();
    setting.work(setting.dom0, 1000);
    expect(setting.limit.wait_ms(setting.dom0)).toBe(0);
  });

  test('leaves half of the time to others whatever a domain asks for', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.01, max: 50, noNaN: true }), { minLength: 20 }),
        (requests) => {
          const setting = new Setting();
          let worked_ms = 0;
          for (const time_ms of requests) {
            setting.now_ms += setting.limit.wait_ms(setting.guest);
            setting.work(setting.guest, time_ms);
            worked_ms += time_ms;
          }
          setting.now_ms += setting.limit.wait_ms(setting.guest);
          const savings_ms = 10;
          expect(worked_ms).toBeLessThanOrEqual(setting.now_ms / 2 + savings_ms + 1e-6);
        },
      ),
    );
  });
});
