/** Where a console's output is kept: in Node a file in the log directory. */

export interface LogFile {
  /** Takes a copy of `bytes` and never blocks. What storage can't take in time is dropped and counted. */
  write(bytes: Uint8Array): void;
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

/** Leaves room in a file name of 255 bytes for what stands around the domain's name. */
const NAME_LENGTH_MAX = 200;

/** Bytes that would leave the log directory, or spoil a listing of it. */
function isUnsafe(character: string): boolean {
  return character === '/' || character < ' ' || character === '\x7f';
}

/** The name of a guest's log. A domain's name is the toolstack's choice, so it may hold anything. */
export function guestLogName(domainName: string): string {
  const safe = Array.from(domainName.slice(0, NAME_LENGTH_MAX), (character) =>
    isUnsafe(character) ? '_' : character,
  );
  return `guest-${safe.join('')}.log`;
}

export const HYPERVISOR_LOG_NAME = 'hypervisor.log';
