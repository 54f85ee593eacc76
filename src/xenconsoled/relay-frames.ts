/**
 * What a console daemon in a domain of its own and the relay in dom0 say to each other: frames, many
 * channels on one stream. A channel is a log, a terminal or a viewer, by a number that its opener
 * chooses: the daemon odd ones, the relay even ones.
 */
import { asciiJson } from '../base/ascii-json.ts';
import { unreachable } from '../base/assert.ts';
import { joinBytes, latin1Decode, latin1Encode } from '../base/bytes.ts';
import { FRAME_PAYLOAD_MAX, type Frame, FrameProtocol, frame } from '../base/frames.ts';
import { DOMID_FIRST_RESERVED, type DomId, domId } from '../base/ids.ts';
import { struct, u8, u16, u32 } from '../base/layout.ts';
import type { LogFields, LogLevel } from '../base/log.ts';

/** Both ends begin with it; they must say the same. */
export const RELAY_VERSION = 1;

/** Violations name it. */
export const RELAY_PROTOCOL = new FrameProtocol('relay');

export type ChannelKind = 'log' | 'terminal' | 'viewer';

export type RelayMessage =
  /** Both, first of all. */
  | { readonly type: 'hello'; readonly version: number }
  /**
   * Opens a channel. The daemon opens logs and terminals; `index` is where in the guest's ring the
   * first byte stands that is not known to be stored. The relay opens viewers, of domain 0 and index 0.
   */
  | {
      readonly type: 'open';
      readonly channel: number;
      readonly kind: ChannelKind;
      readonly domid: DomId;
      readonly index: number;
    }
  /** Relay: the log or the terminal is there; of a terminal, where. */
  | { readonly type: 'opened'; readonly channel: number; readonly path: string }
  /** Relay: there can be no such terminal. The channel is closed with that. */
  | { readonly type: 'refused'; readonly channel: number; readonly reason: string }
  /** Either end of a terminal or a viewer: bytes, no more than the other has given credit for. */
  | { readonly type: 'data'; readonly channel: number; readonly bytes: Uint8Array }
  /** Either end: so many bytes more may come. Both begin with `STREAM_WINDOW`. */
  | { readonly type: 'credit'; readonly channel: number; readonly count: number }
  /** Each end once: nothing comes any more. Of a log `isOver` says that the guest is gone. */
  | { readonly type: 'close'; readonly channel: number; readonly isOver: boolean }
  /** Daemon: what stands in the guest's ring from `index` on, for its log. */
  | {
      readonly type: 'batch';
      readonly channel: number;
      readonly index: number;
      readonly bytes: Uint8Array;
    }
  /** Relay: the last batch is in the log, or the log will never have it. The next one may come. */
  | { readonly type: 'stored'; readonly channel: number }
  /** Daemon: the batches that were stored have left the ring. */
  | { readonly type: 'rest'; readonly channel: number }
  /** Daemon: how large the window is in which the guest's console is looked at. */
  | {
      readonly type: 'window';
      readonly domid: DomId;
      readonly columns: number;
      readonly rows: number;
    }
  /** Daemon: a line of its own log. */
  | {
      readonly type: 'line';
      readonly level: LogLevel;
      readonly message: string;
      readonly fields: LogFields;
    };

/** Bytes that an end of a terminal or a viewer takes before it gives credit for more. */
export const STREAM_WINDOW = 16_384;

const NUMBERS: Readonly<Record<RelayMessage['type'], number>> = {
  hello: 1,
  open: 2,
  opened: 3,
  refused: 4,
  data: 5,
  credit: 6,
  close: 7,
  batch: 8,
  stored: 9,
  rest: 10,
  window: 11,
  line: 12,
};
const TYPES = new Map(
  (Object.keys(NUMBERS) as RelayMessage['type'][]).map((type) => [NUMBERS[type], type]),
);

const KINDS: readonly ChannelKind[] = ['log', 'terminal', 'viewer'];
const LEVELS: readonly LogLevel[] = ['error', 'warn', 'info', 'debug'];

/** What each payload begins with that is not JSON; `value` means what the type makes of it. */
const Head = struct('relay frame', { channel: u32, value: u32 });
/** What follows it in a frame that opens a channel. */
const Guest = struct('relay guest', { domid: u16, kind: u8, reserved: u8 });

/** Bytes that fit into one frame of data or of a batch. */
export const RELAY_BYTES_MAX = FRAME_PAYLOAD_MAX - Head.size;
/** A console's limit of a message, so that its line always fits into a frame. */
const TEXT_MAX = 1000;
const FIELDS_MAX = 16;

const NOTHING: Uint8Array = new Uint8Array(0);

function payload(channel: number, value: number, rest = NOTHING): Uint8Array {
  const bytes = new Uint8Array(Head.size);
  const head = Head.view(bytes);
  head.channel = channel;
  head.value = value;
  return joinBytes(bytes, rest);
}

function guestBytes(domid: DomId, kind: ChannelKind): Uint8Array {
  const bytes = new Uint8Array(Guest.size);
  const guest = Guest.view(bytes);
  guest.domid = domid;
  guest.kind = KINDS.indexOf(kind);
  return bytes;
}

/** Text for people, shortened to what surely fits, whatever is in it. */
const shortText = (text: string) => text.slice(0, TEXT_MAX).replace(/[^ -~]/g, '?');

