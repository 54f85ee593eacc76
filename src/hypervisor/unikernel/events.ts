/** Event channels of the stub-domain kernel. */
import { type DomId, domId, type EventPort, eventPort } from '../../base/ids.ts';
import type { EventChannel, EventChannels } from '../contract.ts';
import { type ChannelOwner, PortChannel } from '../port-channel.ts';
import { granted } from './errors.ts';
import type { EventLoop } from './event-loop.ts';

export class UnikernelEventChannels implements EventChannels, ChannelOwner {
  private readonly loop: EventLoop;
  private readonly open = new Set<PortChannel>();
  private readonly later = new Set<PortChannel>();
  private closed = false;

  constructor(loop: EventLoop) {
    this.loop = loop;
  }

  allocateUnbound(peer: DomId): EventChannel {
    return this.bind(`allocate an event channel for domain ${peer}`, () =>
      this.loop.xen.allocateUnbound(domId(peer)),
    );
  }

  bindInterdomain(peer: DomId, remotePort: EventPort): EventChannel {
    return this.bind(`bind port ${remotePort} of domain ${peer}`, () =>
      this.loop.xen.bindInterdomain(domId(peer), eventPort(remotePort)),
    );
  }

  bindVirq(virq: number): EventChannel {
    return this.bind(`bind VIRQ ${virq}`, () => this.loop.xen.bindVirq(virq));
  }

  /** A port that the toolstack made for us before we started, such as that of our xenstore ring. */
  adopt(port: EventPort): EventChannel {
    return this.bind(`take over port ${port}`, () => this.loop.xen.adoptPort(port));
  }

  /** This is another domain, in which none of these ports is there. Who has one closes it as ever. */
  lose(): void {
    for (const channel of this.open) channel.lose();
    this.open.clear();
    this.later.clear();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const channel of [...this.open]) channel.close();
  }

  notifyPort(port: EventPort): void {
    this.loop.xen.notify(port);
  }

  closePort(port: EventPort): void {
    this.loop.forget(port);
    this.loop.xen.closePort(port);
  }

  serveLater(channel: PortChannel): void {
    if (this.later.size === 0) this.loop.after(0, () => this.serveDeferred());
    this.later.add(channel);
  }

  forget(channel: PortChannel): void {
    this.open.delete(channel);
    this.later.delete(channel);
  }

  private bind(operation: string, call: () => number): EventChannel {
    if (this.closed) throw new TypeError('the hypervisor is closed');
    const channel = new PortChannel(
      this,
      eventPort(granted(operation, call(), { ENOSPC: 'no port is left' })),
    );
    this.open.add(channel);
    this.loop.listen(channel.port, () => {
      channel.signal();
      this.serve(channel);
    });
    return channel;
  }

  private serve(channel: PortChannel): void {
    if (channel.serve()) this.loop.xen.unmask(channel.port);
  }

  private serveDeferred(): void {
    const channels = [...this.later];
    this.later.clear();
    for (const channel of channels) this.serve(channel);
  }
}
