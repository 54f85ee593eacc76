/* From the first line of C to the C library's main(), in the order in which things need each other. */
#include <stddef.h>
#include <stdint.h>

#include <elf.h>

#include "boot_info.h"
#include "clock.h"
#include "console.h"
#include "domain.h"
#include "entropy.h"
#include "events.h"
#include "grants.h"
#include "paging.h"
#include "pages.h"
#include "traps.h"
#include "window.h"

/* The engine's heap, the bundle's objects, and the pages that it shares. */
#define MEMORY_MIN_KIB 1536

__attribute__((noreturn)) void enter_libc(const uint64_t *block);

static void require_memory(void) {
  const uint64_t unused_kib = pages_unused() * PAGE_SIZE / 1024;
  if (unused_kib >= MEMORY_MIN_KIB) return;
  console_printf("unikernel: %d KiB of memory are left after the image, and %d are needed at least\n",
                 unused_kib, (uint64_t)MEMORY_MIN_KIB);
  domain_crash();
}

/* What Linux would put on the stack of a new program. */
static const uint64_t *libc_block(void) {
  static uint8_t random[16];
  static uint64_t block[16];
  entropy_fill(random, sizeof random);
  uint64_t *at = block;
  *at++ = 1;
  *at++ = (uintptr_t)"unikernel";
  *at++ = 0;
  *at++ = 0;
  *at++ = AT_PAGESZ;
  *at++ = PAGE_SIZE;
  *at++ = AT_RANDOM;
  *at++ = (uintptr_t)random;
  *at++ = AT_NULL;
  return block;
}

__attribute__((noreturn)) void kernel_main(const struct hvm_start_info *info) {
  traps_init();
  if (!domain_find_xen()) {
    console_print("This image is a stub domain of Paravane, and there is no Xen here.\n"
                  "Start it on a host with Xen: as the kernel of a PVH domain, by xl.\n");
    domain_shutdown(0);
  }
  boot_info_keep_command_line(info);
  boot_info_add_memory(info);
  paging_init(pages_end());
  window_init(boot_info_memory_end());
  domain_init();
  events_init();
  clock_init();
  console_init();
  grants_init();
  require_memory();
  enter_libc(libc_block());
}
