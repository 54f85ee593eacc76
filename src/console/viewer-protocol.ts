/**
 * What a viewer and the console daemon say to each other over a byte stream: frames of four bytes
 * and a payload. The viewer begins with ATTACH; the daemon answers ATTACHED or REFUSED, and from
 * then on sends output and takes input, until one of them ends the stream.
 */
import { asciiJson } from '../base/ascii-json.ts';
import { latin1Encode } from '../base/bytes.ts';
import { FrameProtocol, frame } from '../base/frames.ts';
import type { WindowSize } from './window-size.ts';

/** Viewer: JSON, an `AttachRequest`. */
export const VIEWER_ATTACH = 1;
/** Viewer: what was typed. */
export const VIEWER_INPUT = 2;
/** Viewer: JSON, a `WindowSize`. */
export const VIEWER_WINDOW = 3;
/** Daemon: JSON, an `AttachReply`. */
export const VIEWER_ATTACHED = 16;
/** Daemon: what the guest printed. */
export const VIEWER_OUTPUT = 17;
/** Daemon: JSON, a `Farewell`: there is nothing to attach to. */
export const VIEWER_REFUSED = 18;
/** Daemon: JSON, a `Farewell`: the console is over. */
export const VIEWER_ENDED = 19;

export interface AttachRequest {
  readonly domid: number;
  /** 0 for the first console, N for `device/console/N`. */
  readonly console: number;
  readonly readOnly: boolean;
  /** How many bytes of earlier output to begin with, at most. */
  readonly scrollback: number;
}

export interface AttachReply {
  /** Others who look at the console. */
  readonly otherViewers: number;
}

export interface Farewell {
  readonly reason: string;
}

/** Violations name it. */
export const VIEWER_PROTOCOL = new FrameProtocol('viewer');

/** A frame whose payload is JSON, in ASCII. */
export function jsonFrame(
  type: number,
  value: AttachRequest | AttachReply | WindowSize | Farewell,
): Uint8Array {
  return frame(type, latin1Encode(asciiJson(value)));
}

/** Throws `ProtocolViolation` for what is no request. */
export function parseAttach(payload: Uint8Array): AttachRequest {
  const fields = VIEWER_PROTOCOL.parseJson(payload);
  return {
    domid: VIEWER_PROTOCOL.wholeNumber(fields, 'domid', 0x7fef),
    console: VIEWER_PROTOCOL.wholeNumber(fields, 'console', 0xffff),
    readOnly: fields.readOnly === true,
    scrollback: VIEWER_PROTOCOL.wholeNumber(fields, 'scrollback', Number.MAX_SAFE_INTEGER),
  };
}

/** Throws `ProtocolViolation` for what is no size. */
export function parseWindow(payload: Uint8Array): WindowSize {
  const fields = VIEWER_PROTOCOL.parseJson(payload);
  return {
    columns: VIEWER_PROTOCOL.wholeNumber(fields, 'columns', 0xffff),
    rows: VIEWER_PROTOCOL.wholeNumber(fields, 'rows', 0xffff),
  };
}
