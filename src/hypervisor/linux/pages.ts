/** Mapped pages as the contract gives them. */
import type { GrantRef } from '../../base/ids.ts';
import { PAGE_SIZE, type Pages, type SharedPages } from '../contract.ts';
import { loadNative } from './native.ts';

export class LinuxPages implements Pages {
  readonly count: number;
  private readonly memory: Uint8Array;
  private readonly onClose: (pages: LinuxPages) => void;
  private open = true;

  /** @param buffer mapped by the native shim, which also ends it */
  constructor(buffer: ArrayBuffer, onClose: (pages: LinuxPages) => void = () => {}) {
    this.memory = new Uint8Array(buffer);
    this.count = buffer.byteLength / PAGE_SIZE;
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
    loadNative().unmap(this.memory.buffer as ArrayBuffer);
    this.onClose(this);
  }

  get closed(): boolean {
    return !this.open;
  }
}

export class LinuxSharedPages extends LinuxPages implements SharedPages {
  readonly refs: readonly GrantRef[];

  constructor(
    buffer: ArrayBuffer,
    refs: readonly GrantRef[],
    onClose: (pages: LinuxPages) => void,
  ) {
    super(buffer, onClose);
    this.refs = refs;
  }
}
