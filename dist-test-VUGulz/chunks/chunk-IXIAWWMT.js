import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);

// src/abi/io/xenbus.ts
var XenbusStateUnknown = 0;
var XenbusStateInitialising = 1;
var XenbusStateInitWait = 2;
var XenbusStateInitialised = 3;
var XenbusStateConnected = 4;
var XenbusStateClosing = 5;
var XenbusStateClosed = 6;
var XenbusStateReconfiguring = 7;
var XenbusStateReconfigured = 8;

export {
  XenbusStateUnknown,
  XenbusStateInitialising,
  XenbusStateInitWait,
  XenbusStateInitialised,
  XenbusStateConnected,
  XenbusStateClosing,
  XenbusStateClosed,
  XenbusStateReconfiguring,
  XenbusStateReconfigured
};
//# sourceMappingURL=chunk-IXIAWWMT.js.map
