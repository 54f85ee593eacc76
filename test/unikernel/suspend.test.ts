/** A domain that is suspended and runs again, on the native build of the engine. */
import { expect, test } from 'vitest';
import { SHUTDOWN_poweroff } from '../../src/abi/sched.ts';
import { type EventAbi, runScript } from './native-stubdom.ts';

/** The engine takes its time to compile when nobody has done it before. */
const LIMIT_MS = 240_000;

/** Shares pages, opens ports, suspends the domain, and says what there is of them. */
const SCRIPT = `
  const COUNT = 1500;
  const ports = () => {
    const opened = Array.from({ length: COUNT }, () => xen.allocateUnbound(xen.domid));
    return opened.map((port) => [port, xen.bindInterdomain(xen.domid, port)]);
  };
  const unused = xen.memory().unused;
  const { buffer, refs } = xen.share(xen.domid, 3, true);
  const page = new Uint8Array(buffer);
  page.set([1, 2, 3]);
  const before = ports();
  const raised = new Set();
  const rung = [];
  xen.listen(
    (port) => {
      raised.add(port);
      xen.unmask(port);
    },
    () => rung.shift()(),
  );
  const soon = (act) => {
    rung.push(act);
    xen.wakeAt(xen.now_ms() + 1);
  };
  const signalAll = (pairs) => {
    raised.clear();
    for (const [opened] of pairs) xen.notify(opened);
  };
  soon(() => {
    const [domid, time] = [xen.domid, xen.now_ms()];
    const result = xen.suspend();
    xen.print('result ' + result + ', later ' + (xen.now_ms() >= time) + '\\n');
    xen.print('another domain ' + (xen.domid !== domid) + '\\n');
    xen.print('memory ' + page.slice(0, 3).join() + '\\n');
    const after = result === 0 ? ports() : before;
    signalAll(after);
    let looks = 0;
    // Timers and events take turns.
    soon(function look() {
      const missing = after.some(([, bound]) => !raised.has(bound));
      if (missing && ++looks < 10000) return soon(look);
      xen.print('raised ' + after.filter(([, bound]) => raised.has(bound)).length + '\\n');
      // A grant of the former domain is nobody's now, and its reference is not given to another page.
      const mapped = xen.map(xen.domid, Uint32Array.from(refs));
      xen.print('granted ' + (typeof mapped !== 'number') + '\\n');
      if (typeof mapped !== 'number') xen.unmap(mapped);
      const more = xen.share(xen.domid, 3, true);
      xen.print('same reference ' + more.refs.some((ref) => refs.includes(ref)) + '\\n');
      const again = xen.map(xen.domid, Uint32Array.from(more.refs));
      xen.print('granted anew ' + (typeof again !== 'number') + '\\n');
      for (const pages of [again, more.buffer, buffer]) xen.unmap(pages);
      for (const pair of after) for (const port of pair) xen.closePort(port);
      xen.print('pages in use ' + (unused - xen.memory().unused) / 4096 + '\\n');
    });
  });
`;

/** A page holds the words of 1024 ports, where there are words. */
const WORD_PAGES: Readonly<Record<EventAbi, number>> = { FIFO: 3, 'two-level': 0 };

test.each<EventAbi>(['FIFO', 'two-level'])(
  'in another domain memory is the same, and all else begins anew: %s',
  async (abi) => {
    const { console, reason } = await runScript(SCRIPT, [], abi);
    expect(console.trim().split('\n')).toEqual([
      'result 0, later true',
      'another domain true',
      'memory 1,2,3',
      'raised 1500',
      'granted false',
      'same reference false',
      'granted anew true',
      `pages in use ${WORD_PAGES[abi]}`,
    ]);
    expect(reason).toBe(SHUTDOWN_poweroff);
  },
  LIMIT_MS,
);

test.each<EventAbi>(['FIFO', 'two-level'])(
  'after a snapshot all goes on: %s',
  async (abi) => {
    const { console, reason } = await runScript(SCRIPT, [], abi, true);
    expect(console.trim().split('\n')).toEqual([
      'result 1, later true',
      'another domain false',
      'memory 1,2,3',
      'raised 1500',
      'granted true',
      'same reference false',
      'granted anew true',
      `pages in use ${WORD_PAGES[abi]}`,
    ]);
    expect(reason).toBe(SHUTDOWN_poweroff);
  },
  LIMIT_MS,
);
