/** The requests about domains. */
import { DOMID_SELF } from '../abi/xen.ts';
import { XenError } from '../base/errors.ts';
import { encodeStrings, OK_PAYLOAD } from '../xenstore/packet.ts';
import type { Domain } from './domain.ts';
import { leadingDomid, leadingInteger, type Request } from './request.ts';

/** The introduced domain, not dom0, that the request names. Throws EINVAL or ENOENT. */
function namedDomain(request: Request): Domain {
  const domid = leadingDomid(request.onlyString());
  if (domid === 0) throw new XenError('EINVAL', 'look for a domain', 'dom0 is not meant');
  return request.services.introductions.get(domid);
}

export function introduce(request: Request): Uint8Array {
  // The frame number, in between, is of no use: the page is granted.
  const [domid = '', , port = ''] = request.strings(3);
  request.services.introductions.introduce(leadingDomid(domid), leadingInteger(port));
  return OK_PAYLOAD;
}

export function release(request: Request): Uint8Array {
  request.services.introductions.release(namedDomain(request));
  return OK_PAYLOAD;
}

export function resume(request: Request): Uint8Array {
  namedDomain(request).shutdown = false;
  return OK_PAYLOAD;
}

export function setTarget(request: Request): Uint8Array {
  const [domid = '', target = ''] = request.strings(2);
  const { introductions } = request.services;
  const domain = introductions.get(leadingDomid(domid));
  domain.target = introductions.get(leadingDomid(target));
  return OK_PAYLOAD;
}

export function getDomainPath(request: Request): Uint8Array {
  return encodeStrings(`/local/domain/${leadingDomid(request.onlyString())}`);
}

export function isDomainIntroduced(request: Request): Uint8Array {
  const domid = leadingDomid(request.onlyString());
  const is = domid === DOMID_SELF || request.services.introductions.isIntroduced(domid);
  return encodeStrings(is ? 'T' : 'F');
}
