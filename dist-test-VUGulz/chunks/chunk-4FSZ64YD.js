import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  XenError,
  errorCode
} from "./chunk-4IU4G7QT.js";

// src/dom0/image/compiler.ts
import { execFile, execFileSync } from "node:child_process";
import { promisify } from "node:util";
var run = promisify(execFile);
var advice = "scripts/setup installs it";
var OUTPUT_MAX = 1 << 24;
function failure(program, error) {
  if (errorCode(error) === "ENOENT") {
    return new XenError("ENOENT", `run ${program}`, `it is not there; ${advice}`, error);
  }
  const { stderr = "" } = error;
  return new XenError("EIO", `run ${program}`, stderr.trim() || String(error), error);
}
async function runTool(program, args) {
  try {
    return (await run(program, args, { maxBuffer: OUTPUT_MAX })).stdout;
  } catch (error) {
    throw failure(program, error);
  }
}
function runToolNow(program, args) {
  try {
    const stdio = ["ignore", "pipe", "pipe"];
    return execFileSync(program, args, { encoding: "utf8", maxBuffer: OUTPUT_MAX, stdio });
  } catch (error) {
    throw failure(program, error);
  }
}
async function runAll(jobs, width) {
  const waiting = [...jobs];
  const worker = async () => {
    for (let job = waiting.shift(); job !== void 0; job = waiting.shift()) await job();
  };
  await Promise.all(Array.from({ length: width }, worker));
}

export {
  runTool,
  runToolNow,
  runAll
};
//# sourceMappingURL=chunk-4FSZ64YD.js.map
