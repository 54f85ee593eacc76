/* The identity map of our memory, with a guard for everything, and the map of the window. */
#include "paging.h"

#include "pages.h"
#include "window.h"

#define PTE_NO_EXECUTE (1ull << 63)
#define LARGE_PAGE (512ull * PAGE_SIZE)
#define ENTRIES 512

/* The image, with its stacks, is mapped page by page; image.lds asserts that it ends within these. */
#define IMAGE_TABLES 8

extern uint64_t page_root[], page_pointers[], page_directories[];
extern uint32_t has_no_execute;
extern char __image_start[], __text_end[], __rodata_end[], __image_end[];
extern char __trap_stack_guard[], __main_stack_guard[];

static uint64_t image_tables[IMAGE_TABLES][ENTRIES] __attribute__((aligned(PAGE_SIZE)));
static uint64_t window_directory[ENTRIES] __attribute__((aligned(PAGE_SIZE)));

static uint64_t no_execute(void) { return has_no_execute ? PTE_NO_EXECUTE : 0; }

static bool is_guard(uint64_t address) {
  return address < PAGE_SIZE || address == (uintptr_t)__trap_stack_guard ||
         address == (uintptr_t)__main_stack_guard;
}

static uint64_t entry_for(uint64_t address) {
  if (is_guard(address)) return 0;
  const bool image = address >= (uintptr_t)__image_start;
  if (image && address < (uintptr_t)__text_end) return address | PTE_PRESENT;
  if (image && address < (uintptr_t)__rodata_end) return address | PTE_PRESENT | no_execute();
  return address | PTE_PRESENT | PTE_WRITE | no_execute();
}

static void flush_all(void) {
  asm volatile("mov %%cr3, %%rax; mov %%rax, %%cr3" ::: "rax", "memory");
}

static void flush(uintptr_t page) { asm volatile("invlpg (%0)" ::"r"(page) : "memory"); }

void paging_init(uint64_t ram_end) {
  for (size_t table = 0; table < IMAGE_TABLES; table++) {
    for (size_t entry = 0; entry < ENTRIES; entry++) {
      const uint64_t address = table * LARGE_PAGE + entry * PAGE_SIZE;
      image_tables[table][entry] = address < ram_end ? entry_for(address) : 0;
    }
    page_directories[table] = (uintptr_t)image_tables[table] | PTE_PRESENT | PTE_WRITE;
  }
  for (size_t entry = IMAGE_TABLES; entry < ENTRIES; entry++) {
    const uint64_t address = entry * LARGE_PAGE;
    page_directories[entry] =
        address < ram_end ? address | PTE_PRESENT | PTE_WRITE | PTE_LARGE | no_execute() : 0;
  }
  page_pointers[WINDOW_BASE >> 30] = (uintptr_t)window_directory | PTE_PRESENT | PTE_WRITE;
  flush_all();
}

static uint64_t *window_entry(uintptr_t page) {
  const uint64_t directory = window_directory[(page - WINDOW_BASE) / LARGE_PAGE];
  uint64_t *table = (uint64_t *)(uintptr_t)(directory & ~(uint64_t)(PAGE_SIZE - 1));
  return table + page / PAGE_SIZE % ENTRIES;
}

bool paging_prepare(uintptr_t page, size_t count) {
  const size_t last = (page + count * PAGE_SIZE - 1 - WINDOW_BASE) / LARGE_PAGE;
  for (size_t at = (page - WINDOW_BASE) / LARGE_PAGE; at <= last; at++) {
    if (window_directory[at] != 0) continue;
    void *table = pages_allocate(1);
    if (table == NULL) return false;
    /* Kept for good: there are at most 512 of them, and the window is used again and again. */
    window_directory[at] = (uintptr_t)table | PTE_PRESENT | PTE_WRITE;
  }
  return true;
}

void paging_show(uintptr_t page, uint64_t frame_address) {
  *window_entry(page) = frame_address | PTE_PRESENT | PTE_WRITE | no_execute();
}

void paging_hide(uintptr_t page) {
  *window_entry(page) = 0;
  flush(page);
}

uint64_t paging_frame_address(uintptr_t address) {
  if (address < WINDOW_BASE) return address;
  const uint64_t entry = *window_entry(address);
  return (entry & ~PTE_NO_EXECUTE & ~(uint64_t)(PAGE_SIZE - 1)) + address % PAGE_SIZE;
}

const char *paging_explain(uintptr_t address) {
  const uintptr_t page = address & ~(uintptr_t)(PAGE_SIZE - 1);
  if (page == (uintptr_t)__main_stack_guard) return "the stack is full";
  if (page == (uintptr_t)__trap_stack_guard) return "the stack for exceptions is full";
  if (page == 0) return "a null pointer was followed";
  if (page >= (uintptr_t)__image_start && page < (uintptr_t)__text_end) {
    return "code cannot be written";
  }
  if (page >= (uintptr_t)__text_end && page < (uintptr_t)__rodata_end) {
    return "a constant cannot be written or executed";
  }
  if (page >= WINDOW_BASE && page < WINDOW_END) return "a mapping that has ended was used";
  if (page < pages_end()) return "data cannot be executed";
  return NULL;
}
