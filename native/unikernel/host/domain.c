/* The domain as a process: its shared page, console, clock, entropy and end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "boot_info.h"
#include "clock.h"
#include "console.h"
#include "domain.h"
#include "entropy.h"
#include "events.h"
#include "xen.h"

#define NS_PER_S 1000000000ull

static struct shared_info shared;
static uint64_t wake_at = UINT64_MAX;

volatile struct shared_info *domain_shared_info(void) { return &shared; }
domid_t domain_id(void) { return host_domid(); }
bool domain_find_xen(void) { return true; }
void domain_init(void) { memset((void *)&shared, 0, sizeof shared); }

uint64_t domain_parameter(unsigned index) {
  (void)index;
  return 0;
}

__attribute__((noreturn)) void domain_shutdown(unsigned reason) {
  fflush(stdout);
  exit(reason);
}

__attribute__((noreturn)) void domain_crash(void) { domain_shutdown(3); }

void console_init(void) {}

/* What was printed is seen also if the process is killed. */
void console_write(const char *text, size_t length) {
  fwrite(text, 1, length, stdout);
  fflush(stdout);
}

bool console_has_input(void) { return false; }
uint32_t console_port(void) { return 0; }

size_t console_read(char *buffer, size_t capacity) {
  (void)buffer;
  (void)capacity;
  return 0;
}

static uint64_t read_clock(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return time.tv_sec * NS_PER_S + time.tv_nsec;
}

uint64_t clock_now(void) { return read_clock(CLOCK_MONOTONIC); }
uint64_t clock_used(void) { return read_clock(CLOCK_PROCESS_CPUTIME_ID); }
uint64_t clock_wallclock(void) { return read_clock(CLOCK_REALTIME); }
void clock_resume(void) {}

void clock_wake_at(uint64_t deadline) { wake_at = deadline; }

/* Nobody but we ourselves makes events, so that there is only time to wait for. */
void events_wait(void) {
  const struct timespec until = {wake_at / NS_PER_S, wake_at % NS_PER_S};
  if (!shared.vcpu_info[0].evtchn_upcall_pending) {
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
  }
}

void entropy_fill(void *bytes, size_t length) {
  if (getrandom(bytes, length, 0) != (ssize_t)length) abort();
}
