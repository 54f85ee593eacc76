import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  XenbusStateClosed,
  XenbusStateClosing,
  XenbusStateConnected,
  XenbusStateInitWait,
  XenbusStateInitialised,
  XenbusStateInitialising,
  XenbusStateReconfigured,
  XenbusStateReconfiguring,
  XenbusStateUnknown
} from "./chunk-IXIAWWMT.js";

// src/xenbus/state.ts
var NAMES = {
  [XenbusStateUnknown]: "Unknown",
  [XenbusStateInitialising]: "Initialising",
  [XenbusStateInitWait]: "InitWait",
  [XenbusStateInitialised]: "Initialised",
  [XenbusStateConnected]: "Connected",
  [XenbusStateClosing]: "Closing",
  [XenbusStateClosed]: "Closed",
  [XenbusStateReconfiguring]: "Reconfiguring",
  [XenbusStateReconfigured]: "Reconfigured"
};
function xenbusStateName(state) {
  return NAMES[state];
}
function parseXenbusState(value) {
  return value !== void 0 && /^[1-8]$/.test(value) ? Number(value) : XenbusStateUnknown;
}

export {
  xenbusStateName,
  parseXenbusState
};
//# sourceMappingURL=chunk-CIIRNFUU.js.map
