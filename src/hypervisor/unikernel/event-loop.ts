/** Everything that the kernel calls: ports, timers, and what is to be done soon. One a domain. */
import type { Clock, Timer } from '../../base/clock.ts';
import { type XenObject, xenObject } from './xen-object.ts';

interface PendingTimer {
  readonly deadline_ms: number;
  readonly callback: () => void;
}

export class EventLoop implements Clock {
  readonly xen: XenObject;
  private readonly ports = new Map<number, () => void>();
  private readonly resumed = new Set<() => void>();
  /** Kept in the order in which they ring. */
  private readonly timers: PendingTimer[] = [];

  /** @param xen its functions are called by nobody else from here on */
  constructor(xen: XenObject) {
    this.xen = xen;
    xen.listen(
      (port) => this.ports.get(port)?.(),
      () => this.ring(),
    );
  }

  now_ms(): number {
    return this.xen.now_ms();
  }

  wallclock_ms(): number {
    return this.xen.wallclock_ms();
  }

  after(delay_ms: number, callback: () => void): Timer {
    const timer = {
      deadline_ms: this.now_ms() + Math.max(0, delay_ms),
      callback,
    };
    this.timers.splice(this.placeOf(timer), 0, timer);
    this.setAlarm();
    return {
      cancel: () => {
        const at = this.timers.indexOf(timer);
        if (at < 0) return;
        this.timers.splice(at, 1);
        this.setAlarm();
      },
    };
  }

  /** Calls `signalled` whenever the port was signalled; it is masked then. */
  listen(port: number, signalled: () => void): void {
    this.ports.set(port, signalled);
  }

  forget(port: number): void {
    this.ports.delete(port);
  }

  /** Calls `handler` whenever this has become another domain, in which no port is listened to yet. */
  onResumed(handler: () => void): void {
    this.resumed.add(handler);
  }

  /** Tells so. */
  resume(): void {
    this.ports.clear();
    for (const handler of this.resumed) handler();
  }

  private placeOf(timer: PendingTimer): number {
    let [low, high] = [0, this.timers.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.timers[middle] as PendingTimer;
      if (other.deadline_ms <= timer.deadline_ms) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private setAlarm(): void {
    this.xen.wakeAt(this.timers[0]?.deadline_ms ?? Number.POSITIVE_INFINITY);
  }

  /** Rings one timer; the kernel calls again for the next, so that events get their turn between. */
  private ring(): void {
    const [first] = this.timers;
    const due = first !== undefined && first.deadline_ms <= this.now_ms();
    if (due) this.timers.shift();
    this.setAlarm();
    if (due) first.callback();
  }
}

let loop: EventLoop | undefined;

/** The loop of this domain. Throws ENODEV outside of a stub domain. */
export function eventLoop(): EventLoop {
  loop ??= new EventLoop(xenObject());
  return loop;
}
