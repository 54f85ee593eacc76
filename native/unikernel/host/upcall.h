/* How the small Xen tells its domain of events: by the FIFO ABI once the domain has asked for it, by
 * the one of two levels before. */
#ifndef UPCALL_H
#define UPCALL_H

#include <stdbool.h>

#include <xen/xen.h>

#include <xen/event_channel.h>

/* As many as the smaller of both ABIs has. */
#define HOST_PORTS EVTCHN_2L_NR_CHANNELS

/* Takes the FIFO ABI away, as an older Xen does not have it. */
void upcall_refuse_fifo(void);

/* Forgets the domain's ABI and ports. */
void upcall_reset(void);

long upcall_init_control(const struct evtchn_init_control *operation);
long upcall_expand_array(const struct evtchn_expand_array *operation);

void upcall_set_pending(evtchn_port_t port);
void upcall_clear_pending(evtchn_port_t port);
void upcall_unmask(evtchn_port_t port);

#endif
