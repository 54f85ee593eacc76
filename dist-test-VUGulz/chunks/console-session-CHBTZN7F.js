import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  FRAME_PAYLOAD_MAX,
  FrameReader,
  VIEWER_ATTACH,
  VIEWER_ATTACHED,
  VIEWER_ENDED,
  VIEWER_INPUT,
  VIEWER_OUTPUT,
  VIEWER_REFUSED,
  VIEWER_WINDOW,
  frame,
  jsonFrame,
  parseJson
} from "./chunk-6MNRIXTP.js";
import {
  connectUnixSocket,
  nodeClock,
  socketStream
} from "./chunk-A4XA7GZ3.js";
import {
  sleep
} from "./chunk-HVXLNJDG.js";
import "./chunk-WRZEEFDO.js";
import {
  XenError,
  errorCode
} from "./chunk-4IU4G7QT.js";
import "./chunk-CEO3U46H.js";

// src/dom0/console-session.ts
import { createWriteStream } from "node:fs";
var RECONNECT_MS = 500;
var UNSENT_MAX = 65536;
var ALL = Number.MAX_SAFE_INTEGER;
var ConsoleSession = class {
  options;
  log;
  daemon;
  frames;
  unsent = new Uint8Array(0);
  attached = false;
  over;
  finish = () => {
  };
  isOver = false;
  constructor(options) {
    this.options = options;
    const { logFile } = options;
    this.log = logFile === void 0 ? void 0 : createWriteStream(logFile, { flags: "a" });
    this.over = new Promise((resolve, reject) => {
      this.finish = (error) => {
        this.isOver = true;
        if (error === void 0) resolve();
        else reject(error);
      };
    });
    this.over.catch(() => {
    });
    this.log?.on("error", (error) => this.finish(error));
  }
  /** Resolves when the person detaches or the console is over. Rejects when it can't be attached to. */
  async run() {
    await this.connect(this.options.request.scrollback);
    const { input, output } = this.options;
    const onInput = (bytes) => this.typed(bytes);
    const onResize = () => this.sendWindow();
    const onRoom = () => this.takeFrames();
    if (input.isTTY) input.setRawMode(true);
    input.on("data", onInput);
    output.on("resize", onResize).on("drain", onRoom);
    try {
      await this.over;
    } finally {
      if (input.isTTY) input.setRawMode(false);
      input.off("data", onInput).pause();
      output.off("resize", onResize).off("drain", onRoom);
      this.daemon?.close();
      this.log?.end();
    }
  }
  async connect(scrollback) {
    const { socket, request } = this.options;
    const daemon = socketStream(await connectUnixSocket(socket, "xenconsoled"));
    this.daemon = daemon;
    this.frames = new FrameReader(daemon);
    this.attached = false;
    this.unsent = new Uint8Array(0);
    this.send(jsonFrame(VIEWER_ATTACH, { ...request, scrollback }));
    daemon.onReady(() => this.daemonReady(daemon));
  }
  daemonReady(daemon) {
    if (this.isOver || daemon !== this.daemon) return;
    this.flush();
    this.takeFrames();
    if (!daemon.ended || this.isOver) return;
    daemon.close();
    this.daemon = void 0;
    this.options.say("the console daemon is gone; waiting for the next");
    void this.reconnect();
  }
  async reconnect() {
    while (!this.isOver && this.daemon === void 0) {
      await sleep(nodeClock, RECONNECT_MS);
      if (this.isOver) return;
      try {
        await this.connect(ALL);
      } catch (error) {
        const code = errorCode(error);
        if (code !== "ENOENT" && code !== "ENOTCONN") this.finish(error);
      }
    }
  }
  /** Shows what has come, as fast as the terminal takes it. */
  takeFrames() {
    while (!this.isOver && !this.options.output.writableNeedDrain) {
      const next = this.frames?.next();
      if (next === void 0) return;
      this.take(next.type, next.payload);
    }
  }
  take(type, payload) {
    switch (type) {
      case VIEWER_OUTPUT: {
        const bytes = payload.slice();
        this.options.output.write(bytes);
        this.log?.write(bytes);
        return;
      }
      case VIEWER_ATTACHED:
        this.attached = true;
        this.welcome(Number(parseJson(payload).otherViewers));
        this.sendWindow();
        return;
      case VIEWER_ENDED:
        this.options.say(String(parseJson(payload).reason));
        this.finish();
        return;
      case VIEWER_REFUSED:
        this.finish(new XenError("ENOTCONN", "attach", String(parseJson(payload).reason)));
        return;
      default:
        this.finish(new XenError("EPROTO", "attach", `frame type ${type} is unknown here`));
    }
  }
  welcome(others) {
    const { request, detachKey, say } = this.options;
    const how = request.readOnly ? "attached, read-only" : "attached";
    const whom = others === 0 ? "" : `; ${others} more look at it`;
    say(`${how}${whom}; ${keyName(detachKey)} detaches`);
  }
  typed(bytes) {
    const detach = bytes.indexOf(this.options.detachKey);
    const keys = detach < 0 ? bytes : bytes.subarray(0, detach);
    if (!this.options.request.readOnly && this.attached) {
      for (let at = 0; at < keys.length; at += FRAME_PAYLOAD_MAX) {
        this.send(frame(VIEWER_INPUT, keys.subarray(at, at + FRAME_PAYLOAD_MAX)));
      }
    }
    if (detach < 0) return;
    this.options.say("detached");
    this.finish();
  }
  sendWindow() {
    const { output, request } = this.options;
    if (!output.isTTY || request.readOnly || !this.attached) return;
    this.send(jsonFrame(VIEWER_WINDOW, { columns: output.columns, rows: output.rows }));
  }
  send(bytes) {
    const all = new Uint8Array(this.unsent.length + bytes.length);
    all.set(this.unsent);
    all.set(bytes, this.unsent.length);
    this.unsent = all;
    this.flush();
    if (this.unsent.length > UNSENT_MAX) this.options.input.pause();
  }
  flush() {
    while (this.daemon !== void 0 && this.unsent.length > 0) {
      const sent = this.daemon.write(this.unsent);
      if (sent === 0) return;
      this.unsent = this.unsent.subarray(sent);
    }
    if (this.attached && this.unsent.length === 0) this.options.input.resume();
  }
};
function keyName(key) {
  return key < 32 ? `Ctrl-${String.fromCharCode(key + 64)}` : String.fromCharCode(key);
}
export {
  ConsoleSession
};
//# sourceMappingURL=console-session-CHBTZN7F.js.map
