/**
 * A journal in pages that outlive the domain in which xenstored runs, and of which it has a certain
 * number. They are in two halves after a header: one holds the journal, in the other the next one is
 * written. Each change is made true by the store of one word, and that is the last store of it; so the
 * domain may end between any two of them.
 */
import { latin1Decode, latin1Encode } from '../../base/bytes.ts';
import { XenError } from '../../base/errors.ts';
import { byteArray, struct, u32 } from '../../base/layout.ts';
import type { JournalRewrite, JournalStorage } from './storage.ts';

const MAGIC = 'paravane journal pages\n';
const VERSION = 1;

const Header = struct('struct journal_pages', {
  magic: byteArray(24),
  version: u32,
  /** Which half holds the journal. */
  present: u32,
  /** How many bytes of each half are written and whole. */
  length0: u32,
  length1: u32,
});

/** The halves begin where a page does. */
const HEADER_BYTES = 4096;
const HALVES = 2;
/** What a journal with hardly anything in it needs. */
const HALF_BYTES_MIN = 4096;

const WORD_BYTES = Uint32Array.BYTES_PER_ELEMENT;
const VERSION_WORD = Header.offset.version / WORD_BYTES;
const PRESENT_WORD = Header.offset.present / WORD_BYTES;
const LENGTH_WORDS = [
  Header.offset.length0 / WORD_BYTES,
  Header.offset.length1 / WORD_BYTES,
] as const;

type Half = 0 | 1;
const otherThan = (half: Half): Half => (half === 0 ? 1 : 0);

export class JournalPages implements JournalStorage {
  /** What was there before, if anything: a copy, as the pages are soon written again. */
  readonly found: Uint8Array | undefined;
  /** How many bytes a journal may have. */
  readonly capacity: number;
  private readonly memory: Uint8Array;
  private readonly words: Uint32Array;

  /**
   * @param memory whole pages, which nobody else writes; what is in them is taken up if it is a journal
   * Throws RangeError when they are too few, and EINVAL when another version has left a journal there.
   */
  constructor(memory: Uint8Array) {
    this.memory = memory;
    const half = Math.floor((memory.length - HEADER_BYTES) / HALVES);
    // The words of a journal are looked at in place.
    this.capacity = half - (half % WORD_BYTES);
    if (this.capacity < HALF_BYTES_MIN) {
      throw new RangeError(`a journal needs more than ${memory.length} bytes`);
    }
    this.words = new Uint32Array(memory.buffer, memory.byteOffset, HEADER_BYTES / WORD_BYTES);
    if (this.isBegun()) this.found = this.length > 0 ? this.half(this.present).slice() : undefined;
    else this.begin();
  }

  get length(): number {
    return Math.min(this.word(LENGTH_WORDS[this.present]), this.capacity);
  }

  append(bytes: Uint8Array): void {
    this.add(this.present, this.length, bytes);
  }

  beginRewrite(): JournalRewrite {
    const next = otherThan(this.present);
    let length = 0;
    const append = (bytes: Uint8Array) => {
      length = this.put(next, length, bytes);
    };
    return {
      append,
      replace: (position) => {
        append(this.half(this.present).subarray(Math.min(position, this.length)));
        this.setWord(LENGTH_WORDS[next], length);
        this.setWord(PRESENT_WORD, next);
      },
      // Nobody looks at it.
      abandon: () => {},
    };
  }

  private get present(): Half {
    return this.word(PRESENT_WORD) === 1 ? 1 : 0;
  }

  /** What of that half is written and whole. */
  private half(half: Half): Uint8Array {
    const start = this.startOf(half);
    const length = Math.min(this.word(LENGTH_WORDS[half]), this.capacity);
    return this.memory.subarray(start, start + length);
  }

  private startOf(half: Half): number {
    return HEADER_BYTES + half * this.capacity;
  }

  private isBegun(): boolean {
    if (latin1Decode(this.memory, 0, MAGIC.length) !== MAGIC) return false;
    const version = this.word(VERSION_WORD);
    if (version === VERSION) return true;
    const rule = `this xenstored reads pages of version ${VERSION}, not ${version}`;
    throw new XenError('EINVAL', "read the journal's pages", rule);
  }

  private begin(): void {
    for (const word of [...LENGTH_WORDS, PRESENT_WORD]) this.setWord(word, 0);
    this.setWord(VERSION_WORD, VERSION);
    this.setBytes(Header.offset.magic, latin1Encode(MAGIC));
  }

  private add(half: Half, length: number, bytes: Uint8Array): void {
    this.setWord(LENGTH_WORDS[half], this.put(half, length, bytes));
  }

  /** Puts bytes behind the first `length` of a half; how many there are then. */
  private put(half: Half, length: number, bytes: Uint8Array): number {
    const end = length + bytes.length;
    if (end > this.capacity) {
      const rule = `its pages hold ${this.capacity} bytes of it, and more are needed`;
      throw new XenError('ENOSPC', 'add to the journal', rule);
    }
    this.setBytes(this.startOf(half) + length, bytes);
    return end;
  }

  private word(index: number): number {
    return Atomics.load(this.words, index);
  }

  /** Whatever is stored in the pages goes through this and the next: tests end the domain there. */
  protected setBytes(at: number, bytes: Uint8Array): void {
    this.memory.set(bytes, at);
  }

  protected setWord(index: number, value: number): void {
    Atomics.store(this.words, index, value);
  }
}
