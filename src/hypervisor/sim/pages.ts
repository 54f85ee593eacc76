/** Windows on pages of memory: our own that are granted, a peer's that are mapped. */
import { XenError } from '../../base/errors.ts';
import { type EndNotice, PAGE_SIZE, type Pages } from '../contract.ts';
import type { Frame } from './xen.ts';

/** What ends with the process that holds it. */
export interface Handle {
  close(): void;
  /** Ends as when the whole domain is destroyed: nobody is left to give notice. */
  vanish(): void;
}

function oneRun(frames: readonly Frame[]): boolean {
  return frames.every((frame, index) => {
    const first = frames[0] as Frame;
    return frame.memory === first.memory && frame.offset === first.offset + index * PAGE_SIZE;
  });
}

/** Throws RangeError or TypeError unless `notice` can be given for `count` pages. */
export function checkNotice(count: number, notice: EndNotice): void {
  const { byteOffset, channel } = notice;
  if (byteOffset !== undefined) {
    if (!Number.isInteger(byteOffset) || byteOffset < 0 || byteOffset >= count * PAGE_SIZE) {
      throw new RangeError(`byteOffset ${byteOffset} is not within ${count} pages`);
    }
  }
  if (channel?.closed) throw new TypeError('the event channel of an EndNotice must be open');
}

export class SimPages implements Pages, Handle {
  readonly count: number;
  private readonly pages: readonly Uint8Array[];
  private readonly run: Uint8Array | undefined;
  private readonly notice: EndNotice;
  private readonly release: () => void;
  private ended = false;

  /** @param release gives the pages back, exactly once */
  constructor(frames: readonly Frame[], notice: EndNotice, release: () => void) {
    this.count = frames.length;
    this.pages = frames.map((frame) => new Uint8Array(frame.memory, frame.offset, PAGE_SIZE));
    const first = frames[0] as Frame;
    this.run = oneRun(frames)
      ? new Uint8Array(first.memory, first.offset, frames.length * PAGE_SIZE)
      : undefined;
    this.notice = notice;
    this.release = release;
  }

  get closed(): boolean {
    return this.ended;
  }

  get bytes(): Uint8Array {
    this.assertOpen();
    if (this.run === undefined) {
      throw new XenError(
        'ENOTSUP',
        `show ${this.count} pages as one run`,
        'the simulator can only where the peer allocated them together and in this order',
      );
    }
    return this.run;
  }

  page(index: number): Uint8Array {
    this.assertOpen();
    const page = this.pages[index];
    if (page === undefined) throw new RangeError(`page ${index} of ${this.count} pages`);
    return page;
  }

  close(): void {
    if (this.ended) return;
    const { byteOffset, channel } = this.notice;
    if (byteOffset !== undefined) {
      this.page(Math.floor(byteOffset / PAGE_SIZE))[byteOffset % PAGE_SIZE] = 0;
    }
    this.vanish();
    if (channel !== undefined && !channel.closed) channel.notify();
  }

  vanish(): void {
    if (this.ended) return;
    this.ended = true;
    this.release();
  }

  private assertOpen(): void {
    if (this.ended) throw new TypeError('these pages are closed');
  }
}
