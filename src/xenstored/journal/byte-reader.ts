/** Reads what a `ByteWriter` has written. Reading beyond the end throws RangeError. */
import { latin1Decode } from '../../base/bytes.ts';

export class ByteReader {
  private readonly memory: Uint8Array;
  private readonly view: DataView;
  private at: number;
  private readonly end: number;
  private lastPath = '';

  constructor(memory: Uint8Array, start = 0, end = memory.length) {
    this.memory = memory;
    this.view = new DataView(memory.buffer, memory.byteOffset, memory.length);
    this.at = start;
    this.end = end;
  }

  get isAtEnd(): boolean {
    return this.at === this.end;
  }

  u8(): number {
    return this.view.getUint8(this.take(1));
  }

  u16(): number {
    return this.view.getUint16(this.take(2), true);
  }

  u32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  u53(): number {
    return this.view.getFloat64(this.take(8), true);
  }

  text(): string {
    const length = this.u16();
    const start = this.take(length);
    return latin1Decode(this.memory, start, start + length);
  }

  path(): string {
    const shared = this.u16();
    if (shared > this.lastPath.length) throw new RangeError(`no path of ${shared} bytes before`);
    this.lastPath = this.lastPath.slice(0, shared) + this.text();
    return this.lastPath;
  }

  /** A copy. */
  data(): Uint8Array {
    const length = this.u32();
    const start = this.take(length);
    return this.memory.slice(start, start + length);
  }

  private take(size: number): number {
    const start = this.at;
    if (start + size > this.end) throw new RangeError(`${size} bytes are not there at ${start}`);
    this.at += size;
    return start;
  }
}
