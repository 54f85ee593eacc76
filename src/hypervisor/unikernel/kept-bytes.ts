/**
 * Memory of the domain that outlives its script, as a journal needs it: a script that has failed is run
 * anew by the kernel and finds there what it has added.
 */
import { granted } from './errors.ts';
import type { XenObject } from './xen-object.ts';

const NO_ROOM = { ENOMEM: 'the memory of this domain is full' };

export class KeptBytes {
  /** What the script before this one has left, if there was one. */
  readonly found: Uint8Array | undefined;
  private readonly xen: XenObject;
  private kept: number;

  constructor(xen: XenObject) {
    this.xen = xen;
    const bytes = new Uint8Array(xen.kept());
    this.kept = bytes.length;
    this.found = bytes.length > 0 ? bytes : undefined;
  }

  get length(): number {
    return this.kept;
  }

  /** Throws ENOMEM when there is no room: then nothing was added. */
  append(bytes: Uint8Array): void {
    granted('keep bytes', this.xen.keep(bytes, false), NO_ROOM);
    this.kept += bytes.length;
  }

  /** Begins what is to take the place of all that is kept. */
  beginRewrite(): {
    append(bytes: Uint8Array): void;
    replace(position: number): void;
    abandon(): void;
  } {
    let length = 0;
    return {
      append: (bytes) => {
        granted('keep bytes anew', this.xen.keep(bytes, true), NO_ROOM);
        length += bytes.length;
      },
      replace: (position) => {
        granted('keep bytes anew', this.xen.keepNext(position), NO_ROOM);
        this.kept = length + Math.max(0, this.kept - position);
      },
      abandon: () => this.xen.forgetNext(),
    };
  }
}
