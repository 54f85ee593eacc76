/** `xenstore-control quota` and `quota-soft`: limits, and what domains use of them. */
import { XenError } from '../base/errors.ts';
import { encodeStrings, OK_PAYLOAD } from '../xenstore/packet.ts';
import { refuseArguments } from './control-arguments.ts';
import type { Usage } from './peaks.ts';
import { HARD_QUOTAS, type NamedQuota, SOFT_QUOTAS } from './quota-names.ts';
import { leadingDomid, leadingInteger, type Request } from './request.ts';

export const QUOTA_TAKES = '[set <name> <val>|<domid>|max [-r]]';
export const QUOTA_SOFT_TAKES = '[set <name> <val>]';

/** What `quota max` names; the last four are of a single transaction, node or path. */
const PEAK_NAMES: readonly (readonly [name: string, what: keyof Usage])[] = [
  ['nodes', 'nodes'],
  ['watches', 'watches'],
  ['transactions', 'transactions'],
  ['outstanding', 'outstanding'],
  ['memory', 'memory'],
  ['transaction-nodes', 'transactionNodes'],
  ['node-permissions', 'permissions'],
  ['path-length', 'pathLength'],
  ['node-size', 'nodeSize'],
];

const number = (value: number) => String(value).padStart(8);

function showQuotas(request: Request, quotas: readonly NamedQuota[]): Uint8Array {
  const lines = quotas.map(({ name, quota, description }) => {
    return `${name.padEnd(17)}: ${number(request.store.quotas[quota])} ${description}\n`;
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
  if (named === undefined || value < 1) {
    refuseArguments('quota set', 'the name of a quota and its value');
  }
  request.store.quotas[named.quota] = value;
  request.services.log.info(`quota ${name} is now ${value}`, { quota: name, limit: value });
  return OK_PAYLOAD;
}

function showUsage(request: Request, domid: number): Uint8Array {
  const domain = request.store.domains.find(domid);
  if (domain === undefined) throw new XenError('ENOENT', `show the usage of domain ${domid}`);
  const { account } = domain;
  const usage: readonly [keyof Usage, number][] = [
    ['nodes', account.nodes],
    ['watches', account.watches],
    ['transactions', request.services.introductions.transactionsOf(domain).length],
    ['outstanding', account.outstanding],
    ['memory', account.memory],
  ];
  const lines = usage.map(([name, value]) => {
    return `${name.padEnd(16)}: ${number(value)} (max: ${number(account.peaks.get(name))})\n`;
  });
  return encodeStrings(`Domain ${domid}:\n${lines.join('')}`);
}

function showPeaks(request: Request, args: readonly string[]): Uint8Array {
  const [flag] = args;
  if (args.length > 1 || (flag !== undefined && flag !== '-r')) {
    refuseArguments('quota', QUOTA_TAKES);
  }
  const { domains } = request.store;
  if (flag === '-r') domains.resetPeaks();
  const peaks = domains.peaks();
  const lines = PEAK_NAMES.map(([name, what]) => {
    return `${name.padEnd(17)}: ${number(peaks.get(what))}\n`;
  });
  return encodeStrings(`Max. values of any unprivileged domain:\n${lines.join('')}`);
}

export function quota(request: Request, args: readonly string[]): Uint8Array {
  const [first = '', ...rest] = args;
  if (args.length === 0) return showQuotas(request, HARD_QUOTAS);
  if (first === 'max') return showPeaks(request, rest);
  if (first === 'set') {
    if (rest.length !== 2) refuseArguments('quota', QUOTA_TAKES);
    return setQuota(request, HARD_QUOTAS, rest);
  }
  if (args.length !== 1) refuseArguments('quota', QUOTA_TAKES);
  return showUsage(request, leadingDomid(first));
}

export function softQuota(request: Request, args: readonly string[]): Uint8Array {
  const [first, ...rest] = args;
  if (args.length === 0) return showQuotas(request, SOFT_QUOTAS);
  if (first !== 'set' || rest.length !== 2) refuseArguments('quota-soft', QUOTA_SOFT_TAKES);
  return setQuota(request, SOFT_QUOTAS, rest);
}
