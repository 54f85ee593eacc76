/** Event channels through one handle of /dev/xen/evtchn. */
import { errorCode } from '../../base/errors.ts';
import { type DomId, domId, type EventPort, eventPort } from '../../base/ids.ts';
import type { EventChannel, EventChannels } from '../contract.ts';
import { type ChannelOwner, PortChannel } from '../port-channel.ts';
import { attempt, openDevice } from './errors.ts';
import { loadNative, type NativeEvtchn, type NativePoller } from './native.ts';

/** Channels served at one wake-up of the event loop, so that others get their turn. */
const BATCH_MAX = 256;

export class LinuxEventChannels implements EventChannels, ChannelOwner {
  private readonly device: NativeEvtchn;
  private readonly poller: NativePoller;
  private readonly readable: number;
  private readonly open = new Map<number, PortChannel>();
  private readonly ports = new Uint32Array(BATCH_MAX);
  private readonly unmasked = new Uint32Array(BATCH_MAX);
  private later = new Set<PortChannel>();
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

  notifyPort(port: EventPort): void {
    this.device.notify(port);
  }

  closePort(port: EventPort): void {
    this.device.unbind(port);
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

  serveLater(channel: PortChannel): void {
    if (this.later.size === 0) setImmediate(() => this.serveDeferred());
    this.later.add(channel);
  }

  forget(channel: PortChannel): void {
    this.open.delete(channel.port);
    this.later.delete(channel);
    if (this.open.size === 0) this.poller.unref();
  }

  private bind(operation: string, call: () => number): EventChannel {
    if (this.closed) throw new TypeError('the hypervisor is closed');
    const channel = new PortChannel(this, eventPort(attempt(operation, call)));
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
    const channels: PortChannel[] = [];
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
  private serve(channels: readonly PortChannel[]): void {
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
