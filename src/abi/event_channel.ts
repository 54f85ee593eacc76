/** Event channels, xen/include/public/event_channel.h. */
import { EVENT_PORT_MAX } from '../base/ids.ts';
import { struct, u16, u32 } from '../base/layout.ts';

/** Ports that a domain can have at most, with the FIFO ABI. */
export const EVTCHN_FIFO_NR_CHANNELS = EVENT_PORT_MAX + 1;

/** Of a channel that has a peer. */
export const EVTCHNSTAT_interdomain = 2;

/** What `EVTCHNOP_status` asks and answers; the peer of an interdomain channel. */
export const EvtchnStatus = struct(
  'struct evtchn_status',
  {
    dom: u16,
    port: u32,
    status: u32,
    vcpu: u32,
    peer: u16,
    peer_port: u32,
  },
  { cFields: { peer: 'u.interdomain.dom', peer_port: 'u.interdomain.port' } },
);
