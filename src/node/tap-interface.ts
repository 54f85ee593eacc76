/**
 * A TAP device of Linux as a `NetworkInterface`: what is sent here, the host receives on it. Large
 * segments and blank checksums cross as they are, in both directions.
 */
import { constants } from 'node:os';
import { type ErrorCode, errorCode, errorMessage, XenError } from '../base/errors.ts';
import { PAGE_SIZE } from '../hypervisor/contract.ts';
import type { ChecksumState, Frame, FrameGso, FrameHash } from '../net/frame.ts';
import { ETHERNET_HEADER_BYTES, FRAME_BYTES_MAX } from '../net/frame.ts';
import { MAC_BYTES, type MacAddress, macAddressAt, writeMacAddress } from '../net/mac-address.ts';
import {
  type InterfaceCounts,
  MTU_DEFAULT,
  type NetworkInterfaceInfo,
  noCounts,
  type PausableInterface,
} from '../net/network-interface.ts';
import {
  type DescribedFrame,
  OUTGOING_HEADER_BYTES,
  VirtioNetHdr,
  VirtioNetHeaders,
} from '../net/virtio-net.ts';

/** Readiness of a file descriptor, as the native shim's `Poller` tells it. */
interface Poller {
  start(events: number): void;
  stop(): void;
  close(): void;
}

/** An open device, native/tap.cc. */
interface Tap {
  readonly fd: number;
  persist(on: boolean): void;
  setCarrier(on: boolean): void;
  setMtu(mtu: number): void;
  bringUp(): void;
  readAddress(address: Uint8Array): void;
  setAddress(address: Uint8Array): void;
  joinBridge(bridge: string): void;
  read(memory: Uint8Array, places: Uint32Array): number;
  write(header: Uint8Array, frame: Uint8Array): number;
  close(): void;
}

/** The part of the native shim that TAP devices need. */
export interface NativeTaps {
  readonly READABLE: number;
  readonly WRITABLE: number;
  readonly Poller: new (fd: number, callback: (events: number) => void) => Poller;
  readonly Tap: new (name: string) => Tap;
  allocatePages(count: number): ArrayBuffer;
}

export interface TapOptions {
  /** As the host sees it, 15 characters at most. The device is made where there is none. */
  readonly name: string;
  /** What the host sends in one frame at most; left as it is unless given. */
  readonly mtu?: number;
  /** The host's MAC address on it; left as it is unless given. */
  readonly mac?: MacAddress;
}

/** Frames of one batch, and memory for a batch of large ones: each begins at a page, its header before it. */
const BATCH_FRAMES = 64;
const LARGE_FRAMES = 6;
const MEMORY_PAGES =
  1 + LARGE_FRAMES * Math.ceil((VirtioNetHdr.size + FRAME_BYTES_MAX) / PAGE_SIZE);
const WORDS_PER_PLACE = 2;

const NOTHING_NOW = -constants.errno.EAGAIN;
const nothing = new Uint8Array(0);

/** What the kernel refuses to open with, in words. */
const EXPLANATIONS: Readonly<Partial<Record<ErrorCode, string>>> = {
  EACCES: 'permission denied on /dev/net/tun',
  EBUSY: 'another program has it open',
  EINVAL: 'there is an interface of that name that is no TAP device',
  ENODEV: 'this kernel has no TAP devices: load its module tun',
  ENOENT: 'there is no /dev/net/tun: load the module tun',
  EPERM: 'not permitted: it takes CAP_NET_ADMIN, which root has',
};

function tapError(operation: string, error: unknown): XenError {
  const code = errorCode(error) as ErrorCode;
  const words = EXPLANATIONS[code];
  return words === undefined
    ? new XenError('EIO', operation, errorMessage(error), error)
    : new XenError(code, operation, words, error);
}

class TapFrame implements DescribedFrame {
  bytes: Uint8Array = nothing;
  checksum: ChecksumState = 'unknown';
  gso: FrameGso | undefined;
  readonly hash: FrameHash | undefined;
}

export class TapInterface implements PausableInterface {
  readonly name: string;
  readonly counts: InterfaceCounts = noCounts();
  private readonly native: NativeTaps;
  private readonly tap: Tap;
  private readonly poller: Poller;
  private readonly mac: MacAddress;
  private readonly mtu: number;
  private readonly headers = new VirtioNetHeaders();
  private readonly outgoing = new Uint8Array(OUTGOING_HEADER_BYTES);
  private readonly memory: Uint8Array;
  private readonly places = new Uint32Array(BATCH_FRAMES * WORDS_PER_PLACE);
  private readonly made = Array.from({ length: BATCH_FRAMES }, () => new TapFrame());
  private readonly batch: TapFrame[] = [];
  private receiver: (frames: readonly Frame[]) => void = () => {};
  private room = () => {};
  private changed = () => {};
  private awaited = 0;
  private paused = false;
  private full = false;
  private broken = false;
  private closed = false;

  private constructor(native: NativeTaps, tap: Tap, options: TapOptions) {
    const { name, mtu = MTU_DEFAULT } = options;
    this.native = native;
    this.name = name;
    this.tap = tap;
    this.mtu = mtu;
    this.memory = new Uint8Array(native.allocatePages(MEMORY_PAGES));
    if (options.mtu !== undefined) tap.setMtu(options.mtu);
    const address = new Uint8Array(MAC_BYTES);
    if (options.mac !== undefined) {
      writeMacAddress(options.mac, address, 0);
      tap.setAddress(address);
    }
    tap.readAddress(address);
    this.mac = macAddressAt(address, 0);
    this.poller = new native.Poller(tap.fd, (events) => this.polled(events));
    this.await();
  }

