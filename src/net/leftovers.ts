/**
 * The rest of a frame that was taken apart or completed here and for all of which there was no room: it
 * cannot be sent again as a whole, so its parts wait, and nothing else is taken until they are gone.
 * There is never more of it than one frame stands for.
 */
import type { Frame } from './frame.ts';
import type { InterfaceCounts } from './network-interface.ts';

export class Leftovers {
  private readonly put: (frame: Frame) => boolean;
  private readonly counts: InterfaceCounts;
  private waiting: Frame[] = [];

  /** @param put false when there is no room for the frame, which is not copied */
  constructor(put: (frame: Frame) => boolean, counts: InterfaceCounts) {
    this.put = put;
    this.counts = counts;
  }

  get isEmpty(): boolean {
    return this.waiting.length === 0;
  }

  /** Puts a part, now or when its turn comes. Its memory is the caller's again. */
  add(part: Frame): void {
    if (this.isEmpty && this.put(part)) return;
    this.waiting.push({ ...part, bytes: part.bytes.slice() });
  }

  /** Puts what there is room for now. True when nothing is left. */
  proceed(): boolean {
    if (this.isEmpty) return true;
    let count = 0;
    while (count < this.waiting.length && this.put(this.waiting[count]!)) count++;
    this.waiting.splice(0, count);
    return this.isEmpty;
  }

  /** There will be no more room. */
  drop(): void {
    this.counts.sent.dropped.room += this.waiting.length;
    this.waiting = [];
  }
}
