/** Numbers, texts and bytes, one after the other, in memory that grows as it must. Little-endian. */
import { latin1Write } from '../../base/bytes.ts';

const CAPACITY_MIN = 4096;
/** Memory that has grown above this is given back by `clear`. */
const CAPACITY_KEPT = 1 << 20;

export class ByteWriter {
  private memory = new Uint8Array(CAPACITY_MIN);
  private view = new DataView(this.memory.buffer);
  private end = 0;
  private lastPath = '';

  get length(): number {
    return this.end;
  }

  /** What was written; valid until more is. */
  get bytes(): Uint8Array {
    return this.memory.subarray(0, this.end);
  }

  clear(): void {
    this.end = 0;
    this.lastPath = '';
    if (this.memory.length > CAPACITY_KEPT) this.use(new Uint8Array(CAPACITY_MIN));
  }

  /** Leaves out `size` bytes, which `putU32` fills later. */
  skip(size: number): void {
    this.reserve(size);
    this.end += size;
  }

  /** Writes to where something was left out. */
  putU32(at: number, value: number): void {
    this.view.setUint32(at, value, true);
  }

  u8(value: number): void {
    this.reserve(1);
    this.memory[this.end++] = value;
  }

  u16(value: number): void {
    this.reserve(2);
    this.view.setUint16(this.end, value, true);
    this.end += 2;
  }

  u32(value: number): void {
    this.reserve(4);
    this.view.setUint32(this.end, value, true);
    this.end += 4;
  }

  /** A whole number up to 2^53. */
  u53(value: number): void {
    this.reserve(8);
    this.view.setFloat64(this.end, value, true);
    this.end += 8;
  }

  /** Characters up to 255, fewer than 65,536 of them. */
  text(text: string): void {
    this.u16(text.length);
    this.reserve(text.length);
    this.end = latin1Write(text, this.memory, this.end);
  }

  /**
   * As `text`, without what it has in common with the path before it, where one of the two stands
   * above the other: of a deep tree that is nearly all there is.
   */
  path(path: string): void {
    const size = Math.min(path.length, this.lastPath.length);
    const shared = path.slice(0, size) === this.lastPath.slice(0, size) ? size : 0;
    this.lastPath = path;
    this.u16(shared);
    this.text(path.slice(shared));
  }

  /** A text or bytes, of which nobody knows later which it was. */
  data(data: string | Uint8Array): void {
    this.u32(data.length);
    this.reserve(data.length);
    if (typeof data === 'string') {
      this.end = latin1Write(data, this.memory, this.end);
    } else {
      this.memory.set(data, this.end);
      this.end += data.length;
    }
  }

  private reserve(size: number): void {
    const needed = this.end + size;
    if (needed <= this.memory.length) return;
    let capacity = this.memory.length;
    while (capacity < needed) capacity *= 2;
    const larger = new Uint8Array(capacity);
    larger.set(this.bytes);
    this.use(larger);
  }

  private use(memory: Uint8Array<ArrayBuffer>): void {
    this.memory = memory;
    this.view = new DataView(memory.buffer);
  }
}
