/** Pages that the native shim has mapped. */
import { MappedPages } from '../mapped-pages.ts';
import { loadNative } from './native.ts';

/** Ends a mapping of the shim's. */
export function unmap(buffer: ArrayBuffer): void {
  loadNative().unmap(buffer);
}

export class LinuxPages extends MappedPages {
  constructor(buffer: ArrayBuffer, onClose?: (pages: MappedPages) => void) {
    super(buffer, unmap, onClose);
  }
}
