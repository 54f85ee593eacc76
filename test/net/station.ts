/** An interface that a test holds in its hands. */
import type { Frame } from '../../src/net/frame.ts';
import { type NetworkInterface, noCounts } from '../../src/net/network-interface.ts';
import { kept } from './net-host.ts';
import { frame, MAC_A } from './packets.ts';

/** An interface whose other end is the test. */
export class Station implements NetworkInterface {
  readonly counts = noCounts();
  readonly heard: Frame[] = [];
  info = { mac: MAC_A, mtu: 1500, carrier: true };
  /** Frames that are taken at a time. */
  room = 1000;
  private receiver: (frames: readonly Frame[]) => void = () => {};
  private changed = () => {};
  private hasRoom = () => {};

  send(frames: readonly Frame[]): number {
    const taken = frames.slice(0, this.room);
    this.heard.push(...taken.map(kept));
    return taken.length;
  }

  onReceive(handler: (frames: readonly Frame[]) => void): void {
    this.receiver = handler;
  }

  onRoom(handler: () => void): void {
    this.hasRoom = handler;
  }

  /** As many frames more are taken. */
  makeRoom(): void {
    this.hasRoom();
  }

  onChange(handler: () => void): void {
    this.changed = handler;
  }

  say(...frames: Uint8Array[]): void {
    this.receiver(frames.map((bytes) => frame(bytes)));
  }

  setCarrier(carrier: boolean): void {
    this.info = { ...this.info, carrier };
    this.changed();
  }

  /** What was heard since the last call. */
  take(): Uint8Array[] {
    return this.heard.splice(0).map(({ bytes }) => bytes);
  }
}
