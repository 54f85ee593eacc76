/** What the operator can see of watches and transactions, under the names that oxenstored has for it. */
import { XenError } from '../base/errors.ts';
import { encodeStrings, operationName, PAYLOAD_MAX } from '../xenstore/packet.ts';
import { UNKNOWN_REQUEST } from './activity.ts';
import type { Domain } from './domain.ts';
import { leadingDomid, type Request } from './request.ts';

/** Room for the line that tells how many more there are. */
const REST_MAX = 32;

/** What `activity` says of one domain: names in small letters count, those in capitals are requests. */
function activityLine(request: Request, domain: Domain): string {
  const { domid, account, activity } = domain;
  const requests = [...activity.requests].map(([type, count]): [string, number] => [
    type === UNKNOWN_REQUEST ? 'UNKNOWN' : operationName(type),
    count,
  ]);
  const figures: readonly [string, number][] = [
    ['requests', requests.reduce((sum, [, count]) => sum + count, 0)],
    ['errors', activity.errors],
    ['refusals', account.refusals],
    ['events', activity.events],
    ['received', activity.received],
    ['sent', activity.sent],
    ['committed', activity.committed],
    ['replayed', activity.replayed],
    ['conflicted', activity.conflicted],
    ['nodes', account.nodes],
    ['watches', account.watches],
    ['transactions', request.services.introductions.transactionsOf(domain).length],
    ['outstanding', account.outstanding],
    ['memory', account.memory],
    ...requests,
  ];
  return `domain ${domid}: ${figures.map(([name, value]) => `${name}=${value}`).join(' ')}\n`;
}

/** A line for each domain from domid `from` on, and a last one where there are more. */
export function showActivity(request: Request, from: number): Uint8Array {
  const domains = [...request.store.domains].filter(({ domid }) => domid >= from);
  domains.sort((one, other) => one.domid - other.domid);
  let text = '';
  for (const domain of domains) {
    const line = activityLine(request, domain);
    if (text.length + line.length > PAYLOAD_MAX - REST_MAX) {
      return encodeStrings(`${text}more from ${domain.domid}\n`);
    }
    text += line;
  }
  return encodeStrings(text);
}

/** As many lines as one reply holds, and how many are left out. */
function listed(lines: readonly string[]): Uint8Array {
  let text = '';
  for (const [index, line] of lines.entries()) {
    if (text.length + line.length + 2 > PAYLOAD_MAX - REST_MAX) {
      return encodeStrings(`${text}and ${lines.length - index} more\n`);
    }
    text += `${line}\n`;
  }
  return encodeStrings(text);
}

/** All watches with their owners: `domain 3: /path token`, and ` depth 1` where there is one. */
export function showWatches(request: Request): Uint8Array {
  const lines = [...request.store.watches].map(({ watcher, path, token, depth }) => {
    const domid = watcher.caller.identity?.domid;
    const owner = domid === undefined ? 'a socket' : `domain ${domid}`;
    return `${owner}: ${path} ${token}${depth === undefined ? '' : ` depth ${depth}`}`;
  });
  return listed(lines);
}

/** The transactions that a domain has open. Throws ENOENT. */
export function showTransactions(request: Request, domid: string): Uint8Array {
  const domain = request.store.domains.find(leadingDomid(domid));
  if (domain === undefined)
    throw new XenError('ENOENT', `show the transactions of domain ${domid}`);
  const open = request.services.introductions.transactionsOf(domain);
  const lines = open.map(({ id, usage: { nodes, requests, bytes } }) => {
    return `transaction ${id}: ${nodes} nodes, ${requests} requests, ${bytes} bytes`;
  });
  return listed(lines);
}
