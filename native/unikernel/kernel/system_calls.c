/* The system calls of Linux that a static, single-threaded program of musl makes. */
#include <stdbool.h>
#include <stdint.h>

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#include "clock.h"
#include "console.h"
#include "cpu.h"
#include "domain.h"
#include "entropy.h"
#include "pages.h"

#define ARCH_SET_FS 0x1002
#define MSR_FS_BASE 0xc0000100
#define NS_PER_S 1000000000ull

static size_t pages_of(uint64_t bytes) { return (bytes + PAGE_SIZE - 1) / PAGE_SIZE; }

static long map(uint64_t bytes, uint64_t flags) {
  if (!(flags & MAP_ANONYMOUS) || (flags & MAP_FIXED)) return -EINVAL;
  void *start = pages_allocate(pages_of(bytes));
  return start == NULL ? -ENOMEM : (long)start;
}

/* In place or not at all: the C library copies by itself where it must. */
static long remap(uintptr_t start, uint64_t bytes, uint64_t new_bytes) {
  const size_t count = pages_of(bytes), new_count = pages_of(new_bytes);
  if (new_count < count) {
    pages_free((void *)(start + new_count * PAGE_SIZE), count - new_count);
  } else if (!pages_take((void *)(start + count * PAGE_SIZE), new_count - count)) {
    return -ENOMEM;
  }
  return start;
}

static long write_vectors(const struct iovec *vectors, int count) {
  long total = 0;
  for (int i = 0; i < count; i++) {
    console_write(vectors[i].iov_base, vectors[i].iov_len);
    total += vectors[i].iov_len;
  }
  return total;
}

static long get_time(long clock, struct timespec *time) {
  const uint64_t now = clock == CLOCK_REALTIME ? clock_wallclock() : clock_now();
  time->tv_sec = now / NS_PER_S;
  time->tv_nsec = now % NS_PER_S;
  return 0;
}

static long set_thread_area(long code, uint64_t address) {
  if (code != ARCH_SET_FS) return -EINVAL;
  write_msr(MSR_FS_BASE, address);
  return 0;
}

/* What abort() begins with, as after an assertion that does not hold. It would end with `hlt`, which is to
 * Xen the orderly end of a domain. */
__attribute__((noreturn)) static void give_up(void) {
  console_print("unikernel: the C library has aborted\n");
  domain_crash();
}

/* Called by traps.S with the arguments in Linux's order. */
long system_call(long a, long b, long c, long d, long e, long f, long number) {
  (void)e;
  (void)f;
  switch (number) {
    case SYS_mmap: return map(b, d);
    case SYS_munmap: pages_free((void *)a, pages_of(b)); return 0;
    case SYS_mremap: return remap(a, b, c);
    case SYS_mprotect: return 0;
    case SYS_madvise: return 0;
    case SYS_write: console_write((const char *)b, c); return c;
    case SYS_writev: return write_vectors((const struct iovec *)b, c);
    case SYS_clock_gettime: return get_time(a, (struct timespec *)b);
    case SYS_getrandom: entropy_fill((void *)a, b); return b;
    case SYS_arch_prctl: return set_thread_area(a, b);
    case SYS_set_tid_address: return 1;
    case SYS_rt_sigprocmask: return 0;
    case SYS_tkill: give_up();
    case SYS_exit:
    case SYS_exit_group: domain_shutdown(a == 0 ? 0 : 3);
    /* brk among them: the C library then takes its memory by mmap. */
    default: return -ENOSYS;
  }
}
