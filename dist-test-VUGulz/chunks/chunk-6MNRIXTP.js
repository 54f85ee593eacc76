import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  latin1Decode,
  latin1Encode
} from "./chunk-HVXLNJDG.js";
import {
  struct,
  u16,
  u8
} from "./chunk-WRZEEFDO.js";
import {
  ProtocolViolation
} from "./chunk-4IU4G7QT.js";

// src/base/ascii-json.ts
function asciiJson(value) {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
  );
}

// src/console/viewer-protocol.ts
var VIEWER_ATTACH = 1;
var VIEWER_INPUT = 2;
var VIEWER_WINDOW = 3;
var VIEWER_ATTACHED = 16;
var VIEWER_OUTPUT = 17;
var VIEWER_REFUSED = 18;
var VIEWER_ENDED = 19;
var FrameHeader = struct("frame header", { type: u8, reserved: u8, length: u16 });
var FRAME_PAYLOAD_MAX = 4096;
var FRAME_SIZE_MAX = FrameHeader.size + FRAME_PAYLOAD_MAX;
function frame(type, payload) {
  if (payload.length > FRAME_PAYLOAD_MAX) {
    throw new RangeError(`a frame has at most ${FRAME_PAYLOAD_MAX} bytes, not ${payload.length}`);
  }
  const bytes = new Uint8Array(FrameHeader.size + payload.length);
  const header = FrameHeader.view(bytes);
  header.type = type;
  header.length = payload.length;
  bytes.set(payload, FrameHeader.size);
  return bytes;
}
function jsonFrame(type, value) {
  return frame(type, latin1Encode(asciiJson(value)));
}
function violation(rule, detail) {
  return new ProtocolViolation("read a viewer frame", `viewer: ${rule}`, detail);
}
function parseJson(payload) {
  let value;
  try {
    value = JSON.parse(latin1Decode(payload));
  } catch {
    throw violation("the payload is JSON", latin1Decode(payload, 0, Math.min(32, payload.length)));
  }
  if (typeof value === "object" && value !== null) return value;
  throw violation("the payload is an object", typeof value);
}
function wholeNumber(fields, name, max) {
  const value = fields[name];
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= max) {
    return value;
  }
  throw violation(`${name} is an integer from 0 to ${max}`, String(value));
}
function parseAttach(payload) {
  const fields = parseJson(payload);
  return {
    domid: wholeNumber(fields, "domid", 32751),
    console: wholeNumber(fields, "console", 65535),
    readOnly: fields.readOnly === true,
    scrollback: wholeNumber(fields, "scrollback", Number.MAX_SAFE_INTEGER)
  };
}
function parseWindow(payload) {
  const fields = parseJson(payload);
  return {
    columns: wholeNumber(fields, "columns", 65535),
    rows: wholeNumber(fields, "rows", 65535)
  };
}
var FrameReader = class {
  stream;
  bytes = new Uint8Array(FRAME_SIZE_MAX);
  header = FrameHeader.view(this.bytes);
  filled = 0;
  constructor(stream) {
    this.stream = stream;
  }
  /** The next frame, if it is there as a whole. Throws `ProtocolViolation` for one that is too long. */
  next() {
    if (!this.fill(FrameHeader.size)) return void 0;
    const { type, length } = this.header;
    if (length > FRAME_PAYLOAD_MAX) {
      throw violation(`a payload has at most ${FRAME_PAYLOAD_MAX} bytes`, String(length));
    }
    if (!this.fill(FrameHeader.size + length)) return void 0;
    this.filled = 0;
    return { type, payload: this.bytes.subarray(FrameHeader.size, FrameHeader.size + length) };
  }
  fill(needed) {
    while (this.filled < needed) {
      const length = this.stream.read(this.bytes.subarray(this.filled, needed));
      if (length === 0) return false;
      this.filled += length;
    }
    return true;
  }
};

export {
  asciiJson,
  VIEWER_ATTACH,
  VIEWER_INPUT,
  VIEWER_WINDOW,
  VIEWER_ATTACHED,
  VIEWER_OUTPUT,
  VIEWER_REFUSED,
  VIEWER_ENDED,
  FRAME_PAYLOAD_MAX,
  frame,
  jsonFrame,
  parseJson,
  parseAttach,
  parseWindow,
  FrameReader
};
//# sourceMappingURL=chunk-6MNRIXTP.js.map
