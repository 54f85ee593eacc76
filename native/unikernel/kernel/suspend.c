#include "suspend.h"

#include <xen/sched.h>

#include "clock.h"
#include "console.h"
#include "domain.h"
#include "events.h"
#include "grants.h"
#include "mappings.h"

/* What was Xen's, in the order in which things need each other. */
static void take_up(void) {
  domain_find_xen();
  domain_init();
  events_init();
  clock_resume();
  console_init();
  grants_resume();
  mappings_forget_ports();
}

long suspend(void) {
  if (mappings_have_foreign()) return -XEN_EBUSY;
  if (!grants_remember()) return -XEN_ENOMEM;
  struct sched_shutdown operation = {.reason = SHUTDOWN_suspend};
  const bool is_same = hypercall_sched(SCHEDOP_shutdown, &operation) != 0;
  if (!is_same) take_up();
  grants_forget();
  return is_same;
}
