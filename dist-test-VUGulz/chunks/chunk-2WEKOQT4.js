import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  ByteRingReader,
  ByteRingWriter,
  StreamEnd
} from "./chunk-CENJH6II.js";

// src/abi/grant_table.ts
var GNTTAB_NR_RESERVED_ENTRIES = 8;
var GNTTAB_RESERVED_CONSOLE = 0;
var GNTTAB_RESERVED_XENSTORE = 1;
var GNTST_okay = 0;
var GNTST_general_error = -1;
var GNTST_bad_domain = -2;
var GNTST_bad_gntref = -3;

// src/ring/ring-stream.ts
var RingStream = class {
  reader;
  writer;
  channel;
  letGo;
  handler = () => {
  };
  end = new StreamEnd(() => this.handler());
  keepsInput;
  kept = 0;
  notifyOwed = false;
  constructor(parts) {
    this.reader = new ByteRingReader(parts.incoming);
    this.writer = new ByteRingWriter(parts.outgoing);
    this.channel = parts.channel;
    this.letGo = parts.release;
    this.keepsInput = parts.keepsInput ?? false;
  }
  /** Bytes that were read and are still in the ring. */
  get taken() {
    return this.kept;
  }
  /** Takes what was read out of the ring. */
  release() {
    const { kept } = this;
    this.kept = 0;
    if (kept === 0 || this.ended) return;
    try {
      this.reader.skip(kept);
      this.moved(kept);
    } catch (error) {
      this.end.fail(error);
    }
  }
  read(target) {
    if (this.ended) return 0;
    try {
      if (!this.keepsInput) return this.moved(this.reader.read(target));
      const length = this.reader.peek(target, this.kept);
      this.kept += length;
      return length;
    } catch (error) {
      return this.end.fail(error);
    }
  }
  write(source) {
    if (this.ended) return 0;
    try {
      return this.moved(this.writer.write(source));
    } catch (error) {
      return this.end.fail(error);
    }
  }
  /** Calls `handler` once soon, too: a signal from before this end existed may have been lost. */
  onReady(handler) {
    this.handler = handler;
    if (this.end.closed) return;
    this.channel.onEvent(() => this.end.wake());
    this.end.wakeSoon();
  }
  /**
   * True after the peer broke a rule of the ring, when `error` says which, and after `close`.
   * A domain that goes away leaves no trace in its ring: whoever learns of it closes the stream.
   */
  get ended() {
    return this.end.over;
  }
  /** Why the stream ended by itself: a `ProtocolViolation`, or the binding's refusal to notify. */
  get error() {
    return this.end.error;
  }
  close() {
    if (this.end.closed) return;
    this.settleNotify();
    this.end.close();
    this.channel.close();
    this.letGo?.();
  }
  moved(length) {
    if (length > 0 && !this.notifyOwed) {
      this.notifyOwed = true;
      void Promise.resolve().then(() => this.settleNotify());
    }
    return length;
  }
  settleNotify() {
    if (!this.notifyOwed || this.channel.closed) return;
    this.notifyOwed = false;
    try {
      this.channel.notify();
    } catch (error) {
      this.end.fail(error);
    }
  }
};

export {
  GNTTAB_NR_RESERVED_ENTRIES,
  GNTTAB_RESERVED_CONSOLE,
  GNTTAB_RESERVED_XENSTORE,
  GNTST_okay,
  GNTST_general_error,
  GNTST_bad_domain,
  GNTST_bad_gntref,
  RingStream
};
//# sourceMappingURL=chunk-2WEKOQT4.js.map
