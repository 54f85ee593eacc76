/** A ring of small messages for tests: eight slots in a small memory, so that it wraps often. */
import { struct, u32 } from '../../src/base/layout.ts';

export const Request = struct('struct test_request', { id: u32, value: u32, pad: u32 });
export const Response = struct('struct test_response', { id: u32, value: u32 });
export const messages = { request: Request, response: Response };

export const SLOTS = 8;
/** A little more than needed: the ring takes the largest power of two of slots. */
export const ringMemory = () => new Uint8Array(64 + SLOTS * Request.size + 20);

/** Writes a message's fields into a buffer made once. */
export function requestBuffer() {
  const bytes = new Uint8Array(Request.size);
  return { bytes, view: Request.view(bytes) };
}

export function responseBuffer() {
  const bytes = new Uint8Array(Response.size);
  return { bytes, view: Response.view(bytes) };
}
