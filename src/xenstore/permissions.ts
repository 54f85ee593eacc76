/** Permission entries as the wire and the commands write them: a letter and a domid, `n0`, `r5`. */
import { XenError } from '../base/errors.ts';
import { DOMID_FIRST_RESERVED, domId } from '../base/ids.ts';
import type { Access, Permission } from './xenstore.ts';

const ENTRY = /^([nrwb])([0-9]{1,5})$/;

/** `n5` for domain 5 without access. */
export function formatPermission(permission: Permission): string {
  return `${permission.access}${permission.domid}`;
}

/** The entry that `text` writes. Throws `XenError` EINVAL that names the broken rule. */
export function parsePermission(text: string): Permission {
  const match = ENTRY.exec(text);
  if (match === null) {
    throw new XenError(
      'EINVAL',
      `permission ${JSON.stringify(text.slice(0, 32))}`,
      'an entry is one of the letters n r w b and a domid',
    );
  }
  const domid = Number(match[2]);
  if (domid >= DOMID_FIRST_RESERVED) {
    throw new XenError(
      'EINVAL',
      `permission ${text}`,
      `a domid is less than ${DOMID_FIRST_RESERVED}`,
    );
  }
  return { access: match[1] as Access, domid: domId(domid) };
}
