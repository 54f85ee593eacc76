/*
 * Parts of the stub-domain kernel as a process of this machine, each under a part that the test plays:
 * what surrounds them is here in place of the rest of the kernel.
 *
 *     kernel-parts pages SEED           random allocations, each checked against a model
 *     kernel-parts map start|xen|none   who tells of the memory: the loader, Xen, nobody
 *     kernel-parts abort                the C library gives up
 */
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <xen/memory.h>

#include "boot_info.h"
#include "console.h"
#include "domain.h"
#include "entropy.h"
#include "pages.h"

#define POOL_START 0x20000000ull
#define POOL_PAGES 4096
#define RUNS_MAX 512
#define STEPS 200000
/* Runs up to this many pages are for small things, and never to be refused for want of a run. */
#define RUN_MAX 300

long system_call(long a, long b, long c, long d, long e, long f, long number);

/* -- What surrounds them -- */

char __image_start[PAGE_SIZE], __image_end[1];

static bool xen_has_map;

void console_write(const char *text, size_t length) { fwrite(text, 1, length, stdout); }
uint64_t clock_now(void) { return 0; }
uint64_t clock_wallclock(void) { return 0; }
void entropy_fill(void *bytes, size_t length) { memset(bytes, 1, length); }

__attribute__((noreturn)) void domain_shutdown(unsigned reason) {
  printf("shutdown %u\n", reason);
  exit(0);
}

__attribute__((noreturn)) void domain_crash(void) {
  printf("crash\n");
  exit(0);
}

long hypercall(unsigned number, uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
  (void)c;
  (void)d;
  if (number != __HYPERVISOR_memory_op || a != XENMEM_memory_map || !xen_has_map) {
    return -XEN_ENOSYS;
  }
  struct xen_memory_map *map = (void *)b;
  const struct __attribute__((packed)) {
    uint64_t address, size;
    uint32_t type;
  } entries[] = {{POOL_START, 16 * PAGE_SIZE, 1}, {5ull << 30, PAGE_SIZE, 2}};
  memcpy(map->buffer.p, entries, sizeof entries);
  map->nr_entries = sizeof entries / sizeof entries[0];
  return 0;
}

/* -- Pages -- */

struct run {
  uint64_t *start;
  size_t count;
};

static struct run runs[RUNS_MAX];

static void require(bool holds, const char *rule, unsigned step) {
  if (holds) return;
  printf("step %u: %s\n", step, rule);
  exit(1);
}

static void allocate(struct run *run, size_t count, unsigned step) {
  run->start = pages_allocate(count);
  if (run->start == NULL) return;
  run->count = count;
  for (size_t word = 0; word < count * PAGE_SIZE / 8; word += PAGE_SIZE / 8) {
    require(run->start[word] == 0, "a page is given that somebody has, or is not zeroed", step);
    run->start[word] = (uintptr_t)run | 1;
  }
}

static void let_go(struct run *run, unsigned step) {
  for (size_t word = 0; word < run->count * PAGE_SIZE / 8; word += PAGE_SIZE / 8) {
    require(run->start[word] == ((uintptr_t)run | 1), "a page was given to another, too", step);
  }
  pages_free(run->start, run->count);
  *run = (struct run){NULL, 0};
}

/* Mostly what the C library and rings ask for, now and then what a large buffer takes. */
static size_t random_count(void) {
  const int kind = random() % 20;
  if (kind == 0) return 1 + random() % RUN_MAX;
  return kind < 5 ? 1 + random() % 8 : 1;
}

static void live_long(void) {
  pages_add(POOL_START, POOL_START + POOL_PAGES * PAGE_SIZE);
  size_t used = 0, refused = 0;
  for (unsigned step = 0; step < STEPS; step++) {
    struct run *run = &runs[random() % RUNS_MAX];
    if (run->start != NULL) {
      used -= run->count;
      let_go(run, step);
    } else {
      const size_t count = random_count();
      allocate(run, count, step);
      used += run->count;
      /* Half of the memory is free: then no run is refused, however long all this has lasted. */
      if (run->start == NULL && used + count <= POOL_PAGES / 2) refused++;
    }
    require(pages_unused() == POOL_PAGES - used, "pages are counted wrongly", step);
  }
  for (struct run *run = runs; run < runs + RUNS_MAX; run++) {
    if (run->start != NULL) let_go(run, STEPS);
  }
  require(pages_unused() == pages_total() && pages_total() == POOL_PAGES, "pages are lost", STEPS);
  require(pages_allocate(POOL_PAGES) != NULL, "all pages are free, and are no run", STEPS);
  printf("refused %zu\n", refused);
}

/* -- The map of memory -- */

static void find_memory(const char *whose) {
  struct hvm_memmap_table_entry entry = {
      .addr = POOL_START, .size = 8 * PAGE_SIZE, .type = XEN_HVM_MEMMAP_TYPE_RAM};
  struct hvm_start_info info = {.version = 1};
  xen_has_map = strcmp(whose, "xen") == 0;
  if (strcmp(whose, "start") == 0) {
    info.memmap_paddr = (uintptr_t)&entry;
    info.memmap_entries = 1;
  }
  boot_info_add_memory(&info);
  printf("pages %zu, end %llx\n", pages_total(), (unsigned long long)boot_info_memory_end());
}

int main(int count, char **words) {
  mmap((void *)POOL_START, POOL_PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  if (count == 3 && strcmp(words[1], "pages") == 0) {
    srandom(strtoul(words[2], NULL, 10));
    live_long();
  } else if (count == 3 && strcmp(words[1], "map") == 0) {
    find_memory(words[2]);
  } else if (count == 2 && strcmp(words[1], "abort") == 0) {
    system_call(1, SIGABRT, 0, 0, 0, 0, SYS_tkill);
    printf("went on\n");
  } else {
    return 2;
  }
  return 0;
}
