/** What the attacker does on real Xen, and what must come of it. */

export interface Scene {
  /** One of those in test/xen/attacker/attacks.c: numbers of advisories, and what of them. */
  readonly attack: string;
  readonly does: string;
  /** What its console shows of how it began. */
  readonly says?: RegExp;
  /** What it may use in the end, as `xenstore-control quota` has it. */
  readonly usesAtMost?: Readonly<Record<string, number>>;
  /** It waits for data/go, and then its domain ends. */
  readonly ends?: 'destroyed' | 'restarted';
  /** Another domain that does the same has its rights, like the stub domain of a device model. */
  readonly withDeviceModel?: true;
}

export const titleOf = ({ attack, does }: Scene) => `${attack}: ${does}`;

/** What the latency beside an attack is to be compared with: guests that mean no ill. */
export const HARMLESS: readonly Scene[] = [
  { attack: 'none', does: 'is idle' },
  { attack: 'spin', does: 'keeps its processor busy' },
  { attack: 'reads', does: 'reads all the time' },
];

export const ATTACKS: readonly Scene[] = [
  {
    attack: '38-requests',
    does: 'has its requests end where they cannot',
    says: /^error 2$/m,
  },
  {
    attack: '38-replies',
    does: 'has taken replies that were not there',
    says: /^error 2$/m,
  },
  { attack: '38-random', does: 'sends random bytes' },
  { attack: 'events', does: 'notifies all the time' },
  { attack: '72', does: 'lists more than fits into a reply', says: /^list E2BIG$/m },
  {
    attack: '115',
    does: 'watches /',
    says: /^watch OK\nfirst event \/\|t$/m,
    usesAtMost: { watches: 1 },
  },
  {
    attack: '206',
    does: 'writes what a transaction of the other has read',
    says: /^write OK\npermissions OK$/m,
  },
  {
    attack: '233',
    does: 'crashes together with its device model',
    ends: 'destroyed',
    withDeviceModel: true,
  },
  {
    attack: '272',
    does: 'creates all nodes that it may, removes and creates some',
    says: /^chain \d+: ENOSPC\nsingle: ENOSPC$/m,
    usesAtMost: { nodes: 1000 },
  },
  {
    attack: '323',
    does: 'uses relative paths that are too long',
    says: /^2048 bytes: ENOSPC\n2049 bytes: EINVAL\n3072 bytes: EINVAL$/m,
  },
  {
    attack: '324',
    does: 'watches with a token that makes events too long',
    says: /^watch OK\nevents 1$/m,
  },
  { attack: '325', does: 'breaks its ring and crashes', ends: 'destroyed' },
  {
    attack: '326-events',
    does: 'causes events and reads none',
    says: /^watches 129, then E2BIG$/m,
    usesAtMost: { watches: 129, outstanding: 20 },
  },
  {
    attack: '326-transactions',
    does: 'fills transactions and ends none',
    says: /^the last read: ENOSPC\ncommit ENOMEM$/m,
    usesAtMost: { transactions: 1001 },
  },
  {
    attack: '326-fan-out',
    does: 'writes what 129 watches of its own are for',
    says: /^watches 129, then E2BIG$/m,
    usesAtMost: { watches: 129 },
  },
  { attack: '326-commits', does: 'commits large transactions that must be run again' },
  {
    attack: '330',
    does: 'sets and resets watches',
    usesAtMost: { watches: 1, memory: 10_000 },
  },
  {
    attack: '352',
    does: 'gives a node away',
    says: /^to the victim: EPERM\nto dom0: EPERM\npermissions n\d+$/m,
  },
  { attack: '353', does: 'changes /', says: /^permissions EACCES\nremove EACCES$/m },
  {
    attack: '414-415-421',
    does: 'creates and removes in a transaction, or fails to create',
    says: /^create and remove: d\ntoo large: ENOSPC\ncommit ENOMEM$/m,
    usesAtMost: { transactions: 1, nodes: 20 },
  },
  {
    attack: '416',
    does: 'reads no replies',
    says: /^write OK$/m,
    usesAtMost: { outstanding: 20, memory: 100_000 },
  },
  {
    attack: '418',
    does: 'makes and removes a tree of 700 levels',
    says: /^make OK\nremove OK$/m,
    usesAtMost: { nodes: 720 },
  },
  {
    attack: '322-417-419-483',
    does: 'leaves nodes, watches and its ring behind, and reboots',
    says: /^left OK$/m,
    usesAtMost: { nodes: 120, watches: 2 },
    ends: 'restarted',
  },
  { attack: '420', does: 'announces a request of 2 GiB', says: /^error 3$/m },
  { attack: '425', does: 'asks for a soft reset', ends: 'destroyed' },
  {
    attack: '440',
    does: 'removes the same in two transactions',
    says: /^left ENOENT$/m,
    usesAtMost: { nodes: 20, transactions: 2 },
  },
  {
    attack: '481',
    does: 'asks for /local/domain/',
    says: /^read EINVAL\nmake EINVAL\nremove EINVAL\nwatch EINVAL$/m,
  },
  {
    attack: '484',
    does: 'resets its watches inside a transaction',
    says: /^reset OK\ncommit ENOENT$/m,
    usesAtMost: { transactions: 1, memory: 10_000 },
  },
];
