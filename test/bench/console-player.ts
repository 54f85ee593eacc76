/**
 * Sits at a guest's console in dom0, as `xl console` does, and measures. Arguments: the pty, how
 * many keys to type, how many lines to have printed, the daemon's pid. Prints JSON.
 */
import { closeSync, constants, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { printLines } from '../xen/console-flood.ts';
import { median } from './rounds.ts';

const [tty = '', keys = '', lines = '', pid = ''] = process.argv.slice(2);

/** So that the rate limit of both daemons, 30 events in 200 ms, is not what is measured. */
const PAUSE_MS = 60;
/** `sysconf(_SC_CLK_TCK)` of every Linux on x86. */
const TICK_MS = 10;

const fd = openSync(tty, constants.O_RDWR | constants.O_NOCTTY);
const chunk = Buffer.alloc(65536);

/** What was read after the text that was waited for. */
let ahead = '';

/** Reads on until `text` has come. Returns how many bytes that took, with it. */
function readUntil(text: string): number {
  let bytes = 0;
  for (;;) {
    const at = ahead.indexOf(text);
    if (at >= 0) {
      const end = at + text.length;
      ahead = ahead.slice(end);
      return bytes + end;
    }
    // The text may come in two pieces.
    const done = Math.max(0, ahead.length - text.length);
    bytes += done;
    const length = readSync(fd, chunk);
    ahead = ahead.slice(done) + chunk.toString('latin1', 0, length);
  }
}

/** User and system time of the daemon. */
function cpu_ms(): number {
  const [, rest = ''] = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ');
  const fields = rest.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

writeSync(fd, 'echo rea"dy"\r');
readUntil('ready');
readUntil('guest# ');
const latencies: number[] = [];
for (let n = 0; n < Number(keys); n++) {
  await sleep(PAUSE_MS);
  const start_ms = performance.now();
  writeSync(fd, 'x');
  readUntil('x');
  latencies.push(performance.now() - start_ms);
}
// Ctrl-U takes the line back.
writeSync(fd, `\x15${printLines(Number(lines))}; echo fin"ished"\r`);
readUntil('\r\n');
const cpuBefore_ms = cpu_ms();
const start_ms = performance.now();
const bytes = readUntil('finished');
const duration_ms = performance.now() - start_ms;
process.stdout.write(
  JSON.stringify({
    latency_ms: median(latencies),
    bytes,
    duration_ms,
    cpu_ms: cpu_ms() - cpuBefore_ms,
  }),
);
closeSync(fd);
