import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);

// src/base/ids.ts
var DOMID_FIRST_RESERVED = 32752;
var EVENT_PORT_MAX = (1 << 17) - 1;
function integerInRange(what, value, max) {
  if (!Number.isInteger(value) || value < 0 || value > max) {
    throw new RangeError(`${what} must be an integer from 0 to ${max}, not ${value}`);
  }
  return value;
}
function domId(value) {
  return integerInRange("a domid", value, DOMID_FIRST_RESERVED - 1);
}
function grantRef(value) {
  return integerInRange("a grant reference", value, 4294967295);
}
function eventPort(value) {
  return integerInRange("an event channel port", value, EVENT_PORT_MAX);
}
var DOM0 = domId(0);

export {
  DOMID_FIRST_RESERVED,
  EVENT_PORT_MAX,
  domId,
  grantRef,
  eventPort,
  DOM0
};
//# sourceMappingURL=chunk-GNCMNX2R.js.map
