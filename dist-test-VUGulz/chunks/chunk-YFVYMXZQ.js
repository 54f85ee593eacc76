import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);

// src/abi/xen.ts
var DOMID_SELF = 32752;
var DOMID_INVALID = 32756;
var DOMID_ANY = 32757;
var VIRQ_DOM_EXC = 3;
var VIRQ_CON_RING = 8;

export {
  DOMID_SELF,
  DOMID_INVALID,
  DOMID_ANY,
  VIRQ_DOM_EXC,
  VIRQ_CON_RING
};
//# sourceMappingURL=chunk-YFVYMXZQ.js.map
