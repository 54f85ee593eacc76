/** Random sequences of calls, each compared with what a plain model of Xen's rules allows. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { EventChannel } from '../../src/hypervisor/contract.ts';
import { type SimDomain, SimWorld } from '../../src/hypervisor/sim/world.ts';
import { GrantModel } from './grant-model.ts';

const slot = fc.nat(2);
const choice = fc.nat(1000);

/** One call upon the model. Weighted so that shares and maps live long enough to meet. */
const grantStep = fc.oneof(
  {
    weight: 5,
    arbitrary: fc
      .tuple(slot, slot, fc.integer({ min: 1, max: 3 }), fc.boolean())
      .map((args) => (model: GrantModel) => model.share(...args)),
  },
  {
    weight: 8,
    arbitrary: fc
      .tuple(slot, choice, fc.nat(7))
      .map((args) => (model: GrantModel) => model.map(...args)),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(slot, choice, fc.boolean())
      .map((args) => (model: GrantModel) => model.copy(...args)),
  },
  { weight: 3, arbitrary: choice.map((which) => (model: GrantModel) => model.revoke(which)) },
  { weight: 3, arbitrary: choice.map((which) => (model: GrantModel) => model.unmap(which)) },
  { weight: 1, arbitrary: slot.map((which) => (model: GrantModel) => model.kill(which)) },
  { weight: 1, arbitrary: slot.map((which) => (model: GrantModel) => model.restart(which)) },
);

test('pages are used exactly as the grants allow, and none is left', () => {
  fc.assert(
    fc.property(fc.array(grantStep, { minLength: 1, maxLength: 60 }), (steps) => {
      const model = new GrantModel(1);
      for (const step of steps) {
        step(model);
        model.check();
      }
      model.end();
    }),
    { numRuns: 150 },
  );
});

interface End {
  readonly domain: SimDomain;
  readonly channel: EventChannel;
  /** The domain that may bind it. */
  readonly peer: SimDomain;
  other: End | undefined;
  /** It was signalled and has had no event since. */
  owed: boolean;
}

class PortModel {
  private readonly world: SimWorld;
  private readonly domains: SimDomain[];
  private readonly ends: End[] = [];

  constructor(seed: number) {
    const faults = { delayEvent: 0.3, spuriousEvent: 0.1 };
    this.world = new SimWorld({ seed, faults });
    this.domains = Array.from({ length: 3 }, () => this.world.createDomain());
  }

  allocate(ownerSlot: number, peerSlot: number): void {
    const domain = this.domains[ownerSlot] as SimDomain;
    const peer = this.domains[peerSlot] as SimDomain;
    const channel = domain.hypervisor.events.allocateUnbound(peer.domid);
    this.open({ domain, channel, peer, other: undefined, owed: false });
  }

  bind(binderSlot: number, which: number): void {
    const domain = this.domains[binderSlot] as SimDomain;
    const remote = this.pick(which);
    if (remote === undefined) return;
    const allowed = remote.other === undefined && remote.peer === domain;
    let channel: EventChannel;
    try {
      channel = domain.hypervisor.events.bindInterdomain(remote.domain.domid, remote.channel.port);
    } catch {
      expect(allowed).toBe(false);
      return;
    }
    expect(allowed).toBe(true);
    const end = { domain, channel, peer: remote.domain, other: remote, owed: true };
    remote.other = end;
    this.open(end);
  }

  notify(which: number): void {
    const end = this.pick(which);
    end?.channel.notify();
    if (end?.other !== undefined) end.other.owed = true;
  }

  close(which: number): void {
    const end = this.pick(which);
    end?.channel.close();
    if (end !== undefined) this.forget(end);
  }

  restart(slotNumber: number): void {
    const domain = this.domains[slotNumber] as SimDomain;
    domain.restartProcess();
    for (const end of this.ends.filter((one) => one.domain === domain)) this.forget(end);
  }

  /** Every signal is followed by an event, however late it comes. */
  async run(): Promise<void> {
    await this.world.run();
    expect(this.ends.filter((end) => end.owed)).toEqual([]);
  }

  async end(): Promise<void> {
    await this.run();
    for (const domain of this.domains) domain.hypervisor.close();
    expect(this.world.leftovers()).toEqual([]);
  }

  private open(end: End): void {
    this.ends.push(end);
    end.channel.onEvent(() => {
      expect(end.channel.closed).toBe(false);
      end.owed = false;
    });
  }

  private pick(which: number): End | undefined {
    return this.ends[which % this.ends.length];
  }

  private forget(end: End): void {
    this.ends.splice(this.ends.indexOf(end), 1);
    if (end.other !== undefined) end.other.other = undefined;
  }
}

const portStep = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .tuple(slot, slot)
      .map((args) => async (model: PortModel) => model.allocate(...args)),
  },
  {
    weight: 5,
    arbitrary: fc
      .tuple(slot, choice)
      .map((args) => async (model: PortModel) => model.bind(...args)),
  },
  { weight: 5, arbitrary: choice.map((which) => async (model: PortModel) => model.notify(which)) },
  { weight: 2, arbitrary: choice.map((which) => async (model: PortModel) => model.close(which)) },
  { weight: 1, arbitrary: slot.map((which) => async (model: PortModel) => model.restart(which)) },
  { weight: 2, arbitrary: fc.constant(async (model: PortModel) => model.run()) },
);

test('ports are bound exactly by those they are meant for, and no signal is lost', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(),
      fc.array(portStep, { minLength: 1, maxLength: 60 }),
      async (seed, steps) => {
        const model = new PortModel(seed);
        for (const step of steps) await step(model);
        await model.end();
      },
    ),
    { numRuns: 150 },
  );
});
