/**
 * An event channel over a port that is masked from its signal on until the handler has run: what
 * Linux's driver and the stub-domain kernel both give.
 */
import type { EventPort } from '../base/ids.ts';
import type { EventChannel } from './contract.ts';

/** What a channel asks of its owner. */
export interface ChannelOwner {
  notifyPort(port: EventPort): void;
  closePort(port: EventPort): void;
  /** Serves the channel from the event loop, soon. */
  serveLater(channel: PortChannel): void;
  forget(channel: PortChannel): void;
}

export class PortChannel implements EventChannel {
  readonly port: EventPort;
  private readonly owner: ChannelOwner;
  private handler: (() => void) | undefined;
  private paused = false;
  /** A signal has come that the handler was not told of. */
  private signalled = false;
  /** The port was masked when the signal was reported; it has to be unmasked. */
  private masked = false;
  private open = true;
  /** The port is not ours any more. */
  private lost = false;

  constructor(owner: ChannelOwner, port: EventPort) {
    this.owner = owner;
    this.port = port;
  }

  notify(): void {
    this.requireOpen();
    if (!this.lost) this.owner.notifyPort(this.port);
  }

  onEvent(handler: () => void): void {
    this.requireOpen();
    this.handler = handler;
    if (this.signalled && !this.lost) this.owner.serveLater(this);
  }

  pause(): void {
    this.requireOpen();
    this.paused = true;
  }

  resume(): void {
    this.requireOpen();
    this.paused = false;
    if (this.masked && !this.lost) this.owner.serveLater(this);
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    if (this.lost) return;
    this.owner.forget(this);
    this.owner.closePort(this.port);
  }

  /** The port is gone, without having been closed: there is no signal any more, to us and from us. */
  lose(): void {
    this.lost = true;
  }

  get closed(): boolean {
    return !this.open;
  }

  /** The port was reported, and is masked now. */
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
    return this.open && !this.paused && this.takeMask();
  }

  /** Whether the port is masked for this channel's sake; it counts as unmasked from now on. */
  takeMask(): boolean {
    const { masked } = this;
    this.masked = false;
    return masked;
  }

  private requireOpen(): void {
    if (!this.open) throw new TypeError(`event channel ${this.port} is closed`);
  }
}
