/** `xenstore-control`: what an operator asks xenstored itself. */
import { XenError } from '../base/errors.ts';
import { encodeStrings, OK_PAYLOAD, PAYLOAD_MAX } from '../xenstore/packet.ts';
import { refuseArguments } from './control-arguments.ts';
import { showActivity, showTransactions, showWatches } from './control-inspection.ts';
import { liveUpdate } from './control-live-update.ts';
import { QUOTA_SOFT_TAKES, QUOTA_TAKES, quota, softQuota } from './control-quota.ts';
import type { Request } from './request.ts';
import { isTraceSwitch, TRACE_SWITCHES } from './trace.ts';

const ACTIVITY_TAKES = '[<first domid>]';
const LOG_TAKES = '[on|off|+<switch>|-<switch>]';
/** Bytes of the first line of an answer to `trace`. */
const TRACE_HEAD_MAX = 64;

interface Command {
  /** What `help` says that it takes. */
  readonly takes: string;
  /** `undefined` when the reply comes later. */
  readonly run: (request: Request, args: readonly string[]) => Uint8Array | undefined;
}

/** What takes memory, for the operator to read. */
function memoryReport(request: Request): string {
  const { store } = request;
  const domains = [...store.domains].map(({ domid, account }) => {
    return `domain ${domid}: ${account.memory} bytes, ${account.nodes} nodes\n`;
  });
  return `${store.tree.size} nodes, ${store.watches.count} watches\n${domains.join('')}`;
}

function writeMemoryReport(request: Request, args: readonly string[]): Uint8Array {
  if (args.length > 1) refuseArguments('memreport', COMMANDS.memreport?.takes ?? '');
  const { file } = request.services.trace;
  const [path] = args;
  const report = memoryReport(request);
  if (file !== undefined && path !== undefined) file.append(path, report);
  else if (file?.isOpen) file.write(report);
  else throw new XenError('EBADF', 'control memreport', 'there is no file to write to');
  return OK_PAYLOAD;
}

/** Lines of the trace from the number given on; the first line of the answer has the number for next time. */
function showTrace(request: Request, args: readonly string[]): Uint8Array {
  const [from] = args;
  if (args.length > 1 || (from !== undefined && !/^\d{1,15}$/.test(from))) {
    refuseArguments('trace', COMMANDS.trace?.takes ?? '');
  }
  const room = PAYLOAD_MAX - TRACE_HEAD_MAX;
  const { recent } = request.services.trace;
  const part = recent.read(from === undefined ? undefined : Number(from), room);
  const lines = part.lines.map((line) => `${line}\n`).join('');
  return encodeStrings(`trace ${part.next} ${part.lost}\n${lines}`);
}

/** Switches the trace file on and off, and what is written to it. */
function logSwitches(request: Request, args: readonly string[]): Uint8Array {
  const { trace } = request.services;
  const [word] = args;
  if (word === undefined) {
    const lines = TRACE_SWITCHES.map(
      (name) => `${name.padEnd(8)}: ${trace.isOn(name) ? 'on' : 'off'}\n`,
    );
    return encodeStrings(`Log switch settings:\n${lines.join('')}`);
  }
  const name = word.slice(1);
  if (args.length > 1) refuseArguments('log', LOG_TAKES);
  else if (word === 'on') trace.file?.open();
  else if (word === 'off') trace.file?.close();
  else if (/^[+-]/.test(word) && isTraceSwitch(name)) trace.turn(name, word.startsWith('+'));
  else refuseArguments('log', LOG_TAKES);
  return OK_PAYLOAD;
}

/** In the order of `help`, which is C's; then those of oxenstored, and ours. */
const COMMANDS: Readonly<Record<string, Command>> = {
  check: {
    takes: '',
    run: (request, args) => {
      if (args.length > 0) refuseArguments('check', '');
      const findings = request.store.check();
      request.services.log.info('checked the store', { findings });
      return OK_PAYLOAD;
    },
  },
  log: {
    takes: LOG_TAKES,
    run: logSwitches,
  },
  'live-update': {
    takes: '[-c <cmdline>] [-F] [-t <timeout>] <file>',
    run: liveUpdate,
  },
  logfile: {
    takes: '<file>',
    run: (request, args) => {
      const [path] = args;
      if (args.length !== 1 || path === undefined) refuseArguments('logfile', '<file>');
      request.services.trace.file?.close();
      request.services.trace.file?.open(path);
      return OK_PAYLOAD;
    },
  },
  memreport: { takes: '[<file>]', run: writeMemoryReport },
  print: {
    takes: '<string>',
    run: (request, args) => {
      if (args.length !== 1) refuseArguments('print', '<string>');
      request.services.log.info(`control: ${args[0]}`);
      return OK_PAYLOAD;
    },
  },
  quota: { takes: QUOTA_TAKES, run: quota },
  'quota-soft': { takes: QUOTA_SOFT_TAKES, run: softQuota },
  watches: {
    takes: '',
    run: (request, args) => {
      if (args.length > 0) refuseArguments('watches', '');
      return showWatches(request);
    },
  },
  txn: {
    takes: '<domid>',
    run: (request, args) => {
      const [domid] = args;
      if (args.length !== 1 || domid === undefined) refuseArguments('txn', '<domid>');
      return showTransactions(request, domid);
    },
  },
  activity: {
    takes: ACTIVITY_TAKES,
    run: (request, args) => {
      const [from = '0'] = args;
      if (args.length > 1 || !/^\d{1,5}$/.test(from)) refuseArguments('activity', ACTIVITY_TAKES);
      return showActivity(request, Number(from));
    },
  },
  trace: { takes: '[<number>]', run: showTrace },
  help: {
    takes: '',
    run: (_request, args) => {
      if (args.length > 0) refuseArguments('help', '');
      const lines = Object.entries(COMMANDS).map(([name, { takes }]) => `${name}\t${takes}\n`);
      return encodeStrings(lines.join(''));
    },
  },
};

export function control(request: Request): Uint8Array | undefined {
  const [name = '', ...args] = request.strings(1);
  const command = Object.entries(COMMANDS).find(([known]) => known === name)?.[1];
  if (command === undefined) throw new XenError('EINVAL', 'control', 'no command of that name');
  return command.run(request, args);
}
