import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);

// src/abi/sched.ts
var SHUTDOWN_poweroff = 0;
var SHUTDOWN_crash = 3;

export {
  SHUTDOWN_poweroff,
  SHUTDOWN_crash
};
//# sourceMappingURL=chunk-GPJKCV6N.js.map
