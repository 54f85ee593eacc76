import { expect } from 'vitest';
import { eventPort } from '../../src/base/ids.ts';
import {
  type ConformanceTest,
  connect,
  countEvents,
  eventually,
  expectMistake,
  refusal,
} from './harness.ts';

/** `VIRQ_TBUF` of xen.h: the trace buffers, which no service listens to. */
const VIRQ_TBUF = 4;
/** A port that no domain has in use: the highest of the FIFO ABI. */
const NO_PORT = eventPort((1 << 17) - 1);

export function eventConformance(conforms: ConformanceTest): void {
  signals(conforms);
  handlers(conforms);
  binding(conforms);
  ending(conforms);
  virqs(conforms);
}

function signals(conforms: ConformanceTest): void {
  conforms('a signal of the granting end reaches the binding end', async (harness) => {
    const { offered, bound } = await connect(harness);
    const events = countEvents(bound);
    offered.notify();
    await eventually(harness, () => events.count > 0);
  });

  conforms('a signal of the binding end reaches the granting end', async (harness) => {
    const { offered, bound } = await connect(harness);
    const events = countEvents(offered);
    bound.notify();
    await eventually(harness, () => events.count > 0);
  });

  conforms('a signal does not come back to its sender', async (harness) => {
    const { offered } = await connect(harness);
    const events = countEvents(offered);
    offered.notify();
    await harness.settle();
    expect(events.count).toBe(0);
  });

  conforms('signals merge, and the last of them is followed by an event', async (harness) => {
    const { offered, bound } = await connect(harness);
    let sent = 0;
    let seen = 0;
    bound.onEvent(() => {
      seen = sent;
    });
    for (sent = 1; sent <= 100; sent++) offered.notify();
    await eventually(harness, () => seen === sent);
  });

  conforms('channels between the same ends are signalled apart', async (harness) => {
    const first = await connect(harness);
    const second = await connect(harness);
    const events = countEvents(first.bound);
    const others = countEvents(second.bound);
    first.offered.notify();
    await eventually(harness, () => events.count > 0);
    expect(others.count).toBe(0);
  });
}

function handlers(conforms: ConformanceTest): void {
  conforms('a signal that came before its handler is not lost', async (harness) => {
    const { a, b } = harness;
    const offered = a.events.allocateUnbound(b.domid);
    const bound = b.events.bindInterdomain(a.domid, offered.port);
    bound.notify();
    await harness.settle();
    const events = countEvents(offered);
    await eventually(harness, () => events.count > 0);
  });

  conforms('a handler is never called from within a call', async (harness) => {
    const { offered, bound } = await connect(harness);
    let inCall = true;
    let calls = 0;
    bound.pause();
    offered.notify();
    await harness.settle();
    bound.onEvent(() => {
      expect(inCall).toBe(false);
      calls += 1;
    });
    bound.resume();
    offered.notify();
    inCall = false;
    await eventually(harness, () => calls > 0);
  });

  conforms('a signal during the handler makes it run again after', async (harness) => {
    const { offered, bound } = await connect(harness);
    let running = false;
    let calls = 0;
    bound.onEvent(() => {
      expect(running).toBe(false);
      running = true;
      calls += 1;
      if (calls === 1) offered.notify();
      running = false;
    });
    offered.notify();
    await eventually(harness, () => calls >= 2);
  });

  conforms('a new handler takes the place of the one before', async (harness) => {
    const { offered, bound } = await connect(harness);
    const before = countEvents(bound);
    const after = countEvents(bound);
    offered.notify();
    await eventually(harness, () => after.count > 0);
    expect(before.count).toBe(0);
  });

  conforms('a paused channel gives no event', async (harness) => {
    const { offered, bound } = await connect(harness);
    const events = countEvents(bound);
    bound.pause();
    offered.notify();
    await harness.settle();
    expect(events.count).toBe(0);
  });

  conforms('a signal sent just before the pause waits for resume', async (harness) => {
    const { offered, bound } = await connect(harness);
    const events = countEvents(bound);
    offered.notify();
    bound.pause();
    await harness.settle();
    expect(events.count).toBe(0);
    bound.resume();
    await eventually(harness, () => events.count > 0);
  });

  conforms('resume gives the signal that came during the pause', async (harness) => {
    const { offered, bound } = await connect(harness);
    const events = countEvents(bound);
    bound.pause();
    bound.pause();
    offered.notify();
    await harness.settle();
    bound.resume();
    await eventually(harness, () => events.count > 0);
  });

  conforms('a channel paused in its handler stays quiet until resume', async (harness) => {
    const { offered, bound } = await connect(harness);
    let calls = 0;
    bound.onEvent(() => {
      calls += 1;
      bound.pause();
    });
    offered.notify();
    await eventually(harness, () => calls > 0);
    offered.notify();
    await harness.settle();
    expect(calls).toBe(1);
    bound.resume();
    await eventually(harness, () => calls === 2);
  });

  conforms('a paused channel still sends', async (harness) => {
    const { offered, bound } = await connect(harness);
    const events = countEvents(bound);
    offered.pause();
    offered.notify();
    await eventually(harness, () => events.count > 0);
  });
}

