import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  struct,
  u16,
  u32
} from "./chunk-WRZEEFDO.js";
import {
  EVENT_PORT_MAX
} from "./chunk-GNCMNX2R.js";

// src/base/holdings.ts
var Holdings = class {
  things = [];
  /** Takes charge of `thing` and returns it. */
  keep(thing) {
    this.things.push(thing);
    return thing;
  }
  /** Idempotent. */
  close() {
    for (let thing = this.things.pop(); thing !== void 0; thing = this.things.pop()) {
      thing.close();
    }
  }
};

// src/abi/event_channel.ts
var EVTCHN_FIFO_NR_CHANNELS = EVENT_PORT_MAX + 1;
var EVTCHNSTAT_interdomain = 2;
var EvtchnStatus = struct(
  "struct evtchn_status",
  {
    dom: u16,
    port: u32,
    status: u32,
    vcpu: u32,
    peer: u16,
    peer_port: u32
  },
  { cFields: { peer: "u.interdomain.dom", peer_port: "u.interdomain.port" } }
);

export {
  EVTCHN_FIFO_NR_CHANNELS,
  EVTCHNSTAT_interdomain,
  EvtchnStatus,
  Holdings
};
//# sourceMappingURL=chunk-7FWQTIXQ.js.map
