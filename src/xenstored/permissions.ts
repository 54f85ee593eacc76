/** Who may do what with a node: the permission list of docs/misc/xenstore.txt. */
import { XenError } from '../base/errors.ts';
import type { Access } from '../xenstore/xenstore.ts';

export const MAY_READ = 1;
export const MAY_WRITE = 2;
/** May change the permissions. */
export const MAY_OWN = 4;
const MAY_ALL = MAY_READ | MAY_WRITE | MAY_OWN;

const RIGHTS: Readonly<Record<Access, number>> = {
  n: 0,
  r: MAY_READ,
  w: MAY_WRITE,
  b: MAY_READ | MAY_WRITE,
};

/**
 * One entry. The first of a list names the owner, who may do everything, and what everybody may do
 * whom no other entry names.
 */
export interface PermissionEntry {
  /** As the client wrote it: any 32-bit number. */
  readonly domid: number;
  readonly access: Access;
  /**
   * Which of all domains that ever had this domid is meant, `NO_INCARNATION` for none. A later
   * domain with the same domid is another one and gets nothing by this entry (XSA-322).
   */
  readonly incarnation: number;
}

export type Permissions = readonly PermissionEntry[];

/** Of an entry for a domain that did not exist. */
export const NO_INCARNATION = 0;

/** Of an entry that means every domain. */
export const EVERY_INCARNATION = -1;

/** One domain among all that ever were. */
export interface Identity {
  readonly domid: number;
  readonly incarnation: number;
}

/** Somebody who asks for something. */
export interface Caller {
  /** The tools: dom0, a privileged domain, or whoever may open the socket. No permission applies to them. */
  readonly privileged: boolean;
  /** Absent for a socket. */
  readonly identity: Identity | undefined;
  /** The domain whose rights it has besides its own. */
  readonly target: Identity | undefined;
}

function names(entry: PermissionEntry, who: Identity | undefined): boolean {
  if (entry.incarnation === EVERY_INCARNATION) return true;
  return who !== undefined && entry.domid === who.domid && entry.incarnation === who.incarnation;
}

/** What the list allows the caller, as a sum of `MAY_…`. */
export function rightsOf(caller: Caller, permissions: Permissions): number {
  const { privileged, identity, target } = caller;
  const owner = ownerOf(permissions);
  if (privileged || names(owner, identity) || names(owner, target)) return MAY_ALL;
  for (let i = 1; i < permissions.length; i++) {
    const entry = permissions[i] as PermissionEntry;
    if (names(entry, identity) || names(entry, target)) return RIGHTS[entry.access];
  }
  return RIGHTS[owner.access];
}

export function ownerOf(permissions: Permissions): PermissionEntry {
  return permissions[0] as PermissionEntry;
}

/** The list with another owner, what everybody else may do left as it is. */
export function ownedBy(permissions: Permissions, owner: Identity): Permissions {
  const [{ access }, ...others] = permissions as readonly [PermissionEntry, ...PermissionEntry[]];
  return [{ domid: owner.domid, access, incarnation: owner.incarnation }, ...others];
}

/** Gives all lists that say the same the same memory: most nodes have that of their neighbours. */
export class PermissionLists {
  private readonly lists = new Map<string, Permissions>();

  shared(permissions: Permissions): Permissions {
    const key = permissions.map((each) => `${each.access}${each.domid}.${each.incarnation}`);
    const text = key.join(' ');
    const known = this.lists.get(text);
    if (known === undefined) this.lists.set(text, permissions);
    return known ?? permissions;
  }
}

/** An entry as on the wire; a domid above 2^31 is negative there, as in C. */
export function formatEntry(entry: PermissionEntry): string {
  return `${entry.access}${entry.domid | 0}`;
}

// What strtol() takes with base 0: white space, a sign, then hexadecimal, octal or decimal digits.
const ENTRY = /^([nrwb])[ \t\n\v\f\r]*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)$/;

/** The letter and the domid of an entry on the wire. Throws EINVAL. */
export function parseEntry(text: string): { access: Access; domid: number } {
  const match = ENTRY.exec(text);
  if (match === null) {
    throw new XenError('EINVAL', 'set permissions', 'an entry is one of n r w b and a domid');
  }
  const [, access, sign, digits = ''] = match;
  const octal = digits.length > 1 && /^0[0-7]/.test(digits);
  const number = octal ? Number.parseInt(digits, 8) : Number(digits);
  // Into 32 bits as a C cast does; what is larger than any domid names nobody either way.
  return { access: access as Access, domid: (sign === '-' ? -number : number) >>> 0 };
}
