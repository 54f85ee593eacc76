/** Where a console's output is kept: in Node a file in the log directory. */

export interface LogFile {
  /**
   * Makes ready for what is written next, which may begin a new file. Returns where that will
   * stand, for `cutBack` of whoever opens the log after us; `undefined` when that is not known.
   */
  begin(): string | undefined;
  /**
   * Takes a copy of `bytes` and never blocks. `stored` is called later, from the event loop: when
   * they are stored, when storage refuses them (they are dropped, counted and reported), or when it
   * takes so long that nobody should wait for it.
   */
  write(bytes: Uint8Array, stored?: () => void): void;
  /** Takes out all from `place` on, which `begin` of an earlier log has told. Does nothing when that was in another file. */
  cutBack(place: string): void;
  /** Resolves when all that `write` took is stored or dropped. Idempotent. */
  close(): Promise<void>;
}

/**
 * Opens a log for appending, and creates it where there is none. Throws an error with a `code` when
 * that fails.
 *
 * @param name the file's name without a directory, one character (0 to 255) a byte
 */
export type OpenLog = (name: string) => LogFile;

/** A few words that outlive the daemon, though not the host. */
export interface Note {
  /** Empty when there is none. */
  read(): string;
  /** Replaces it, at once and as a whole. Throws when that fails. */
  write(text: string): void;
  /** Lets go of it; it stays. Idempotent. */
  close(): void;
  /** Removes it. Idempotent. */
  discard(): void;
}

/** The note called `name`. */
export type OpenNote = (name: string) => Note;

/** Leaves room in a file name of 255 bytes for what stands around the domain's name. */
const NAME_LENGTH_MAX = 200;

/** Bytes that would leave the log directory, or spoil a listing of it. */
function isUnsafe(character: string): boolean {
  return character === '/' || character < ' ' || character === '\x7f';
}

/**
 * The name of a guest's log. A domain's name is the toolstack's choice, so it may hold anything.
 *
 * @param index the console's number; only the first goes unnamed, as in xenconsoled
 */
export function guestLogName(domainName: string, index = 0): string {
  const safe = Array.from(domainName.slice(0, NAME_LENGTH_MAX), (character) =>
    isUnsafe(character) ? '_' : character,
  );
  return `guest-${safe.join('')}${index === 0 ? '' : `-console${index}`}.log`;
}

export const HYPERVISOR_LOG_NAME = 'hypervisor.log';