function lineJson(level: LogLevel, message: string, fields: LogFields): string {
  const some: [string, unknown][] = [];
  for (const [name, value] of Object.entries(fields).slice(0, FIELDS_MAX)) {
    some.push([shortText(name).slice(0, 32), typeof value === 'string' ? shortText(value) : value]);
  }
  const whole = asciiJson({ level, message: shortText(message), fields: Object.fromEntries(some) });
  // Few lines are as long; of those the message is what matters.
  if (whole.length <= FRAME_PAYLOAD_MAX) return whole;
  return asciiJson({ level, message: shortText(message), fields: {} });
}

function payloadOf(message: RelayMessage): Uint8Array {
  switch (message.type) {
    case 'hello':
      return payload(0, message.version);
    case 'open':
      return payload(message.channel, message.index, guestBytes(message.domid, message.kind));
    case 'opened':
      return payload(message.channel, 0, latin1Encode(message.path));
    case 'refused':
      return payload(message.channel, 0, latin1Encode(shortText(message.reason)));
    case 'data':
      return payload(message.channel, 0, message.bytes);
    case 'credit':
      return payload(message.channel, message.count);
    case 'close':
      return payload(message.channel, message.isOver ? 1 : 0);
    case 'batch':
      return payload(message.channel, message.index, message.bytes);
    case 'stored':
    case 'rest':
      return payload(message.channel, 0);
    case 'window': {
      const { domid, columns, rows } = message;
      return latin1Encode(asciiJson({ domid, columns, rows }));
    }
    case 'line':
      return latin1Encode(lineJson(message.level, message.message, message.fields));
    default:
      return unreachable(message);
  }
}

/** Throws `RangeError` for what is longer than a frame. */
export function relayFrame(message: RelayMessage): Uint8Array {
  return frame(NUMBERS[message.type], payloadOf(message));
}

function parseOpen(channel: number, index: number, rest: Uint8Array): RelayMessage {
  if (rest.length !== Guest.size) {
    throw RELAY_PROTOCOL.violation(`a guest is ${Guest.size} bytes`, String(rest.length));
  }
  const { domid, kind } = Guest.view(rest);
  const known = KINDS[kind];
  if (known === undefined) {
    throw RELAY_PROTOCOL.violation('a channel is a log, a terminal or a viewer', String(kind));
  }
  if (domid >= DOMID_FIRST_RESERVED) {
    throw RELAY_PROTOCOL.violation('a domid is below 0x7ff0', String(domid));
  }
  return { type: 'open', channel, kind: known, domid: domId(domid), index };
}

function parseWindow(bytes: Uint8Array): RelayMessage {
  const fields = RELAY_PROTOCOL.parseJson(bytes);
  const number = (name: string, max: number) => RELAY_PROTOCOL.wholeNumber(fields, name, max);
  return {
    type: 'window',
    domid: domId(number('domid', DOMID_FIRST_RESERVED - 1)),
    columns: number('columns', 0xffff),
    rows: number('rows', 0xffff),
  };
}

function parseLine(bytes: Uint8Array): RelayMessage {
  const { level, message, fields } = RELAY_PROTOCOL.parseJson(bytes);
  const known = LEVELS.find((one) => one === level);
  if (known === undefined || typeof message !== 'string') {
    throw RELAY_PROTOCOL.violation('a line has a level and a message', JSON.stringify(level));
  }
  const kept: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(typeof fields === 'object' ? { ...fields } : {})) {
    const isText = typeof value === 'string';
    if (isText) kept[shortText(name)] = shortText(value);
    else if (typeof value === 'number' || typeof value === 'boolean') kept[shortText(name)] = value;
  }
  return { type: 'line', level: known, message: shortText(message), fields: kept };
}

function parseWithHead(type: RelayMessage['type'], bytes: Uint8Array): RelayMessage {
  if (bytes.length < Head.size) {
    throw RELAY_PROTOCOL.violation(`${type} has at least ${Head.size} bytes`, String(bytes.length));
  }
  const { channel, value } = Head.view(bytes);
  const rest = bytes.subarray(Head.size);
  switch (type) {
    case 'hello':
      return { type, version: value };
    case 'open':
      return parseOpen(channel, value, rest);
    case 'opened':
      return { type, channel, path: latin1Decode(rest) };
    case 'refused':
      return { type, channel, reason: shortText(latin1Decode(rest)) };
    case 'data':
      return { type, channel, bytes: rest };
    case 'credit':
      return { type, channel, count: value };
    case 'close':
      return { type, channel, isOver: value !== 0 };
    case 'batch':
      return { type, channel, index: value, bytes: rest };
    case 'stored':
    case 'rest':
      return { type, channel };
    default:
      throw RELAY_PROTOCOL.violation('the type has a channel', type);
  }
}

/**
 * What a frame says; its bytes are a window onto those of the frame. Throws `ProtocolViolation` for
 * what is no message.
 */
export function parseRelayFrame({ type, payload: bytes }: Frame): RelayMessage {
  const known = TYPES.get(type);
  if (known === undefined) throw RELAY_PROTOCOL.violation('the type is known', String(type));
  if (known === 'window') return parseWindow(bytes);
  if (known === 'line') return parseLine(bytes);
  return parseWithHead(known, bytes);
}
