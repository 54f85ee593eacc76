/** A journal's bytes in memory that outlives a simulated xenstored, and may fail it at any point. */
import { XenError } from '../../../src/base/errors.ts';
import type { JournalRewrite, JournalStorage } from '../../../src/xenstored/journal/storage.ts';

/** Thrown where xenstored is killed; nothing of it may run on. */
export class Killed extends Error {}

/** When xenstored dies around the adding of bytes. */
export type KillPoint = 'before' | 'within' | 'after';

/** A storage at which xenstored may be killed. */
export interface MortalJournal extends JournalStorage {
  /** What another xenstored finds. */
  readonly bytes: Uint8Array;
  /** It is killed when so many more times something has been stored. */
  killAfter: { appends: number; point: KillPoint } | undefined;
}

export class MemoryJournal implements MortalJournal {
  private memory = new Uint8Array(4096);
  /** How many bytes it holds; fewer cut off its end. */
  length = 0;
  /** Above this there is no room. */
  room = Number.POSITIVE_INFINITY;
  /** The same for what is to take its place. */
  rewriteRoom = Number.POSITIVE_INFINITY;
  rewrites = 0;
  killAfter: MortalJournal['killAfter'];

  get bytes(): Uint8Array {
    return this.memory.subarray(0, this.length);
  }

  append(bytes: Uint8Array): void {
    const kill = this.killAfter;
    if (kill === undefined || kill.appends-- > 0) {
      this.add(bytes);
      return;
    }
    this.killAfter = undefined;
    const share = { before: 0, within: 0.6, after: 1 }[kill.point];
    this.add(bytes.subarray(0, Math.floor(share * bytes.length)));
    throw new Killed('xenstored is killed here');
  }

  beginRewrite(): JournalRewrite {
    const fresh = new MemoryJournal();
    fresh.room = Math.min(this.room, this.rewriteRoom);
    return {
      append: (bytes) => fresh.add(bytes),
      replace: (position) => {
        fresh.add(this.bytes.subarray(position));
        this.memory = fresh.memory;
        this.length = fresh.length;
        this.rewrites++;
      },
      abandon: () => {},
    };
  }

  private add(bytes: Uint8Array): void {
    const end = this.length + bytes.length;
    if (end > this.room) {
      throw new XenError('ENOSPC', 'add to the journal', 'there is no room');
    }
    if (end > this.memory.length) {
      const larger = new Uint8Array(2 * end);
      larger.set(this.bytes);
      this.memory = larger;
    }
    this.memory.set(bytes, this.length);
    this.length = end;
  }
}
