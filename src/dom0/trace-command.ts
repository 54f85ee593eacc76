/** `paravane trace`: what xenstored is asked and what it answers, as it happens. */
import { setTimeout as sleep } from 'node:timers/promises';
import { errorCode } from '../base/errors.ts';
import { isAbsolutePath, isAtOrBelow } from '../xenstore/path.ts';
import type { Xenstore } from '../xenstore/xenstore.ts';
import { wholeNumber } from './option-values.ts';
import { PATH_HELP, parsePath, type StoreCommands } from './store-command.ts';

/** How long to wait before asking again when there was nothing new. */
const PAUSE_MS = 100;

export interface TraceFilter {
  readonly domid?: number;
  readonly path?: string;
}

const LINE = /^(IN|OUT|OBJ|WRL) (.+) (\d{4}-\S+Z) (\S+|operation \d+) \((.*)\)$/;
const DOMAIN = /^domain (\d+)$/;

/** Tells which lines of a trace are wanted. A reply does not name a path: it goes with its request. */
export class TraceSelection {
  private readonly filter: TraceFilter;
  /** Connections whose last request was wanted. */
  private readonly answering = new Set<string>();

  constructor(filter: TraceFilter) {
    this.filter = filter;
  }

  wants(line: string): boolean {
    const [, direction, name = '', , type, text = ''] = LINE.exec(line) ?? [];
    const domid = DOMAIN.exec(name)?.[1];
    if (this.filter.domid !== undefined && domid !== String(this.filter.domid)) return false;
    if (this.filter.path === undefined) return true;
    if (direction !== 'IN' && direction !== 'OUT') return false;
    if (direction === 'OUT' && type !== 'WATCH_EVENT') return this.answering.has(name);
    const wanted = this.isBelow(text.split(' ', 1)[0] ?? '', domid ?? '0', this.filter.path);
    if (direction === 'IN' && wanted) this.answering.add(name);
    else if (direction === 'IN') this.answering.delete(name);
    return wanted;
  }

  private isBelow(path: string, domid: string, top: string): boolean {
    const relative = !isAbsolutePath(path) && !path.startsWith('@');
    return isAtOrBelow(relative ? `/local/domain/${domid}/${path}` : path, top);
  }
}

interface Part {
  readonly next: string;
  readonly lost: number;
  readonly lines: readonly string[];
}

/** Once more where the xenstored that was asked is gone; the next one begins its trace anew. */
async function askAgain(question: () => Promise<string>): Promise<string> {
  for (;;) {
    try {
      return await question();
    } catch (error) {
      if (errorCode(error) !== 'ECONNRESET') throw error;
    }
  }
}

async function ask(store: Xenstore, from: string | undefined): Promise<Part> {
  const reply = await askAgain(() => store.control('trace', ...(from === undefined ? [] : [from])));
  const [head = '', ...lines] = reply.split('\n');
  const [, next, lost] = /^trace (\d+) (\d+)$/.exec(head) ?? [];
  if (next === undefined) throw new Error('this xenstored has no trace to ask for');
  return { next, lost: Number(lost), lines: lines.slice(0, -1) };
}

async function follow(
  store: Xenstore,
  commands: StoreCommands,
  options: TraceFilter & { count?: number },
) {
  const selection = new TraceSelection(options);
  let left = options.count ?? Number.POSITIVE_INFINITY;
  for (let part = await ask(store, undefined); left > 0; part = await ask(store, part.next)) {
    if (part.lost > 0) commands.terminal.error(`paravane: ${part.lost} lines were lost\n`);
    for (const line of part.lines) {
      if (left === 0 || !selection.wants(line)) continue;
      commands.line(line);
      left--;
    }
    if (part.lines.length === 0) await sleep(PAUSE_MS);
  }
}

export function addTraceCommand(commands: StoreCommands): void {
  commands
    .add('trace', 'print what xenstored is asked and what it answers, as it happens', [
      'paravane trace --domid 3',
      'paravane trace --path /local/domain/0/backend',
    ])
    .option(
      '--domid <domid>',
      'only the requests, replies and events of this domain',
      wholeNumber(0),
    )
    .option('--path <path>', `only what is at or below it: ${PATH_HELP}`, parsePath)
    .option('-n, --count <lines>', 'end after so many lines', wholeNumber(1))
    .action(async (options) => {
      await commands.follow(options, (store) => follow(store, commands, options));
    });
}
