/* Xen writes into the shared page how to make nanoseconds of the processor's time stamp counter. */
#include "clock.h"

#include <stdbool.h>

#include <xen/vcpu.h>

#include "cpu.h"
#include "domain.h"
#include "events.h"

/* Xen writes here, whenever it gives us a processor, how long we have had one before. */
static volatile struct vcpu_runstate_info runstate __attribute__((aligned(64)));
static bool has_runstate;

/* What our times are ahead of Xen's since the last pause, and what they were last. */
static uint64_t offset, latest_now;
static uint64_t used_offset, latest_used;

void clock_init(void) {
  events_bind_timer();
  struct vcpu_register_runstate_memory_area area = {.addr.p = (uintptr_t)&runstate};
  has_runstate = hypercall(__HYPERVISOR_vcpu_op, VCPUOP_register_runstate_memory_area, 0,
                           (uintptr_t)&area, 0) == 0;
}

/* Nanoseconds since Xen started. */
static uint64_t xen_now(void) {
  volatile struct vcpu_time_info *time = &domain_shared_info()->vcpu_info[0].time;
  uint64_t system, elapsed;
  uint32_t version, multiplier;
  int8_t shift;
  do {
    /* An odd version says that Xen is writing; another one after, that it has written. */
    version = time->version;
    asm volatile("lfence" ::: "memory");
    elapsed = read_tsc() - time->tsc_timestamp;
    system = time->system_time;
    multiplier = time->tsc_to_system_mul;
    shift = time->tsc_shift;
    asm volatile("lfence" ::: "memory");
  } while ((version & 1) || version != time->version);
  elapsed = shift >= 0 ? elapsed << shift : elapsed >> -shift;
  return system + (uint64_t)((unsigned __int128)elapsed * multiplier >> 32);
}

uint64_t clock_now(void) {
  const uint64_t now = xen_now() + offset;
  /* Xen corrects its own drift, by which time could go back a little. */
  if (now > latest_now) latest_now = now;
  return latest_now;
}

void clock_resume(void) {
  clock_init();
  offset = latest_now - xen_now();
  used_offset = latest_used;
}

uint64_t clock_used(void) {
  if (!has_runstate) return clock_now();
  uint64_t since, before;
  do {
    /* Another value after says that we were without the processor in between. */
    since = runstate.state_entry_time;
    before = runstate.time[RUNSTATE_running];
  } while (since != runstate.state_entry_time);
  const uint64_t now = xen_now();
  /* Our clock may be behind Xen's by a little, and must not go back for that. */
  const uint64_t used = used_offset + before + (now > since ? now - since : 0);
  if (used > latest_used) latest_used = used;
  return latest_used;
}

uint64_t clock_wallclock(void) {
  volatile struct shared_info *info = domain_shared_info();
  uint64_t seconds, nanoseconds;
  uint32_t version;
  do {
    version = info->wc_version;
    asm volatile("lfence" ::: "memory");
    seconds = info->wc_sec | (uint64_t)info->wc_sec_hi << 32;
    nanoseconds = info->wc_nsec;
    asm volatile("lfence" ::: "memory");
  } while ((version & 1) || version != info->wc_version);
  return seconds * 1000000000 + nanoseconds + xen_now();
}

void clock_wake_at(uint64_t deadline) {
  struct vcpu_set_singleshot_timer timer = {.timeout_abs_ns = deadline - offset};
  hypercall(__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, (uintptr_t)&timer, 0);
}
