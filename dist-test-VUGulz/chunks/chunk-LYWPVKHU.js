import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);

// src/hypervisor/contract.ts
var PAGE_SIZE = 4096;

export {
  PAGE_SIZE
};
//# sourceMappingURL=chunk-LYWPVKHU.js.map
