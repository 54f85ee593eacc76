/** `paravane run xenstored`, with the options of the C xenstored of Xen 4.17. */
import type { OptionValues } from 'commander';
import type { JournalSettings } from '../../stubdoms/xenstored/dom0.ts';
import { DEFAULT_OPTIONS, type XenstoredOptions } from '../xenstored/options.ts';
import { DEFAULT_QUOTAS, type Quotas } from '../xenstored/quota.ts';
import { HARD_QUOTAS, type NamedQuota, SOFT_QUOTAS } from '../xenstored/quota-names.ts';
import { namedNumbers, wholeNumber } from './option-values.ts';
import type { Service } from './run-command.ts';

/** The options that set one quota each. */
const QUOTA_OPTIONS: readonly (readonly [flags: string, quota: keyof Quotas, what: string])[] = [
  ['-E, --entry-nb <number>', 'nodes', 'nodes that a domain may own'],
  ['-S, --entry-size <bytes>', 'nodeSize', 'size of a node'],
  ['-W, --watch-nb <number>', 'watches', 'watches that a domain may set'],
  ['-t, --transaction <number>', 'transactions', 'transactions that a domain may have open'],
  ['-A, --perm-nb <number>', 'permissions', 'entries in the permission list of a node'],
  ['-M, --path-max <bytes>', 'pathLength', 'length of a path'],
];

/** `--entry-nb <number>` as commander names it: entryNb. */
function optionKey(flags: string): string {
  const long = /--([a-z-]+)/.exec(flags)?.[1] ?? '';
  return long.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function quotasOf(options: OptionValues): Quotas {
  const quotas: Quotas = { ...DEFAULT_QUOTAS };
  for (const [flags, quota] of QUOTA_OPTIONS) {
    const value = options[optionKey(flags)] as number | undefined;
    if (value !== undefined) quotas[quota] = value;
  }
  const named = (values: Readonly<Record<string, number>> = {}, known: readonly NamedQuota[]) => {
    for (const { name, quota } of known) quotas[quota] = values[name] ?? quotas[quota];
  };
  named(options.quota, HARD_QUOTAS);
  named(options.quotaSoft, SOFT_QUOTAS);
  return quotas;
}

const JOURNAL = '/run/xenstored/journal';
const DURABLE_JOURNAL = '/var/lib/xenstored/journal';

function journalOf(options: OptionValues): JournalSettings | undefined {
  const durable = options.durable === true;
  const serves = options.domainInit === true || durable;
  const usual = durable ? DURABLE_JOURNAL : JOURNAL;
  const path: string = options.journal ?? (serves ? usual : 'none');
  return path === 'none' ? undefined : { path, durable };
}

function xenstoredOptions(options: OptionValues): Partial<XenstoredOptions> {
  const timeouts = options.timeout as Readonly<Record<string, number>> | undefined;
  const watchEvent_s = timeouts?.['watch-event'];
  return {
    quotas: quotasOf(options),
    ...(options.keepOrphans === true ? { keepOrphans: true } : {}),
    ...(options.masterDomid === undefined ? {} : { masterDomid: options.masterDomid }),
    ...(options.privDomid === undefined ? {} : { privDomid: options.privDomid }),
    ...(watchEvent_s === undefined ? {} : { watchEventTimeout_ms: watchEvent_s * 1000 }),
  };
}

const names = (quotas: readonly NamedQuota[]) => quotas.map(({ name }) => name);

export const xenstoredService: Service = {
  name: 'xenstored',
  summary: 'serve xenstore to dom0 and to every guest',

  addOptions(command) {
    command
      .option('--socket <file>', 'where clients connect, instead of the usual path')
      .option('-D, --no-domain-init', 'serve the socket alone: no Xen and no root are needed')
      .option('-N, --no-fork', 'stay in the foreground, which is what it does without --daemon')
      .option('-T, --trace-file <file>', 'write every request and reply to this file');
    command
      .option(
        '--journal <file>',
        `what a killed xenstored goes on from, or "none" (${JOURNAL}; with -D none)`,
      )
      .option(
        '--durable',
        `every change waits for the disk, so that it outlives a loss of power, too; the journal is ${DURABLE_JOURNAL} then`,
      );
    command
      .option('-U, --live-update', 'go on with what the program left that was this process before')
      .option('--rehearse', 'with -U: say whether that can be taken up, and leave it there');
    for (const [flags, quota, what] of QUOTA_OPTIONS) {
      command.option(flags, `limit: ${what} (${DEFAULT_QUOTAS[quota]})`, wholeNumber(1));
    }
    command
      .option(
        '-Q, --quota <what=number>',
        `set a limit: ${names(HARD_QUOTAS).join(', ')}`,
        namedNumbers(names(HARD_QUOTAS)),
      )
      .option(
        '-q, --quota-soft <what=number>',
        `warn above a limit: ${names(SOFT_QUOTAS).join(', ')}`,
        namedNumbers(names(SOFT_QUOTAS)),
      )
      .option(
        '-w, --timeout <what=seconds>',
        'how long a watch-event waits for a guest to take it, 0 for ever',
        namedNumbers(['watch-event']),
      )
      .option('-K, --keep-orphans', 'keep the nodes of a domain that is gone; a security risk')
      .option('-V, --verbose', 'the same as --log-level debug')
      .option(
        '--event <port>',
        "dom0's event channel, instead of the one its kernel names",
        wholeNumber(1),
      )
      .option(
        '--master-domid <domid>',
        'the domain whose kernel is served without INTRODUCE',
        wholeNumber(0),
      )
      .option(
        '--priv-domid <domid>',
        'a domain besides dom0 that no permission holds for',
        wholeNumber(0),
      )
      .addHelpText(
        'after',
        `
After an end of whatever kind the next xenstored takes up the journal: nodes, watches, what guests
were owed, and the limits, instead of those given here. Sockets end; the rings of guests do not.

Examples:
  paravane run xenstored --daemon --pid-file /run/xenstored.pid
  paravane run xenstored --no-domain-init --socket /tmp/xenstored.socket
  XENSTORED_PATH=/tmp/xenstored.socket xenstore-ls
`,
      );
  },

  goesOn: (options) => options.liveUpdate === true,

  async rehearse(options, log) {
    if (options.rehearse !== true) return false;
    const { rehearseTakeOver } = await import('../../stubdoms/xenstored/takeover.ts');
    rehearseTakeOver({ ...DEFAULT_OPTIONS, ...xenstoredOptions(options) }, log);
    return true;
  },

  async start(options, log) {
    const { keepHeapSmall } = await import('../node/heap.ts');
    keepHeapSmall();
    const { openXenstored } = await import('../../stubdoms/xenstored/dom0.ts');
    const { xenstoreSocketPath } = await import('../node/xenstore-socket.ts');
    return openXenstored(
      {
        socket: options.socket ?? xenstoreSocketPath(),
        domains: options.domainInit as boolean,
        kernelPort: options.event,
        traceFile: options.traceFile,
        journal: journalOf(options),
        takeOver: options.liveUpdate === true,
        pidFile: options.pidFile,
        options: xenstoredOptions(options),
      },
      log,
    );
  },
};
