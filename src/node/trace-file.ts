/** The file that xenstored traces to. */
import { appendFileSync, closeSync, openSync, writeSync } from 'node:fs';
import { errorMessage, XenError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { TraceFile } from '../xenstored/trace.ts';

/** A trace that nobody has opened yet; `path` is where it goes unless told otherwise. */
export function traceFile(path: string | undefined, log: Log): TraceFile {
  let current = path;
  let fd: number | undefined;
  const close = () => {
    if (fd !== undefined) closeSync(fd);
    fd = undefined;
  };
  return {
    open(other) {
      const next = other ?? current;
      if (next === undefined) throw new XenError('EINVAL', 'trace', 'no file was ever named');
      try {
        const opened = openSync(next, 'a', 0o644);
        close();
        fd = opened;
        current = next;
      } catch (error) {
        throw new XenError('EIO', `open the trace file ${next}`, errorMessage(error), error);
      }
    },
    close,
    get isOpen() {
      return fd !== undefined;
    },
    write(line) {
      if (fd === undefined) return;
      try {
        writeSync(fd, `${line}\n`, null, 'latin1');
      } catch (error) {
        // A trace that cannot be kept must not keep xenstored from serving.
        log.error('the trace ends', { path: current, error: errorMessage(error) });
        close();
      }
    },
    append(other, text) {
      try {
        appendFileSync(other, text, 'latin1');
      } catch (error) {
        throw new XenError('EIO', `write ${other}`, errorMessage(error), error);
      }
    },
  };
}
