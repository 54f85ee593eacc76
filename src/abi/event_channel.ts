/** Event channels, xen/include/public/event_channel.h. */
import { EVENT_PORT_MAX } from '../base/ids.ts';

/** Ports that a domain can have at most, with the FIFO ABI. */
export const EVTCHN_FIFO_NR_CHANNELS = EVENT_PORT_MAX + 1;
