/** A console's log where what it stands on fails. */
import { expect, test } from 'vitest';
import { latin1Encode } from '../../src/base/bytes.ts';
import { logTo } from '../../src/base/log.ts';
import { SimWorld } from '../../src/hypervisor/sim/world.ts';
import { GuestLog } from '../../src/xenconsoled/guest-log.ts';
import { LogScribe } from '../../src/xenconsoled/log-style.ts';
import { FakeFile, FakeLog } from './console-host.ts';

const STYLE = { format: 'text', timestamps: false, replaceEscape: false } as const;

function openLog(file: FakeLog, note: { text: string; write: (text: string) => void }) {
  const lines: string[] = [];
  const { clock } = new SimWorld({ seed: 1 });
  const parts = {
    openFile: async () => ({ file, scribe: new LogScribe(STYLE, clock, {}) }),
    note: { read: () => note.text, write: note.write, close: () => {}, discard: () => {} },
    clock,
    log: logTo((level, message) => lines.push(`${level} ${message}`)),
    onClose: () => {},
  };
  return { lines, opened: GuestLog.open(parts, 7) };
}

test('a note that cannot be written costs one line of the daemon, and nothing of the log', async () => {
  const file = new FakeLog();
  let fails = true;
  const write = () => {
    if (fails) throw new Error('ENOSPC');
  };
  const { lines, opened } = openLog(file, { text: '', write });
  const log = await opened;
  const take = (index: number) => log.take(index, latin1Encode('x'), () => {});
  for (let index = 0; index < 10; index++) take(index);
  expect(lines).toEqual(['warn cannot note how far the log is']);
  fails = false;
  take(10);
  fails = true;
  take(11);
  expect(lines.length).toBe(2);
  expect(file.content).toBe('x'.repeat(12));
  await log.close(true);
});

test('a log that cannot be cut back is written all the same', async () => {
  class AppendOnly extends FakeLog {
    override cutBack(): void {
      throw new Error('EPERM');
    }
  }
  const file = new FakeFile();
  file.content = 'one two ';
  const { lines, opened } = openLog(new AppendOnly(file), { text: '7 4', write: () => {} });
  const log = await opened;
  log.take(7, latin1Encode('two '), () => {});
  expect(lines).toEqual(['warn cannot take a batch back']);
  expect(file.content).toBe('one two two ');
  await log.close(true);
});
