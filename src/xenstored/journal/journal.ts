/**
 * Keeps outside of this process all that xenstored must not forget, so that it can be killed at any
 * moment and another takes up everything: architecture rule 6.
 *
 * What becomes of anything is recorded as it happens, and `commit` makes all that was recorded true
 * at one go. Nobody is told anything, and no request is taken from a ring, before that.
 */
import type { Clock, Timer } from '../../base/clock.ts';
import { XenError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { NodeState, ServerState } from '../state.ts';
import type { Node } from '../tree.ts';
import { ByteWriter } from './byte-writer.ts';
import { putCounters, putNode, putNodeGone, putNodeTouched } from './entries.ts';
import {
  FRAME_CHANGES,
  FRAME_HEADER_SIZE,
  FRAME_STATE,
  journalHeader,
  sealFrame,
} from './frames.ts';
import { RingJournal, type RingSource } from './ring-journal.ts';
import { putStateWithoutNodes, SettingsJournal, type SettingsSource } from './settings-journal.ts';
import type { JournalRewrite, JournalStorage } from './storage.ts';

/** Bytes of entries after which a frame of the state ends, and others have their turn. */
const STATE_FRAME_SIZE = 32 * 1024;
const GROWTH_DEFAULT: JournalGrowth = { size_min: 1 << 20, factor: 4 };
/** How long after a failure it is tried again. */
const RETRY_MS = 5000;

/** What the journal asks of the server. */
export interface JournalSource extends SettingsSource {
  readonly generation: number;
  readonly lastIncarnation: number;
  capture(): ServerState;
}

/** The journal is rewritten when it is larger than `size_min` bytes and than so many times what it was then. */
export interface JournalGrowth {
  readonly size_min: number;
  readonly factor: number;
}

export interface JournalParts {
  readonly storage: JournalStorage;
  /** How large it may grow; up to 1 MiB, or four times, unless given. */
  readonly growth?: JournalGrowth | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** Names this boot of the host, in at most 64 characters. */
  readonly epoch: string;
}

/** A rewrite under way. */
interface Rewriting {
  readonly rewrite: JournalRewrite;
  readonly nodes: Iterator<NodeState>;
  /** Where in the storage begins what has changed since. */
  readonly from: number;
}

export class Journal {
  private readonly parts: JournalParts;
  private readonly source: JournalSource;
  private readonly out = new ByteWriter();
  private readonly stateOut = new ByteWriter();
  private readonly settings: SettingsJournal;
  private sequence = 0;
  private stateSequence = 0;
  /** Rings that stand elsewhere since the last commit. */
  private readonly moved = new Set<RingJournal>();
  private rewriting: Rewriting | undefined;
  private rewrittenSize = 0;
  /** The storage lacks something: nothing is worth adding before it was rewritten. */
  private behind = true;
  /** Something has failed, and nothing was rewritten since. */
  private inTrouble = false;
  private timer: Timer | undefined;
  private closed = false;

  /** Nothing is kept before `begin`. */
  constructor(parts: JournalParts, source: JournalSource) {
    this.parts = parts;
    this.source = source;
    this.settings = new SettingsJournal(source);
    this.beginFrame();
  }

  /** Puts the present state into the place of whatever the storage has, now or as soon as it can. */
  begin(): void {
    try {
      this.rewriteAtOnce();
    } catch (error) {
      this.behind = false;
      this.failed(error, true);
    }
  }

  /** Takes no more. What was committed stays. Idempotent. */
  close(): void {
    this.closed = true;
    this.abandonRewrite();
  }

  /** What became of a node. */
  node(path: string, old: Node | undefined, node: Node | undefined): void {
    if (node === undefined) putNodeGone(this.out, path);
    else if (
      old !== undefined &&
      old.value === node.value &&
      old.permissions === node.permissions &&
      old.birth === node.birth
    ) {
      putNodeTouched(this.out, path, node.generation);
    } else putNode(this.out, path, node);
  }

  /** The journal of a domain's connection. */
  ring(domid: number, source: RingSource): RingJournal {
    return new RingJournal(domid, source, this.out, this.moved);
  }

  /** Makes true what was recorded since the last commit. */
  commit(): void {
    const { out, moved } = this;
    this.settings.record(out);
    for (const ring of moved) ring.putPosition();
    moved.clear();
    if (out.length === FRAME_HEADER_SIZE) return;
    if (!this.behind && !this.closed) this.append();
    this.beginFrame();
  }

  private append(): void {
    const { out, parts, source } = this;
    putCounters(out, source.generation, source.lastIncarnation);
    this.sequence = (this.sequence + 1) >>> 0;
    try {
      parts.storage.append(sealFrame(out, this.sequence, FRAME_CHANGES));
    } catch (error) {
      this.makeRoom(error);
    }
    if (this.isLarge) this.rewriteSoon(0);
  }

  /** Without what is outdated there may be room for the present state, of which this commit is a part. */
  private makeRoom(error: unknown): void {
    if (!(error instanceof XenError)) throw error;
    try {
      this.abandonRewrite();
      this.rewriteAtOnce();
    } catch (again) {
      this.failed(again, true);
    }
  }

  private get isLarge(): boolean {
    const { storage, growth = GROWTH_DEFAULT } = this.parts;
    const { length, capacity = Number.POSITIVE_INFINITY } = storage;
    const { rewrittenSize } = this;
    const wanted = Math.max(growth.size_min, growth.factor * rewrittenSize);
    // Of what there is no more of, the other half is for what is added while it is rewritten.
    return length > Math.min(wanted, rewrittenSize + (capacity - rewrittenSize) / 2);
  }

  private beginFrame(): void {
    this.out.clear();
    this.out.skip(FRAME_HEADER_SIZE);
  }

  /** There is no room: for what was to be added, which is `lost`, or only for a rewrite. */
  private failed(error: unknown, lost: boolean): void {
    if (!(error instanceof XenError)) throw error;
    if (lost ? !this.behind : !this.inTrouble) {
      const trouble = lost
        ? 'the journal cannot be kept, and a restart would forget what happens until it can'
        : 'the journal cannot be rewritten, and grows until it can';
      this.parts.log.error(`${trouble}: ${error.message}`, { retry_s: RETRY_MS / 1000 });
    }
    this.inTrouble = true;
    this.behind ||= lost;
    this.abandonRewrite();
    this.rewriteSoon(RETRY_MS);
  }

  private abandonRewrite(): void {
    this.rewriting?.rewrite.abandon();
    this.rewriting = undefined;
    this.timer?.cancel();
    this.timer = undefined;
  }

  private rewriteSoon(delay_ms: number): void {
    if (this.closed || this.timer !== undefined || this.rewriting !== undefined) return;
    this.later(delay_ms, () => {
      if (this.behind) {
        this.rewriteAtOnce();
      } else {
        this.startRewrite();
        this.goOn();
      }
    });
  }

  private later(delay_ms: number, action: () => void): void {
    this.timer = this.parts.clock.after(delay_ms, () => {
      this.timer = undefined;
      try {
        action();
      } catch (error) {
        this.failed(error, this.behind);
      }
    });
  }

  /** Nothing can change meanwhile, which nobody would keep. */
  private rewriteAtOnce(): void {
    this.beginFrame();
    this.startRewrite();
    while (this.rewriting !== undefined) this.writeSome(this.rewriting);
    this.behind = false;
  }

  /** Writes all but the nodes at once: they alone may be very many. */
  private startRewrite(): void {
    const { storage, epoch } = this.parts;
    const from = storage.length;
    const { nodes, ...rest } = this.source.capture();
    const rewrite = storage.beginRewrite();
    this.rewriting = { rewrite, nodes: nodes[Symbol.iterator](), from };
    this.stateSequence = 0;
    rewrite.append(journalHeader(epoch));
    this.stateOut.clear();
    this.stateOut.skip(FRAME_HEADER_SIZE);
    putStateWithoutNodes(this.stateOut, rest);
    this.sealState(rewrite);
  }

  private sealState(rewrite: JournalRewrite): void {
    rewrite.append(sealFrame(this.stateOut, ++this.stateSequence, FRAME_STATE));
    this.stateOut.clear();
    this.stateOut.skip(FRAME_HEADER_SIZE);
  }

  /** One frame of nodes, and the end of the rewrite when there are no more. */
  private writeSome({ nodes, rewrite, from }: Rewriting): void {
    const { stateOut } = this;
    let next = nodes.next();
    for (; next.done !== true; next = nodes.next()) {
      putNode(stateOut, next.value.path, next.value);
      if (stateOut.length >= STATE_FRAME_SIZE) break;
    }
    this.sealState(rewrite);
    if (next.done !== true) return;
    rewrite.replace(from);
    this.rewriting = undefined;
    this.rewrittenSize = this.parts.storage.length;
    if (this.inTrouble) this.parts.log.info('the journal is kept again');
    this.inTrouble = false;
  }

  private goOn(): void {
    if (this.rewriting === undefined || this.closed) return;
    this.writeSome(this.rewriting);
    if (this.rewriting !== undefined) this.later(0, () => this.goOn());
  }
}
