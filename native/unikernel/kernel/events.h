/* Event channels. A port that was signalled stays masked until whoever serves it unmasks it. */
#ifndef EVENTS_H
#define EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hypercall.h"

#include <xen/event_channel.h>

/* Chooses the FIFO ABI where Xen has it, the older one of two levels otherwise. After a pause again:
 * no port is open then. */
void events_init(void);

/* These give the new port, unmasked, or a negative errno of Xen's. */
long events_allocate_unbound(domid_t peer);
long events_bind_interdomain(domid_t peer, evtchn_port_t remote_port);
long events_bind_virq(uint32_t virq);

/* Takes over a port that the toolstack made for us. 0, or a negative errno. */
long events_adopt(evtchn_port_t port);

/* Binds the timer; events_next() does not report it. */
void events_bind_timer(void);

void events_close(evtchn_port_t port);
void events_notify(evtchn_port_t port);
void events_mask(evtchn_port_t port);
void events_unmask(evtchn_port_t port);

/* The next port that was signalled, masked from here on, or -1. */
long events_next(void);

/* Sleeps until Xen has an event for us. */
void events_wait(void);

/* One of the two ABIs by which Xen and we share the state of ports. */
struct event_abi {
  /* Makes what the port's state needs. 0, -XEN_ENOMEM, or -XEN_ENOSPC: there is no such port. */
  long (*cover)(evtchn_port_t port);
  void (*mask)(evtchn_port_t port);
  /* True when an event came meanwhile and Xen has to be asked to raise it again. */
  bool (*unmask)(evtchn_port_t port);
  /* The next port that is pending and not masked, with both reversed, or -1. */
  long (*take)(void);
};

/* Each begins without a port. NULL: Xen does not have it. */
const struct event_abi *events_two_level_abi(void);
const struct event_abi *events_fifo_abi(void);

#endif
