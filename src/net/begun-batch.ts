/**
 * A batch of responses that a back end is about to put into a ring, noted where its death does no
 * harm: in bytes of the ring's header that no protocol uses (`__pad` of ring.h).
 *
 * A response takes the slot of a request, and only the index that is stored after it says that it
 * is there. A back end that is killed between the two leaves slots whose requests would name other
 * grants than the guest had written there. So the next one finishes the batch first, from what the
 * requests and the responses of a slot have in common. The guest could forge the note, but only to
 * answer itself.
 */
import { assert } from '../base/assert.ts';
import { byteArray, struct, u32 } from '../base/layout.ts';
import {
  REQ_PROD,
  type RingMessages,
  type RingPages,
  RSP_PROD,
  ringPages,
} from '../ring/ring-pages.ts';

const Note = struct('begun batch', {
  /** `MAGIC` once the rest is whole: a foreign front end may leave anything here. */
  magic: u32,
  /** The `rsp_prod` at which the batch begins. */
  index: u32,
  count: u32,
  /** One bit a slot, for extra infos. */
  extras: byteArray(32),
});
const MAGIC_WORD = Note.offset.magic / 4;
const INDEX_WORD = Note.offset.index / 4;
const COUNT_WORD = Note.offset.count / 4;
const MAGIC = 0x5061_7642;

/** Makes of a slot, which holds a request or already its response, a response. */
export type FinishSlot = (slot: Uint8Array, isExtra: boolean) => void;

export class BegunBatch {
  private readonly ring: RingPages;
  private readonly words: Uint32Array;
  private readonly extras: Uint8Array;

  /**
   * Finishes what a former back end has begun.
   * @param memory the ring's pages as one run of bytes
   */
  constructor(memory: Uint8Array, messages: RingMessages, finish: FinishSlot) {
    this.ring = ringPages(memory, messages);
    const { unused, requests } = this.ring;
    const { size, offset } = Note;
    assert(size <= unused.length && requests.length <= 8 * Note.fields.extras.size, 'a note fits');
    this.words = new Uint32Array(unused.buffer, unused.byteOffset, offset.extras / 4);
    this.extras = unused.subarray(offset.extras, offset.extras + Note.fields.extras.size);
    this.finish(finish);
  }

  /** The next `count` responses will be put, those for extra infos where `isExtra` says so. */
  note(count: number, isExtra: (index: number) => boolean): void {
    Atomics.store(this.words, MAGIC_WORD, 0);
    this.extras.fill(0);
    for (let index = 0; index < count; index++) {
      if (isExtra(index)) this.extras[index >> 3] = this.extras[index >> 3]! | (1 << (index & 7));
    }
    Atomics.store(this.words, INDEX_WORD, Atomics.load(this.ring.indexes, RSP_PROD));
    Atomics.store(this.words, COUNT_WORD, count);
    Atomics.store(this.words, MAGIC_WORD, MAGIC);
  }

  private finish(finish: FinishSlot): void {
    const { indexes, requests } = this.ring;
    const start = Atomics.load(indexes, RSP_PROD);
    const count = Atomics.load(this.words, COUNT_WORD);
    const asked = (Atomics.load(indexes, REQ_PROD) - start) >>> 0;
    const isBegun =
      Atomics.load(this.words, MAGIC_WORD) === MAGIC &&
      Atomics.load(this.words, INDEX_WORD) === start &&
      count <= Math.min(asked, requests.length);
    if (!isBegun) return;
    for (let index = 0; index < count; index++) {
      const isExtra = (this.extras[index >> 3]! & (1 << (index & 7))) !== 0;
      finish(requests[(start + index) & (requests.length - 1)]!, isExtra);
    }
    Atomics.store(indexes, RSP_PROD, start + count);
  }
}
