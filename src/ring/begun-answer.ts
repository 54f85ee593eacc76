/**
 * The response that a back end is about to put into its ring, kept where its death does no harm.
 *
 * A response takes the slot of a request, and only the index that is stored after it says that it
 * is there. A back end that is killed between the two leaves a slot that is neither. So the response
 * stands here first, in bytes of the ring's header that no protocol uses (`__pad` of ring.h): the
 * next back end puts it into its slot again. The front end could forge it, but only to answer itself.
 */
import { assert } from '../base/assert.ts';
import { byteArray, struct, u32 } from '../base/layout.ts';

const RESPONSE_BYTES_MAX = 32;

const Note = struct('begun answer', {
  /** `MAGIC` once the rest is whole: a foreign front end may leave anything here. */
  magic: u32,
  /** The `rsp_prod` at which the response belongs. */
  index: u32,
  response: byteArray(RESPONSE_BYTES_MAX),
});
const MAGIC_WORD = Note.offset.magic / 4;
const INDEX_WORD = Note.offset.index / 4;
const MAGIC = 0x5061_7641;

export class BegunAnswer {
  private readonly words: Uint32Array;
  private readonly response: Uint8Array;

  /** @param memory unused bytes of the ring's header, aligned to 4 */
  constructor(memory: Uint8Array, responseSize: number) {
    assert(responseSize <= RESPONSE_BYTES_MAX && Note.size <= memory.length, 'a response fits');
    this.words = new Uint32Array(memory.buffer, memory.byteOffset, Note.offset.response / 4);
    this.response = memory.subarray(Note.offset.response, Note.offset.response + responseSize);
  }

  /** The response that will stand at `index` is this one. */
  note(index: number, response: Uint8Array): void {
    Atomics.store(this.words, MAGIC_WORD, 0);
    this.response.set(response);
    Atomics.store(this.words, INDEX_WORD, index);
    Atomics.store(this.words, MAGIC_WORD, MAGIC);
  }

  /** The response noted for `index`, if there is one. */
  read(index: number): Uint8Array | undefined {
    const isNoted =
      Atomics.load(this.words, MAGIC_WORD) === MAGIC &&
      Atomics.load(this.words, INDEX_WORD) === index;
    return isNoted ? this.response.slice() : undefined;
  }
}