function binding(conforms: ConformanceTest): void {
  conforms('a port is pending when it is bound', async (harness) => {
    const { a, b } = harness;
    const offered = a.events.allocateUnbound(b.domid);
    offered.notify();
    const events = countEvents(b.events.bindInterdomain(a.domid, offered.port));
    await eventually(harness, () => events.count > 0);
  });

  conforms('bind of a port that does not exist is refused with EINVAL', ({ a, b }) => {
    expect(refusal(() => b.events.bindInterdomain(a.domid, NO_PORT))).toBe('EINVAL');
  });

  conforms('bind to a domain that does not exist is refused', ({ b, other }) => {
    expect(refusal(() => b.events.bindInterdomain(other, eventPort(1)))).toMatch(/ESRCH|EINVAL/);
  });

  conforms('bind of a port that is meant for another domain is refused', ({ a, b, other }) => {
    const offered = a.events.allocateUnbound(other);
    expect(refusal(() => b.events.bindInterdomain(a.domid, offered.port))).toBe('EINVAL');
  });

  conforms('bind of a port that is bound already is refused', async (harness) => {
    const { a, b } = harness;
    const { offered } = await connect(harness);
    expect(refusal(() => b.events.bindInterdomain(a.domid, offered.port))).toBe('EINVAL');
  });

  conforms('bind looks for the port in the domain that is named', ({ a, b }, context) => {
    context.skip(a.domid === b.domid, 'both ends are in one domain');
    const offered = a.events.allocateUnbound(b.domid);
    expect(refusal(() => b.events.bindInterdomain(b.domid, offered.port))).toBe('EINVAL');
  });

  conforms('a refused bind leaves the port open for the right one', async (harness) => {
    const { a, b } = harness;
    const offered = a.events.allocateUnbound(b.domid);
    expect(refusal(() => b.events.bindInterdomain(a.domid, NO_PORT))).toBe('EINVAL');
    const bound = b.events.bindInterdomain(a.domid, offered.port);
    const events = countEvents(bound);
    await eventually(harness, () => events.count > 0);
  });
}

function ending(conforms: ConformanceTest): void {
  conforms('a signal to an end that has closed is harmless', async (harness) => {
    const { offered, bound } = await connect(harness);
    bound.close();
    offered.notify();
    await harness.settle();
    expect(offered.closed).toBe(false);
  });

  conforms('a signal to an end that was never bound is harmless', ({ a, b }) => {
    a.events.allocateUnbound(b.domid).notify();
  });

  conforms('a closed channel gives no event', async (harness) => {
    const { offered, bound } = await connect(harness);
    const events = countEvents(bound);
    offered.notify();
    bound.close();
    await harness.settle();
    expect(events.count).toBe(0);
  });

  conforms('a channel can be closed in its own handler', async (harness) => {
    const { offered, bound } = await connect(harness);
    let calls = 0;
    bound.onEvent(() => {
      calls += 1;
      bound.close();
    });
    offered.notify();
    await eventually(harness, () => bound.closed);
    offered.notify();
    await harness.settle();
    expect(calls).toBe(1);
  });

  conforms('the port of an end that has closed can be bound again', async (harness) => {
    const { a, b } = harness;
    const { offered, bound } = await connect(harness);
    bound.close();
    const again = b.events.bindInterdomain(a.domid, offered.port);
    const events = countEvents(again);
    await eventually(harness, () => events.count > 0);
    const signalsBefore = events.count;
    offered.notify();
    await eventually(harness, () => events.count > signalsBefore);
    const replies = countEvents(offered);
    again.notify();
    await eventually(harness, () => replies.count > 0);
  });

  conforms('the end that offered the port can be bound again to the other', async (harness) => {
    const { a, b } = harness;
    const { offered, bound } = await connect(harness);
    offered.close();
    const again = a.events.bindInterdomain(b.domid, bound.port);
    const events = countEvents(bound);
    again.notify();
    await eventually(harness, () => events.count > 0);
  });

  conforms('close of a channel is idempotent and later use is rejected', async (harness) => {
    const { bound } = await connect(harness);
    expect(bound.closed).toBe(false);
    bound.close();
    bound.close();
    expect(bound.closed).toBe(true);
    expectMistake(() => bound.notify());
    expectMistake(() => bound.pause());
    expectMistake(() => bound.resume());
    expectMistake(() => bound.onEvent(() => {}));
  });

  conforms('close of the hypervisor closes its channels', async (harness) => {
    const { a, b } = harness;
    const { offered, bound } = await connect(harness);
    a.close();
    expect(offered.closed).toBe(true);
    expect(bound.closed).toBe(false);
    expect(refusal(() => b.events.bindInterdomain(a.domid, offered.port))).toBe('EINVAL');
  });

  conforms('a closed hypervisor rejects new channels', ({ a, b }) => {
    const offered = b.events.allocateUnbound(a.domid);
    a.close();
    expectMistake(() => a.events.allocateUnbound(b.domid));
    expectMistake(() => a.events.bindInterdomain(b.domid, offered.port));
    expectMistake(() => a.events.bindVirq(VIRQ_TBUF));
  });
}

function virqs(conforms: ConformanceTest): void {
  conforms('a virtual interrupt is bound once a domain', ({ a, control }, context) => {
    context.skip(control === undefined, 'the domain is not privileged');
    const bound = a.events.bindVirq(VIRQ_TBUF);
    expect(refusal(() => a.events.bindVirq(VIRQ_TBUF))).toBe('EEXIST');
    bound.close();
    a.events.bindVirq(VIRQ_TBUF);
  });

  conforms(
    'bind of a number that is no virtual interrupt is rejected',
    ({ a, control }, context) => {
      context.skip(control === undefined, 'the domain is not privileged');
      for (const virq of [-1, 0.5]) expectMistake(() => a.events.bindVirq(virq));
    },
  );
}
