/** Event channels through one handle of /dev/xen/evtchn. */
import { errorCode } from '../../base/errors.ts';
import { type DomId, domId, type EventPort, eventPort } from '../../base/ids.ts';
import type { EventChannel, EventChannels } from '../contract.ts';
import { attempt, openDevice } from './errors.ts';
import { loadNative, type NativeEvtchn, type NativePoller } from './native.ts';

/** Channels served at one wake-up of the event loop, so that others get their turn. */
const BATCH_MAX = 256;

/** What a channel asks of its owner. */
interface Owner {
  readonly device: NativeEvtchn;
  /** Serves the channel from the event loop, soon. */
  serveLater(channel: LinuxEventChannel): void;
  forget(channel: LinuxEventChannel): void;
}

class LinuxEventChannel implements EventChannel {
  readonly port: EventPort;
  private readonly owner: Owner;
  private handler: (() => void) | undefined;
  private paused = false;
  /** A signal has come that the handler was not told of. */
  private signalled = false;
  /** The driver masked the port when it reported the signal; we have to unmask it. */
  private masked = false;
  private open = true;

  constructor(owner: Owner, port: EventPort) {
    this.owner = owner;
    this.port = port;
  }

  notify(): void {
    this.requireOpen();
    this.owner.device.notify(this.port);
  }

  onEvent(handler: () => void): void {
    this.requireOpen();
    this.handler = handler;
    if (this.signalled) this.owner.serveLater(this);
  }

  pause(): void {
    this.requireOpen();
    this.paused = true;
  }

  resume(): void {
    this.requireOpen();
    this.paused = false;
    if (this.masked) this.owner.serveLater(this);
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    this.owner.forget(this);
    this.owner.device.unbind(this.port);
  }

  get closed(): boolean {
    return !this.open;
  }

  /** The driver has reported the port. */
  signal(): void {
    this.masked = true;
    this.signalled = true;
  }

  /** Runs the handler if it is due. Returns true when the port is to be unmasked now. */
  serve(): boolean {
    if (!this.open || this.paused) return false;
    if (this.signalled) {
      if (this.handler === undefined) return false;
      this.signalled = false;
      this.handler();
    }
    // The handler may have closed or paused the channel.
    if (!this.open || this.paused || !this.masked) return false;
    this.masked = false;
    return true;
  }

  /** Whether the driver has the port masked; it counts as unmasked from now on. */
  takeMask(): boolean {
    const { masked } = this;
    this.masked = false;
    return masked;
  }

  private requireOpen(): void {
    if (!this.open) throw new TypeError(`event channel ${this.port} is closed`);
  }
}

export class LinuxEventChannels implements EventChannels, Owner {
  readonly device: NativeEvtchn;
  private readonly poller: NativePoller;
  private readonly readable: number;
  private readonly open = new Map<number, LinuxEventChannel>();
  private readonly ports = new Uint32Array(BATCH_MAX);
  private readonly unmasked = new Uint32Array(BATCH_MAX);
  private later = new Set<LinuxEventChannel>();
  private closed = false;

  constructor() {
    const native = loadNative();
    this.device = openDevice('/dev/xen/evtchn', 'xen-evtchn', () => new native.Evtchn());
    this.readable = native.READABLE;
    this.poller = new native.Poller(this.device.fd, () => this.receive());
    this.poller.start(this.readable);
    this.poller.unref();
  }

  allocateUnbound(peer: DomId): EventChannel {
    return this.bind(`allocate an event channel for domain ${peer}`, () =>
      this.device.bindUnboundPort(domId(peer)),
    );
  }

  bindInterdomain(peer: DomId, remotePort: EventPort): EventChannel {
    return this.bind(`bind port ${remotePort} of domain ${peer}`, () =>
      this.device.bindInterdomain(domId(peer), eventPort(remotePort)),
    );
  }

  bindVirq(virq: number): EventChannel {
    return this.bind(`bind VIRQ ${virq}`, () => this.device.bindVirq(virq));
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const channel of [...this.open.values()]) channel.close();
    this.poller.close();
    this.device.close();
  }

  /**
   * The descriptor of the device, for a program that takes the place of this one and keeps our
   * ports. None is left masked, or that program would never hear of it; it has to look for itself
   * for whatever was signalled and not served.
   */
  handOver(): number {
    const masked = [...this.open.values()].filter((channel) => channel.takeMask());
    for (let at = 0; at < masked.length; at += BATCH_MAX) {
      const ports = Uint32Array.from(masked.slice(at, at + BATCH_MAX), ({ port }) => port);
      this.device.unmask(ports, ports.length);
    }
    return this.device.fd;
  }

  serveLater(channel: LinuxEventChannel): void {
    if (this.later.size === 0) setImmediate(() => this.serveDeferred());
    this.later.add(channel);
  }

  forget(channel: LinuxEventChannel): void {
    this.open.delete(channel.port);
    this.later.delete(channel);
    if (this.open.size === 0) this.poller.unref();
  }

  private bind(operation: string, call: () => number): EventChannel {
    if (this.closed) throw new TypeError('the hypervisor is closed');
    const channel = new LinuxEventChannel(this, eventPort(attempt(operation, call)));
    // Open channels keep the process alive, as open sockets do.
    if (this.open.size === 0) this.poller.ref();
    this.open.set(channel.port, channel);
    return channel;
  }

  /** The device is readable. What does not fit in a batch makes it readable again. */
  private receive(): void {
    let count: number;
    try {
      count = this.device.read(this.ports);
    } catch (error) {
      if (errorCode(error) !== 'EFBIG') throw error;
      this.recoverFromOverflow();
      return;
    }
    const channels: LinuxEventChannel[] = [];
    for (let i = 0; i < count; i++) {
      const channel = this.open.get(this.ports[i] as number);
      // A port may have been closed after it was reported.
      if (channel === undefined) continue;
      channel.signal();
      channels.push(channel);
    }
    this.serve(channels);
  }

  /**
   * The driver's ring overflows when ports are bound and closed again and again between two turns
   * of the event loop. Which ports were signalled is lost, so each of them counts as signalled.
   */
  private recoverFromOverflow(): void {
    this.device.reset();
    for (const channel of this.open.values()) {
      channel.signal();
      this.serveLater(channel);
    }
    // The error has stopped the poller.
    this.poller.start(this.readable);
  }

  private serveDeferred(): void {
    const channels = [...this.later];
    this.later = new Set();
    for (let at = 0; at < channels.length; at += BATCH_MAX) {
      this.serve(channels.slice(at, at + BATCH_MAX));
    }
  }

  /** Runs the handlers of up to `BATCH_MAX` channels and unmasks these with one write. */
  private serve(channels: readonly LinuxEventChannel[]): void {
    let count = 0;
    const errors: unknown[] = [];
    for (const channel of channels) {
      try {
        if (channel.serve()) this.unmasked[count++] = channel.port;
      } catch (error) {
        errors.push(error);
      }
    }
    if (!this.closed) this.device.unmask(this.unmasked, count);
    // A handler's mistake must not silence the other channels; it is thrown after they had theirs.
    if (errors.length > 0) throw errors[0];
  }
}
