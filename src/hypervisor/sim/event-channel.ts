/** One process's handle on a port. */
import { type EventPort, eventPort } from '../../base/ids.ts';
import type { EventChannel } from '../contract.ts';
import type { Handle } from './pages.ts';
import { closePort, queueDelivery, send } from './ports.ts';
import type { Port, Xen } from './xen.ts';

export class SimEventChannel implements EventChannel, Handle {
  readonly port: EventPort;
  private readonly xen: Xen;
  private readonly state: Port;
  private readonly onClosed: (channel: SimEventChannel) => void;
  private ended = false;

  constructor(xen: Xen, port: Port, onClosed: (channel: SimEventChannel) => void) {
    this.xen = xen;
    this.state = port;
    this.port = eventPort(port.number);
    this.onClosed = onClosed;
  }

  get closed(): boolean {
    return this.ended;
  }

  notify(): void {
    this.assertOpen();
    send(this.xen, this.state);
  }

  onEvent(handler: () => void): void {
    this.assertOpen();
    this.state.handler = handler;
    queueDelivery(this.xen, this.state);
  }

  pause(): void {
    this.assertOpen();
    this.state.paused = true;
  }

  resume(): void {
    this.assertOpen();
    this.state.paused = false;
    queueDelivery(this.xen, this.state);
  }

  close(): void {
    this.vanish();
  }

  vanish(): void {
    if (this.ended) return;
    this.ended = true;
    closePort(this.xen, this.state);
    this.onClosed(this);
  }

  private assertOpen(): void {
    if (this.ended) throw new TypeError(`the event channel on port ${this.port} is closed`);
  }
}
