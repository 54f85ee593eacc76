/** The parts of the unikernel binding that need no kernel; test/unikernel runs all of it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { XEN_EINVAL, XEN_ENOSPC } from '../../src/abi/errno.ts';
import { errorCode } from '../../src/base/errors.ts';
import { granted } from '../../src/hypervisor/unikernel/errors.ts';
import { EventLoop } from '../../src/hypervisor/unikernel/event-loop.ts';
import { type XenObject, xenObject } from '../../src/hypervisor/unikernel/xen-object.ts';

/** The kernel's side of the loop, with a clock that goes where it is told. */
class FakeKernel {
  now = 0;
  private alarm = Number.POSITIVE_INFINITY;
  private event: (port: number) => void = () => {};
  private timer: () => void = () => {};

  readonly xen = {
    now_ms: () => this.now,
    wallclock_ms: () => this.now,
    listen: (event: (port: number) => void, timer: () => void) => {
      this.event = event;
      this.timer = timer;
    },
    wakeAt: (deadline_ms: number) => {
      this.alarm = deadline_ms;
    },
  } as unknown as XenObject;

  signal(port: number): void {
    this.event(port);
  }

  /** Lets time pass until `end`, ringing as the kernel does: once, and only if asked again. */
  runUntil(end: number): void {
    while (this.alarm <= end) {
      this.now = Math.max(this.now, this.alarm);
      this.alarm = Number.POSITIVE_INFINITY;
      this.timer();
    }
    this.now = end;
  }
}

function start() {
  const kernel = new FakeKernel();
  return { kernel, loop: new EventLoop(kernel.xen) };
}

describe('the event loop', () => {
  test('rings every timer in the order of its time, then of its making', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20), { maxLength: 30 }), (delays) => {
        const { kernel, loop } = start();
        const rung: number[] = [];
        delays.forEach((delay_ms, index) => {
          loop.after(delay_ms, () => {
            expect(loop.now_ms()).toBe(delay_ms);
            rung.push(index);
          });
        });
        kernel.runUntil(100);
        const inOrder = delays.map((_, index) => index);
        inOrder.sort((a, b) => delays[a]! - delays[b]! || a - b);
        expect(rung).toEqual(inOrder);
      }),
    );
  });

  test('rings no timer that was cancelled, be it twice or by another timer', () => {
    const { kernel, loop } = start();
    const rung: string[] = [];
    const first = loop.after(5, () => rung.push('first'));
    const second = loop.after(10, () => rung.push('second'));
    loop.after(7, () => second.cancel());
    first.cancel();
    first.cancel();
    loop.after(12, () => rung.push('last'));
    kernel.runUntil(100);
    expect(rung).toEqual(['last']);
  });

  test('rings a timer that was set by a timer', () => {
    const { kernel, loop } = start();
    let rings = 0;
    const again = () => {
      rings += 1;
      if (rings < 3) loop.after(10, again);
    };
    loop.after(0, again);
    kernel.runUntil(19);
    expect(rings).toBe(2);
    kernel.runUntil(20);
    expect(rings).toBe(3);
  });

  test('gives a signal to whoever listens to the port, and to nobody else', () => {
    const { kernel, loop } = start();
    const signals: number[] = [];
    loop.listen(3, () => signals.push(3));
    loop.listen(4, () => signals.push(4));
    kernel.signal(4);
    kernel.signal(5);
    loop.forget(4);
    kernel.signal(4);
    kernel.signal(3);
    expect(signals).toEqual([4, 3]);
  });
});

describe('granted', () => {
  const refusal = (result: number, explain = {}) => {
    try {
      granted('share 3 pages', result, explain);
    } catch (error) {
      return { code: errorCode(error), message: (error as Error).message };
    }
    throw new Error('it was not refused');
  };

  test('passes on what is no refusal', () => {
    const buffer = new ArrayBuffer(8);
    expect(granted('map', buffer)).toBe(buffer);
    expect(granted('bind', 0)).toBe(0);
  });

  test('names the operation and the code of a refusal', () => {
    const { code, message } = refusal(-XEN_EINVAL);
    expect(code).toBe('EINVAL');
    expect(message).toBe('share 3 pages: EINVAL');
  });

  test('explains a code where there is something to say', () => {
    const { message } = refusal(-XEN_ENOSPC, { ENOSPC: 'the table is full' });
    expect(message).toBe('share 3 pages: the table is full (ENOSPC)');
  });

  test('gives EIO for a number that has no word', () => {
    expect(refusal(-9999)).toEqual({ code: 'EIO', message: 'share 3 pages: errno 9999 (EIO)' });
  });
});

test('outside of a stub domain there is no kernel', () => {
  expect(() => xenObject()).toThrow('this is no stub domain (ENODEV)');
});
