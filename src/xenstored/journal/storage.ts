/** Where a journal's bytes are, as the journal needs it: a file under Node, memory in a stub domain and in tests. */

export interface JournalStorage {
  /** How many bytes it holds. */
  readonly length: number;
  /** How many it can hold, where it cannot grow as long as there is room elsewhere. */
  readonly capacity?: number;
  /**
   * Adds bytes, which outlive this process from then on; those of a durable storage outlive a loss
   * of power too. Throws `XenError` when there is no room: then nothing was added.
   */
  append(bytes: Uint8Array): void;
  /** Begins what is to take the place of all that it holds. Throws as `append` does. */
  beginRewrite(): JournalRewrite;
}

/** A storage that is being filled. The one that it is to replace goes on taking bytes meanwhile. */
export interface JournalRewrite {
  append(bytes: Uint8Array): void;
  /** Adds what the other holds from `position` on, and takes its place. */
  replace(position: number): void;
  /** Lets go of it; the other stays. */
  abandon(): void;
}
