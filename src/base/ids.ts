/** Numbers that Xen hands out, branded so that one cannot be passed where another is meant. */

declare const brand: unique symbol;
type Branded<Name extends string> = number & { readonly [brand]: Name };

/** A domain's number, `domid_t` in xen.h: 0 to 0x7fef for real domains. */
export type DomId = Branded<'DomId'>;
/** An index into the granting domain's grant table, `grant_ref_t` in grant_table.h. */
export type GrantRef = Branded<'GrantRef'>;
/** A local event-channel port, `evtchn_port_t` in event_channel.h. */
export type EventPort = Branded<'EventPort'>;

/** First domid that is no real domain's, `DOMID_FIRST_RESERVED` in xen.h. */
export const DOMID_FIRST_RESERVED = 0x7ff0;

/** The largest port number of the FIFO event channel ABI, `EVTCHN_FIFO_NR_CHANNELS` less one. */
export const EVENT_PORT_MAX = (1 << 17) - 1;

function integerInRange(what: string, value: number, max: number): number {
  if (!Number.isInteger(value) || value < 0 || value > max) {
    throw new RangeError(`${what} must be an integer from 0 to ${max}, not ${value}`);
  }
  return value;
}

export function domId(value: number): DomId {
  return integerInRange('a domid', value, DOMID_FIRST_RESERVED - 1) as DomId;
}

export function grantRef(value: number): GrantRef {
  return integerInRange('a grant reference', value, 0xffffffff) as GrantRef;
}

export function eventPort(value: number): EventPort {
  return integerInRange('an event channel port', value, EVENT_PORT_MAX) as EventPort;
}

/** The host's control domain. */
export const DOM0 = domId(0);
