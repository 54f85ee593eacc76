/**
 * The console page as a `ByteStream`, xen/include/public/io/console.h. The daemon reads what the
 * guest prints and writes what is typed at it; the guest's end is the same with the rings reversed.
 */
import { XenconsInterface } from '../abi/io/console.ts';
import type { EventChannel } from '../hypervisor/contract.ts';
import type { ByteRing } from '../ring/byte-ring.ts';
import { RingStream } from '../ring/ring-stream.ts';

export interface ConsoleParts {
  /** The page that holds `struct xencons_interface`. */
  readonly page: Uint8Array;
  /** Belongs to the stream from here on: closed with it. */
  readonly channel: EventChannel;
  /** Lets go of the page; called once by `close`. */
  readonly release?: () => void;
  /** As `RingStreamParts.keepsInput`. */
  readonly keepsInput?: boolean;
}

/** Bytes of the ring that the guest prints into: what one read can give at most. */
export const CONSOLE_OUTPUT_SIZE = XenconsInterface.fields.out.size;

function area(page: Uint8Array, name: 'in' | 'out'): Uint8Array {
  const start = XenconsInterface.offset[name];
  return page.subarray(start, start + XenconsInterface.fields[name].size);
}

function typedRing(page: Uint8Array): ByteRing {
  const { in_cons: cons, in_prod: prod } = XenconsInterface.offset;
  return { name: 'console input', data: area(page, 'in'), page, cons, prod };
}

function printedRing(page: Uint8Array): ByteRing {
  const { out_cons: cons, out_prod: prod } = XenconsInterface.offset;
  return { name: 'console output', data: area(page, 'out'), page, cons, prod };
}

/** The daemon's end. `error` of the stream says which rule a guest broke. */
export function backConsole(parts: ConsoleParts): RingStream {
  const { page } = parts;
  return new RingStream({ ...parts, incoming: printedRing(page), outgoing: typedRing(page) });
}

/** The guest's end. */
export function frontConsole(parts: ConsoleParts): RingStream {
  const { page } = parts;
  return new RingStream({ ...parts, incoming: typedRing(page), outgoing: printedRing(page) });
}

/** `out_cons` as it stands in the page: counts what the daemon has taken, over 32 bits. */
export function printedIndex(page: Uint8Array): number {
  const words = new Uint32Array(page.buffer, page.byteOffset, page.length >> 2);
  return Atomics.load(words, XenconsInterface.offset.out_cons / 4);
}
