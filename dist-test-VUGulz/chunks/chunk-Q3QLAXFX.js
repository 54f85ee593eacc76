import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  XenError,
  errorCode,
  errorMessage
} from "./chunk-4IU4G7QT.js";

// src/node/daemon.ts
import { spawn } from "node:child_process";
import { closeSync, fstatSync, openSync, readFileSync, unlinkSync, writeSync } from "node:fs";
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === "EPERM";
  }
}
function holderOf(path) {
  const pid = Number.parseInt(readFileSync(path, "latin1"), 10);
  return Number.isInteger(pid) && pid > 0 && pid !== process.pid && isAlive(pid) ? pid : void 0;
}
function writePidFile(path) {
  let file;
  try {
    file = openSync(path, "wx", 420);
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw error;
    const holder = holderOf(path);
    if (holder !== void 0) {
      throw new XenError("EBUSY", `write pid file ${path}`, `process ${holder} runs already`);
    }
    file = openSync(path, "w", 420);
  }
  writeSync(file, `${process.pid}
`);
  closeSync(file);
  let removed = false;
  return () => {
    if (removed) return;
    removed = true;
    unlinkSync(path);
  };
}
function endSignal(log) {
  return new Promise((resolve) => {
    let seen = false;
    const onSignal = (signal) => {
      if (seen) process.exit(130);
      seen = true;
      log.info("ending", { signal });
      resolve(signal);
    };
    process.on("SIGINT", onSignal);
    process.on("SIGTERM", onSignal);
  });
}
var READY_CHANNEL = "PARAVANE_READY_CHANNEL";
function writtenSince(path, start) {
  return readFileSync(path).subarray(start).toString("utf8").trim();
}
function startInBackground(args, logFile) {
  const script = process.argv[1];
  if (script === void 0) throw new Error("a program without a script has no background");
  const log = openLog(logFile);
  const logStart = fstatSync(log).size;
  const child = spawn(process.execPath, [...process.execArgv, script, ...args], {
    detached: true,
    stdio: ["ignore", "ignore", log, "ipc"],
    env: { ...process.env, [READY_CHANNEL]: "1" }
  });
  closeSync(log);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", () => {
      const said = writtenSince(logFile, logStart).replace(/^paravane: /, "");
      reject(new XenError("EIO", "start in the background", said));
    });
    child.once("message", () => {
      child.removeAllListeners("exit");
      child.disconnect();
      child.unref();
      resolve(child.pid);
    });
  });
}
function openLog(path) {
  try {
    return openSync(path, "a", 420);
  } catch (error) {
    throw new XenError("EIO", `open the log ${path}`, errorMessage(error), error);
  }
}
function announceReady() {
  if (process.env[READY_CHANNEL] === void 0 || process.send === void 0) return;
  delete process.env[READY_CHANNEL];
  process.send("ready", () => process.disconnect?.());
}

export {
  writePidFile,
  endSignal,
  startInBackground,
  announceReady
};
//# sourceMappingURL=chunk-Q3QLAXFX.js.map
