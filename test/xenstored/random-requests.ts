/** Random requests of sockets, guests and dom0's kernel, good and bad, for daemons that are compared. */
import fc from 'fast-check';
import {
  XS_CONTROL,
  XS_DIRECTORY,
  XS_DIRECTORY_PART,
  XS_GET_DOMAIN_PATH,
  XS_GET_PERMS,
  XS_IS_DOMAIN_INTRODUCED,
  XS_MKDIR,
  XS_READ,
  XS_RESET_WATCHES,
  XS_RESUME,
  XS_RM,
  XS_SET_PERMS,
  XS_SET_TARGET,
  XS_TRANSACTION_END,
  XS_TRANSACTION_START,
  XS_UNWATCH,
  XS_WATCH,
  XS_WRITE,
} from '../../src/abi/io/xs_wire.ts';

// `l*3` stands for `lll`, so that a failing case can be read.
const PATHS = [
  '/',
  '/a',
  '/a/b',
  '/a/b/c',
  '/open',
  '/open/x',
  '/open/x/y',
  '/open/x/y/z',
  '/listed/x',
  '/hidden',
  '/hidden/shown',
  '/hidden/shown/x',
  '/local/domain',
  '/local/domain/1',
  '/local/domain/1/data',
  '/local/domain/1/data/x',
  '/local/domain/2/for1',
  '/local/domain/2/for1/x',
  '/local/domain/2',
  'data',
  'data/x',
  'x',
  '',
  '/a/',
  '//',
  '/a//b',
  '/a b',
  '@releaseDomain',
  '@introduceDomain',
  '@other',
  'no@sign',
  '/tool',
  '/local/domain/',
  '/l*2046',
  '/l*2047',
  '/l*2048',
  'l*2047',
  'l*2048',
  'l*2049',
  '/local/domain/1/l*2048',
  '/local/domain/1/l*2049',
  '/open/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d',
];
const PERMISSIONS = [
  'n0|',
  'n1|',
  'b1|',
  'r2|',
  'n0|r1|',
  'n0|b1|w2|',
  'n1|r2|',
  'b2|n1|',
  'n3|',
  'n1|b3|',
  'n0|r1|r2|r3|r1|r2|',
  'n0|r1|r2|r3|r1|',
  'x0|',
  'n|',
  'n0x1|r02|',
  'n9|',
  'n0|r9|',
  'n-1|',
  '',
];
const VALUES = ['', 'v', 'two|parts', '|', 'w*1800', 'w*2010', 'w*2020', '\u00ff\u0001'];

export interface Action {
  readonly client: 's0' | 's1' | 'kernel' | '1' | '2' | '3';
  readonly kind: RequestKind | 'introduce' | 'release' | 'shutdown' | 'kill' | 'rebuild';
  readonly path: string;
  readonly value: string;
  readonly permissions: string;
  /** Which of the client's open transactions, if it has as many. */
  readonly transaction: number;
  readonly domid: number;
}

export type RequestKind = keyof typeof KINDS;

type Shape = (action: Action) => [type: number, payload: string];

const KINDS = {
  read: ({ path }) => [XS_READ, `${path}|`],
  write: ({ path, value }) => [XS_WRITE, `${path}|${value}`],
  mkdir: ({ path }) => [XS_MKDIR, `${path}|`],
  rm: ({ path }) => [XS_RM, `${path}|`],
  directory: ({ path }) => [XS_DIRECTORY, `${path}|`],
  directoryPart: ({ path, value }) => [XS_DIRECTORY_PART, `${path}|${value.length % 9}|`],
  getPermissions: ({ path }) => [XS_GET_PERMS, `${path}|`],
  setPermissions: ({ path, permissions, client }) => {
    // A refusal about an `@` path C's answers, too, with whatever errno was last.
    const refused = path === '@other' || (path.startsWith('@') && /^\d/.test(client));
    // And it removes the root when the root's owner dies.
    const risky = path === '/' && !/^.0/.test(permissions);
    return [XS_SET_PERMS, `${refused || risky ? '/a' : path}|${permissions}`];
  },
  watch: ({ path, domid }) => [XS_WATCH, `${path}|token${domid}|`],
  unwatch: ({ path, domid }) => [XS_UNWATCH, `${path}|token${domid}|`],
  resetWatches: () => [XS_RESET_WATCHES, '|'],
  start: () => [XS_TRANSACTION_START, '|'],
  commit: () => [XS_TRANSACTION_END, 'T|'],
  abort: () => [XS_TRANSACTION_END, 'F|'],
  domainPath: ({ domid }) => [XS_GET_DOMAIN_PATH, `${domid}|`],
  isIntroduced: ({ domid }) => [XS_IS_DOMAIN_INTRODUCED, `${domid}|`],
  resume: ({ domid }) => [XS_RESUME, `${domid}|`],
  setTarget: ({ domid, transaction }) => [XS_SET_TARGET, `${domid}|${transaction === 0 ? 7 : 1}|`],
  quota: ({ domid }) => [XS_CONTROL, `quota|${domid}|`],
  // Those that take one path are left out: without one, C's answers with whatever errno was last.
  malformed: ({ domid, value }) => [[4, 5, 7, 8, 10, 11][domid] ?? 14, value],
  unknown: ({ domid, value }) => [[15, 16, 20, 27, 28, 4711][domid] ?? 0xffffffff, value],
} satisfies Record<string, Shape>;

/** Any action of any client, most of them requests. */
export const action: fc.Arbitrary<Action> = fc.record({
  client: fc.constantFrom('s0', 's1', 'kernel', '1', '2', '3', '1', '2'),
  kind: fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom('write', 'read', 'rm', 'mkdir', 'setPermissions') },
    { weight: 8, arbitrary: fc.constantFrom('start', 'commit', 'watch') },
    { weight: 8, arbitrary: fc.constantFrom(...(Object.keys(KINDS) as RequestKind[])) },
    {
      weight: 1,
      arbitrary: fc.constantFrom('introduce', 'release', 'shutdown', 'kill', 'rebuild'),
    },
  ),
  path: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...PATHS.slice(0, 22)) },
    { weight: 1, arbitrary: fc.constantFrom(...PATHS) },
  ),
  value: fc.constantFrom(...VALUES),
  permissions: fc.constantFrom(...PERMISSIONS),
  transaction: fc.nat(3),
  domid: fc.nat(5),
});

/** The request that the action stands for. */
export function requestOf(action: Action & { kind: RequestKind }): [type: number, payload: string] {
  const [type, payload] = KINDS[action.kind](action);
  const expanded = payload.replace(/(.)\*(\d+)/g, (_, letter: string, count: string) =>
    letter.repeat(Number(count)),
  );
  return [type, expanded];
}
