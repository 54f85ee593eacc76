#include "events.h"

#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>

#include "console.h"
#include "domain.h"
#include "traps.h"

/* HVM_PARAM_CALLBACK_IRQ: the type of the value in its highest byte; 2 is a vector. */
#define CALLBACK_IS_VECTOR (2ull << 56)

static const struct event_abi *abi;
static evtchn_port_t timer_port;

void events_init(void) {
  abi = events_fifo_abi();
  if (abi == NULL) abi = events_two_level_abi();
  struct xen_hvm_param callback = {
      .domid = DOMID_SELF,
      .index = HVM_PARAM_CALLBACK_IRQ,
      .value = CALLBACK_IS_VECTOR | EVENT_VECTOR,
  };
  if (hypercall(__HYPERVISOR_hvm_op, HVMOP_set_param, (uintptr_t)&callback, 0, 0) != 0) {
    console_print("unikernel: Xen cannot raise events by a vector\n");
    domain_crash();
  }
}

long events_adopt(evtchn_port_t port) {
  const long failed = abi->cover(port);
  if (failed != 0) {
    events_close(port);
    return failed;
  }
  events_unmask(port);
  return 0;
}

static long opened(long failed, evtchn_port_t port) {
  if (failed == 0) failed = events_adopt(port);
  return failed ? failed : (long)port;
}

long events_allocate_unbound(domid_t peer) {
  struct evtchn_alloc_unbound operation = {.dom = DOMID_SELF, .remote_dom = peer};
  const long failed = hypercall_event_channel(EVTCHNOP_alloc_unbound, &operation);
  return opened(failed, operation.port);
}

long events_bind_interdomain(domid_t peer, evtchn_port_t remote_port) {
  struct evtchn_bind_interdomain operation = {.remote_dom = peer, .remote_port = remote_port};
  const long failed = hypercall_event_channel(EVTCHNOP_bind_interdomain, &operation);
  return opened(failed, operation.local_port);
}

long events_bind_virq(uint32_t virq) {
  struct evtchn_bind_virq operation = {.virq = virq};
  const long failed = hypercall_event_channel(EVTCHNOP_bind_virq, &operation);
  return opened(failed, operation.port);
}

void events_bind_timer(void) {
  const long port = events_bind_virq(VIRQ_TIMER);
  if (port < 0) {
    console_print("unikernel: Xen gives us no timer\n");
    domain_crash();
  }
  timer_port = port;
}

void events_close(evtchn_port_t port) {
  struct evtchn_close operation = {.port = port};
  abi->mask(port);
  hypercall_event_channel(EVTCHNOP_close, &operation);
}

void events_notify(evtchn_port_t port) {
  struct evtchn_send operation = {.port = port};
  /* A peer that is gone is no error of ours. */
  hypercall_event_channel(EVTCHNOP_send, &operation);
}

void events_mask(evtchn_port_t port) { abi->mask(port); }

void events_unmask(evtchn_port_t port) {
  if (!abi->unmask(port)) return;
  struct evtchn_unmask operation = {.port = port};
  hypercall_event_channel(EVTCHNOP_unmask, &operation);
}

long events_next(void) {
  for (;;) {
    const long port = abi->take();
    if (port < 0 || (evtchn_port_t)port != timer_port) return port;
    events_unmask(timer_port);
  }
}