  /** Throws `XenError`: EPERM, EBUSY, EINVAL for a name that is none or another device's. */
  static open(native: NativeTaps, options: TapOptions): TapInterface {
    const { name } = options;
    const operation = `open the TAP device ${JSON.stringify(name.slice(0, 32))}`;
    if (!/^[^\s/:%]{1,15}$/.test(name) || name === '.' || name === '..') {
      const rule =
        'the name of an interface has 1 to 15 characters, none of them /, :, % or a space';
      throw new XenError('EINVAL', operation, rule);
    }
    let tap: Tap | undefined;
    try {
      tap = new native.Tap(name);
      return new TapInterface(native, tap, options);
    } catch (error) {
      tap?.close();
      throw tapError(operation, error);
    }
  }

  get info(): NetworkInterfaceInfo {
    return { mac: this.mac, mtu: this.mtu, carrier: !this.broken && !this.closed };
  }

  send(frames: readonly Frame[]): number {
    if (this.broken || this.closed || this.full) return 0;
    for (let index = 0; index < frames.length; index++) {
      if (!this.sendOne(frames[index]!)) {
        this.full = true;
        this.await();
        return index;
      }
    }
    return frames.length;
  }

  onReceive(handler: (frames: readonly Frame[]) => void): void {
    this.receiver = handler;
  }

  onRoom(handler: () => void): void {
    this.room = handler;
  }

  onChange(handler: () => void): void {
    this.changed = handler;
  }

  pause(): void {
    this.paused = true;
    this.await();
  }

  resume(): void {
    this.paused = false;
    this.await();
  }

  /** Whether the device stays when this process ends, with its addresses and its place in a bridge. */
  persist(stays: boolean): void {
    this.change(() => this.tap.persist(stays));
  }

  /** Whether the host sees somebody at the other end. */
  setCarrier(carrier: boolean): void {
    this.change(() => this.tap.setCarrier(carrier));
  }

  bringUp(): void {
    this.tap.bringUp();
  }

  /** Makes the device a port of one of the host's bridges. Throws `XenError` when there is none such. */
  joinBridge(bridge: string): void {
    try {
      this.tap.joinBridge(bridge);
    } catch (error) {
      const operation = `make ${this.name} a port of ${bridge}`;
      const detail =
        errorCode(error) === 'ENODEV' ? 'there is no such bridge' : errorMessage(error);
      throw new XenError('ENODEV', operation, detail, error);
    }
  }

  /** Idempotent. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.poller.close();
    this.tap.close();
  }

  /** False when the kernel takes no more now. */
  private sendOne(frame: Frame): boolean {
    const { sent } = this.counts;
    const { length } = frame.bytes;
    if (length < ETHERNET_HEADER_BYTES || length > FRAME_BYTES_MAX) {
      sent.dropped.length++;
      return true;
    }
    if (!this.headers.write(frame, this.outgoing)) {
      sent.dropped.malformed++;
      return true;
    }
    const result = this.tap.write(this.outgoing, frame.bytes);
    if (result === NOTHING_NOW) return false;
    if (result < 0) {
      // The device is down, or the kernel does not like the frame.
      sent.dropped.refused++;
    } else {
      sent.frames++;
      sent.bytes += length;
    }
    return true;
  }

  private polled(events: number): void {
    if (events < 0) {
      this.fail();
      return;
    }
    if ((events & this.native.WRITABLE) !== 0 && this.full) {
      this.full = false;
      this.await();
      this.room();
    }
    if ((events & this.native.READABLE) !== 0) this.receive();
  }

  private receive(): void {
    if (this.closed || this.paused) return;
    const count = this.tap.read(this.memory, this.places);
    if (count < 0) {
      if (count !== NOTHING_NOW) this.fail();
      return;
    }
    const { batch, counts } = this;
    batch.length = 0;
    for (let index = 0; index < count; index++) {
      const frame = this.made[index]!;
      const offset = this.places[index * WORDS_PER_PLACE]!;
      const length = this.places[index * WORDS_PER_PLACE + 1]!;
      if (this.headers.read(this.memory, offset, length, frame)) {
        counts.received.frames++;
        counts.received.bytes += frame.bytes.length;
        batch.push(frame);
      } else {
        counts.received.dropped.malformed++;
      }
    }
    if (batch.length > 0) this.receiver(batch);
  }

  /** Changes a device that somebody may have deleted. */
  private change(body: () => void): void {
    if (this.broken || this.closed) return;
    try {
      body();
    } catch {
      this.fail();
    }
  }

  /** Polls for what matters now and nothing else, so that nothing wakes us in vain. */
  private await(): void {
    if (this.broken || this.closed) return;
    const { READABLE, WRITABLE } = this.native;
    const events = (this.paused ? 0 : READABLE) | (this.full ? WRITABLE : 0);
    if (events === this.awaited) return;
    this.awaited = events;
    if (events === 0) this.poller.stop();
    else this.poller.start(events);
  }

  /** Somebody has deleted the device. */
  private fail(): void {
    if (this.broken) return;
    this.broken = true;
    this.poller.stop();
    this.changed();
  }
}
