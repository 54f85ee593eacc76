/** A pipe with a name: one descriptor that reads what was written to it, and can be polled. */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export function openFifo(): { fd: number; close(): void } {
  const directory = mkdtempSync(join(tmpdir(), 'paravane-fifo-'));
  const path = join(directory, 'fifo');
  execFileSync('/usr/bin/mkfifo', [path]);
  // Linux lets a named pipe be opened at both ends at once.
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  return {
    fd,
    close: () => {
      closeSync(fd);
      rmSync(directory, { recursive: true });
    },
  };
}
