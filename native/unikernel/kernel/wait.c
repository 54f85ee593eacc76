#include "domain.h"
#include "events.h"

void halt_until_event(void);

void events_wait(void) {
  volatile struct vcpu_info *vcpu = &domain_shared_info()->vcpu_info[0];
  if (!vcpu->evtchn_upcall_pending) halt_until_event();
}
