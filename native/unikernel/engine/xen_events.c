/* The object `xen`: event channels. Each call gives a number; a negative one is an errno of Xen's. */
#include <string.h>

#include "console.h"
#include "engine.h"
#include "events.h"

#define PORT_MAX (EVTCHN_FIFO_NR_CHANNELS - 1)
#define DOMID_MAX UINT16_MAX

#define METHOD(name) \
  static JSValue name(JSContext *context, JSValueConst self, int count, JSValueConst *arguments)

#define WORD_BITS 64

/* Ports that the script has made, a bit each, and how many are open with those that it has adopted. */
static uint64_t made[EVTCHN_FIFO_NR_CHANNELS / WORD_BITS];
static int open_ports;

static void count_ports(int change) {
  open_ports += change;
  engine_hold(change);
}

void xen_object_lose_ports(void) {
  memset(made, 0, sizeof made);
  count_ports(-open_ports);
}

void xen_object_close_ports(void) {
  for (evtchn_port_t port = 0; port <= PORT_MAX; port++) {
    if (made[port / WORD_BITS] >> port % WORD_BITS & 1) events_close(port);
  }
  xen_object_lose_ports();
}

static JSValue opened(JSContext *context, long port) {
  if (port >= 0) {
    made[port / WORD_BITS] |= 1ull << port % WORD_BITS;
    count_ports(1);
  }
  return JS_NewInt64(context, port);
}

METHOD(allocate_unbound) {
  uint32_t peer;
  if (!integer_argument(context, arguments[0], "peer", DOMID_MAX, &peer)) return JS_EXCEPTION;
  return opened(context, events_allocate_unbound(peer));
}

METHOD(bind_interdomain) {
  uint32_t peer, port;
  if (!integer_argument(context, arguments[0], "peer", DOMID_MAX, &peer) ||
      !integer_argument(context, arguments[1], "port", PORT_MAX, &port)) {
    return JS_EXCEPTION;
  }
  return opened(context, events_bind_interdomain(peer, port));
}

METHOD(bind_virq) {
  uint32_t virq;
  if (!integer_argument(context, arguments[0], "virq", NR_VIRQS - 1, &virq)) return JS_EXCEPTION;
  return opened(context, events_bind_virq(virq));
}

METHOD(adopt_port) {
  uint32_t port;
  if (!integer_argument(context, arguments[0], "port", PORT_MAX, &port)) return JS_EXCEPTION;
  const long failed = events_adopt(port);
  if (failed == 0) count_ports(1);
  return JS_NewInt64(context, failed ? failed : (long)port);
}

METHOD(close_port) {
  uint32_t port;
  if (!integer_argument(context, arguments[0], "port", PORT_MAX, &port)) return JS_EXCEPTION;
  events_close(port);
  made[port / WORD_BITS] &= ~(1ull << port % WORD_BITS);
  count_ports(-1);
  return JS_UNDEFINED;
}

/* What is done to a port that is open. */
static JSValue with_port(JSContext *context, JSValueConst value, void (*act)(evtchn_port_t)) {
  uint32_t port;
  if (!integer_argument(context, value, "port", PORT_MAX, &port)) return JS_EXCEPTION;
  act(port);
  return JS_UNDEFINED;
}

METHOD(notify) { return with_port(context, arguments[0], events_notify); }
METHOD(mask) { return with_port(context, arguments[0], events_mask); }
METHOD(unmask) { return with_port(context, arguments[0], events_unmask); }

static const JSCFunctionListEntry methods[] = {
    JS_CFUNC_DEF("allocateUnbound", 1, allocate_unbound),
    JS_CFUNC_DEF("bindInterdomain", 2, bind_interdomain),
    JS_CFUNC_DEF("bindVirq", 1, bind_virq),
    JS_CFUNC_DEF("adoptPort", 1, adopt_port),
    JS_CFUNC_DEF("closePort", 1, close_port),
    JS_CFUNC_DEF("notify", 1, notify),
    JS_CFUNC_DEF("mask", 1, mask),
    JS_CFUNC_DEF("unmask", 1, unmask),
};

void xen_object_add_events(JSContext *context, JSValue object) {
  JS_SetPropertyFunctionList(context, object, methods, sizeof methods / sizeof methods[0]);
}
