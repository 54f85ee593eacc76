/** The names by which operators set quotas: with `xenstore-control quota set`, and with `-Q` and `-q`. */
import type { Quotas } from './quota.ts';

export interface NamedQuota {
  readonly name: string;
  readonly quota: keyof Quotas;
  readonly description: string;
}

/** Limits above which something is refused. */
export const HARD_QUOTAS: readonly NamedQuota[] = [
  { name: 'nodes', quota: 'nodes', description: 'Nodes per domain' },
  { name: 'watches', quota: 'watches', description: 'Watches per domain' },
  { name: 'transactions', quota: 'transactions', description: 'Transactions per domain' },
  {
    name: 'outstanding',
    quota: 'outstanding',
    description: 'Outstanding requests per domain',
  },
  {
    name: 'transaction-nodes',
    quota: 'transactionNodes',
    description: 'Max. number of accessed nodes per transaction',
  },
  {
    name: 'memory',
    quota: 'memoryHard',
    description: 'Total Xenstore memory per domain (error level)',
  },
  { name: 'node-size', quota: 'nodeSize', description: 'Max. size of a node' },
  { name: 'path-max', quota: 'pathLength', description: 'Max. length of a node path' },
  {
    name: 'permissions',
    quota: 'permissions',
    description: 'Max. number of permissions per node',
  },
];

/** Limits above which there is a warning. */
export const SOFT_QUOTAS: readonly NamedQuota[] = [
  {
    name: 'memory',
    quota: 'memorySoft',
    description: 'Total Xenstore memory per domain (warning level)',
  },
];

/** Put before the name of a quota above which there is a warning, where both kinds stand together. */
const SOFT_PREFIX = 'soft-';

/** All of them, as GET_QUOTA and SET_QUOTA name them. */
export const QUOTAS_BY_NAME: ReadonlyMap<string, keyof Quotas> = new Map([
  ...HARD_QUOTAS.map(({ name, quota }) => [name, quota] as const),
  ...SOFT_QUOTAS.map(({ name, quota }) => [`${SOFT_PREFIX}${name}`, quota] as const),
]);
