/** The requests about features and quotas, which the newest xenstores have: docs/misc/xenstore.txt. */
import { XenError } from '../base/errors.ts';
import { encodeStrings, OK_PAYLOAD } from '../xenstore/packet.ts';
import type { Domain } from './domain.ts';
import { SERVER_FEATURES } from './features.ts';
import type { Quotas } from './quota.ts';
import { QUOTAS_BY_NAME } from './quota-names.ts';
import { leadingInteger, type Request } from './request.ts';

function refuse(what: string, rule: string): never {
  throw new XenError('EINVAL', what, rule);
}

/** The domain of that decimal domid, introduced or not. Throws EINVAL or ENOENT. */
function namedDomain(request: Request, text: string): Domain {
  const domid = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0x10000;
  if (domid > 0xffff) refuse('look for a domain', 'a domid is a number from 0 to 65535');
  const domain = request.store.domains.known(domid);
  if (domain === undefined) throw new XenError('ENOENT', `look for domain ${domid}`);
  return domain;
}

function namedQuota(name: string): keyof Quotas {
  return QUOTAS_BY_NAME.get(name) ?? refuse('look for a quota', 'there is none of that name');
}

export function getFeature(request: Request): Uint8Array {
  const { connection } = request;
  const [domid, ...others] = request.strings(0);
  if (domid === undefined) return encodeStrings(String(connection.features));
  if (!connection.privileged) throw new XenError('EACCES', 'get the features of a domain');
  if (others.length > 0) refuse('get the features of a domain', 'it takes one domid');
  return encodeStrings(String(namedDomain(request, domid).features));
}

/** Says what a domain is to be offered. Throws EBUSY once it is introduced. */
export function setFeature(request: Request): Uint8Array {
  const [domid = '', text = '', ...others] = request.strings(2);
  const what = `set the features of domain ${domid}`;
  if (others.length > 0) refuse(what, 'it takes a domid and a number');
  const domain = namedDomain(request, domid);
  const features = leadingInteger(text);
  if (domain.introduced) throw new XenError('EBUSY', what, 'it is introduced already');
  if ((features & ~SERVER_FEATURES) !== 0) refuse(what, 'a bit stands for nothing that we have');
  domain.features = features;
  return OK_PAYLOAD;
}

/** A quota of all domains, or of one; without a name the names of all quotas. */
export function getQuota(request: Request): Uint8Array {
  const strings = request.strings(0);
  const [first = '', second] = strings;
  if (strings.length === 0) return encodeStrings([...QUOTAS_BY_NAME.keys()].join(' '));
  if (strings.length > 2) refuse('get a quota', 'it takes a domid and a name');
  const value =
    second === undefined
      ? request.store.quotas[namedQuota(first)]
      : namedDomain(request, first).account.quota(namedQuota(second));
  return encodeStrings(String(value));
}

/** Sets a quota of one domain, or of all that have none of their own; 0 for no limit. */
export function setQuota(request: Request): Uint8Array {
  const strings = request.strings(2);
  if (strings.length > 3) refuse('set a quota', 'it takes a domid, a name and a number');
  const [name, text] = strings.slice(-2) as [string, string];
  const domain = strings.length === 3 ? namedDomain(request, strings[0] as string) : undefined;
  const quota = namedQuota(name);
  const value = leadingInteger(text);
  if (value < 0) refuse('set a quota', 'it is not negative');
  if (domain === undefined) request.store.quotas[quota] = value;
  else domain.account.setQuota(quota, value);
  request.services.log.info(`quota ${name} is now ${value}`, {
    quota: name,
    limit: value,
    ...(domain === undefined ? {} : { domid: domain.domid }),
  });
  return OK_PAYLOAD;
}
