/** `xenstore-control`: what an operator asks xenstored itself. */
import { XenError } from '../base/errors.ts';
import { encodeStrings, OK_PAYLOAD, PAYLOAD_MAX } from '../xenstore/packet.ts';
import { showTransactions, showWatches } from './control-inspection.ts';
import { liveUpdate } from './control-live-update.ts';
import { HARD_QUOTAS, type NamedQuota, SOFT_QUOTAS } from './quota-names.ts';
import { leadingDomid, leadingInteger, type Request } from './request.ts';

/** Bytes of the first line of an answer to `trace`. */
const TRACE_HEAD_MAX = 64;

interface Command {
  /** What `help` says that it takes. */
  readonly takes: string;
  /** `undefined` when the reply comes later. */
  readonly run: (request: Request, args: readonly string[]) => Uint8Array | undefined;
}

function refuse(command: string, takes: string): never {
  throw new XenError(
    'EINVAL',
    `control ${command}`,
    `it takes ${takes === '' ? 'nothing' : takes}`,
  );
}

function showQuotas(request: Request, quotas: readonly NamedQuota[]): Uint8Array {
  const lines = quotas.map(({ name, quota, description }) => {
    const value = String(request.store.quotas[quota]).padStart(8);
    return `${name.padEnd(17)}: ${value} ${description}\n`;
  });
  return encodeStrings(`Quota settings:\n${lines.join('')}`);
}

function setQuota(
  request: Request,
  quotas: readonly NamedQuota[],
  [name = '', text = '']: readonly string[],
): Uint8Array {
  const named = quotas.find((quota) => quota.name === name);
  const value = leadingInteger(text);
  if (named === undefined || value < 1) refuse('quota set', 'the name of a quota and its value');
  request.store.quotas[named.quota] = value;
  request.services.log.info(`quota ${name} is now ${value}`, { quota: name, limit: value });
  return OK_PAYLOAD;
}

function showUsage(request: Request, domid: number): Uint8Array {
  const domain = request.store.domains.find(domid);
  if (domain === undefined) throw new XenError('ENOENT', `show the usage of domain ${domid}`);
  const { account } = domain;
  const usage: readonly [string, number][] = [
    ['nodes', account.nodes],
    ['watches', account.watches],
    ['transactions', request.services.introductions.transactionsOf(domain).length],
    ['outstanding', account.outstanding],
    ['memory', account.memory],
  ];
  const lines = usage.map(([name, value]) => {
    return `${name.padEnd(16)}: ${String(value).padStart(8)}\n`;
  });
  return encodeStrings(`Domain ${domid}:\n${lines.join('')}`);
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
  if (args.length > 1) refuse('memreport', COMMANDS.memreport?.takes ?? '');
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
    refuse('trace', COMMANDS.trace?.takes ?? '');
  }
  const room = PAYLOAD_MAX - TRACE_HEAD_MAX;
  const { recent } = request.services.trace;
  const part = recent.read(from === undefined ? undefined : Number(from), room);
  const lines = part.lines.map((line) => `${line}\n`).join('');
  return encodeStrings(`trace ${part.next} ${part.lost}\n${lines}`);
}

function quota(request: Request, args: readonly string[]): Uint8Array {
  const [first = '', ...rest] = args;
  if (args.length === 0) return showQuotas(request, HARD_QUOTAS);
  if (first === 'set') {
    if (rest.length !== 2) refuse('quota', COMMANDS.quota?.takes ?? '');
    return setQuota(request, HARD_QUOTAS, rest);
  }
  if (args.length !== 1) refuse('quota', COMMANDS.quota?.takes ?? '');
  return showUsage(request, leadingDomid(first));
}

function softQuota(request: Request, args: readonly string[]): Uint8Array {
  const [first, ...rest] = args;
  if (args.length === 0) return showQuotas(request, SOFT_QUOTAS);
  if (first !== 'set' || rest.length !== 2) refuse('quota-soft', '[set <name> <val>]');
  return setQuota(request, SOFT_QUOTAS, rest);
}

/** In the order of `help`, which is C's; then those of oxenstored, and ours. */
const COMMANDS: Readonly<Record<string, Command>> = {
  check: {
    takes: '',
    run: (request, args) => {
      if (args.length > 0) refuse('check', '');
      const findings = request.store.check();
      request.services.log.info('checked the store', { findings });
      return OK_PAYLOAD;
    },
  },
  log: {
    takes: 'on|off',
    run: (request, args) => {
      const { file } = request.services.trace;
      if (args.length !== 1 || (args[0] !== 'on' && args[0] !== 'off')) refuse('log', 'on|off');
      if (args[0] === 'on') file?.open();
      else file?.close();
      return OK_PAYLOAD;
    },
  },
  'live-update': {
    takes: '[-c <cmdline>] [-F] [-t <timeout>] <file>',
    run: liveUpdate,
  },
  logfile: {
    takes: '<file>',
    run: (request, args) => {
      const [path] = args;
      if (args.length !== 1 || path === undefined) refuse('logfile', '<file>');
      request.services.trace.file?.close();
      request.services.trace.file?.open(path);
      return OK_PAYLOAD;
    },
  },
  memreport: { takes: '[<file>]', run: writeMemoryReport },
  print: {
    takes: '<string>',
    run: (request, args) => {
      if (args.length !== 1) refuse('print', '<string>');
      request.services.log.info(`control: ${args[0]}`);
      return OK_PAYLOAD;
    },
  },
  quota: { takes: '[set <name> <val>|<domid>]', run: quota },
  'quota-soft': { takes: '[set <name> <val>]', run: softQuota },
  watches: {
    takes: '',
    run: (request, args) => {
      if (args.length > 0) refuse('watches', '');
      return showWatches(request);
    },
  },
  txn: {
    takes: '<domid>',
    run: (request, args) => {
      const [domid] = args;
      if (args.length !== 1 || domid === undefined) refuse('txn', '<domid>');
      return showTransactions(request, domid);
    },
  },
  trace: { takes: '[<number>]', run: showTrace },
  help: {
    takes: '',
    run: (_request, args) => {
      if (args.length > 0) refuse('help', '');
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
