/** Pages over an ArrayBuffer on mapped memory, as a native layer hands it out. */
import type { GrantRef } from '../base/ids.ts';
import { PAGE_SIZE, type Pages, type SharedPages } from './contract.ts';

/** Detaches the buffer and ends the mapping behind it. */
export type Unmap = (buffer: ArrayBuffer) => void;

export class MappedPages implements Pages {
  readonly count: number;
  private readonly memory: Uint8Array;
  private readonly unmap: Unmap;
  private readonly onClose: (pages: MappedPages) => void;
  private open = true;

  constructor(buffer: ArrayBuffer, unmap: Unmap, onClose: (pages: MappedPages) => void = () => {}) {
    this.memory = new Uint8Array(buffer);
    this.count = buffer.byteLength / PAGE_SIZE;
    this.unmap = unmap;
    this.onClose = onClose;
  }

  get bytes(): Uint8Array {
    if (!this.open) throw new TypeError('these pages are closed');
    return this.memory;
  }

  page(index: number): Uint8Array {
    if (!Number.isInteger(index) || index < 0 || index >= this.count) {
      throw new RangeError(`page ${index} of ${this.count}`);
    }
    return this.bytes.subarray(index * PAGE_SIZE, (index + 1) * PAGE_SIZE);
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    this.unmap(this.memory.buffer as ArrayBuffer);
    this.onClose(this);
  }

  get closed(): boolean {
    return !this.open;
  }
}

export class MappedSharedPages extends MappedPages implements SharedPages {
  readonly refs: readonly GrantRef[];

  constructor(
    buffer: ArrayBuffer,
    refs: readonly GrantRef[],
    unmap: Unmap,
    onClose: (pages: MappedPages) => void,
  ) {
    super(buffer, unmap, onClose);
    this.refs = refs;
  }
}
