#include "domain.h"
#include "events.h"

void events_wait(void) {
  volatile struct vcpu_info *vcpu = &domain_shared_info()->vcpu_info[0];
  /* An event after this look interrupts the hlt: sti holds interrupts back for one instruction. */
  if (!vcpu->evtchn_upcall_pending) asm volatile("sti; hlt; cli" ::: "memory");
}
