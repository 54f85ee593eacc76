#include "boot_info.h"

#include <stdbool.h>

#include <xen/memory.h>

#include "console.h"
#include "domain.h"
#include "pages.h"

#define COMMAND_LINE_MAX 1024
#define MAP_ENTRIES_MAX 64
#define GIB (1ull << 30)

/* An entry of the memory map that Xen has for those who were given none. */
struct e820_entry {
  uint64_t address, size;
  uint32_t type;
} __attribute__((packed));

extern char __image_start[], __image_end[];

static char command_line[COMMAND_LINE_MAX];
static const void *module;
static size_t module_length;
static uint64_t memory_end = 4 * GIB;

static void add_region(uint64_t start, uint64_t size, uint32_t type) {
  const uint64_t end = (start + size + GIB - 1) / GIB * GIB;
  if (end > memory_end) memory_end = end;
  if (type == XEN_HVM_MEMMAP_TYPE_RAM) pages_add(start, start + size);
}

static bool add_from_start_info(const struct hvm_start_info *info) {
  if (info->version < 1 || info->memmap_entries == 0) return false;
  const struct hvm_memmap_table_entry *entry = (const void *)info->memmap_paddr;
  for (uint32_t i = 0; i < info->memmap_entries; i++) {
    add_region(entry[i].addr, entry[i].size, entry[i].type);
  }
  return true;
}

/* init-xenstore-domain passes no map in the start info, but tells Xen of one or of a size. */
static bool add_from_xen(void) {
  static struct e820_entry entries[MAP_ENTRIES_MAX];
  struct xen_memory_map map = {.nr_entries = MAP_ENTRIES_MAX};
  set_xen_guest_handle(map.buffer, entries);
  if (hypercall_memory(XENMEM_memory_map, &map) != 0 || map.nr_entries == 0) return false;
  for (uint32_t i = 0; i < map.nr_entries; i++) {
    add_region(entries[i].address, entries[i].size, entries[i].type);
  }
  return true;
}

static size_t length_of(const char *text) {
  size_t length = 0;
  while (text[length] != 0) length++;
  return length;
}

static void reserve(uint64_t start, uint64_t size) { pages_reserve(start, start + size); }

static void reserve_modules(const struct hvm_start_info *info) {
  const struct hvm_modlist_entry *entry = (const void *)info->modlist_paddr;
  if (info->nr_modules == 0) return;
  reserve(info->modlist_paddr, info->nr_modules * sizeof *entry);
  for (uint32_t i = 0; i < info->nr_modules; i++) reserve(entry[i].paddr, entry[i].size);
  module = (const void *)entry[0].paddr;
  module_length = entry[0].size;
}

void boot_info_add_memory(const struct hvm_start_info *info) {
  if (!add_from_start_info(info) && !add_from_xen()) {
    console_print("unikernel: neither the loader nor Xen gives us a map of our memory\n");
    domain_crash();
  }
  /* Page 0 stays unmapped, so that a null pointer is a fault; then the image. */
  pages_reserve(0, PAGE_SIZE);
  pages_reserve((uintptr_t)__image_start, (uintptr_t)__image_end);
  reserve_modules(info);
}

void boot_info_keep_command_line(const struct hvm_start_info *info) {
  if (info->cmdline_paddr == 0) return;
  const char *text = (const char *)info->cmdline_paddr;
  size_t length = length_of(text);
  if (length >= COMMAND_LINE_MAX) {
    console_printf("unikernel: a command line of %d characters is cut after %d\n",
                   (uint64_t)length, (uint64_t)COMMAND_LINE_MAX - 1);
    length = COMMAND_LINE_MAX - 1;
  }
  for (size_t i = 0; i < length; i++) command_line[i] = text[i];
}

const char *boot_info_command_line(void) { return command_line; }
uint64_t boot_info_memory_end(void) { return memory_end; }

const void *boot_info_module(size_t *length) {
  *length = module_length;
  return module;
}
