/** The domain's own console. */
import { latin1Decode } from '../../base/bytes.ts';
import { type Log, type LogFields, logTo } from '../../base/log.ts';
import type { EventLoop } from './event-loop.ts';
import type { XenObject } from './xen-object.ts';

function fieldsText(fields: LogFields): string {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}=${value}`)
    .join('');
}

/** A log on the console, in lines for people: the time, the level, the message, and its fields. */
export function consoleLog(xen: XenObject): Log {
  return logTo((level, message, fields) => {
    const time = new Date(xen.wallclock_ms()).toISOString();
    xen.print(`${time} ${level} ${message}${fieldsText(fields)}\n`);
  });
}

/** Calls `typed` with every piece of text typed at the console, and keeps the domain alive for it. */
export function onConsoleInput(loop: EventLoop, typed: (text: string) => void): void {
  const { xen } = loop;
  xen.holdConsole(true);
  const listen = () =>
    loop.listen(xen.consolePort, () => {
      const bytes = new Uint8Array(xen.readConsole());
      xen.unmask(xen.consolePort);
      if (bytes.length > 0) typed(latin1Decode(bytes));
    });
  listen();
  loop.onResumed(listen);
}
