/* One run of addresses, a bit a page. Behind it lies a run of guest-physical addresses without
 * memory, so that nothing has to be ballooned out to make room for a foreign page. */
#include "window.h"

#include "paging.h"

#define WORD_BITS 64

static uint64_t taken[WINDOW_PAGES / WORD_BITS];
static uint64_t frames_base;
/* Where the search for room begins: after what was given last, so that an address is not used again
 * soon and a stale use of it is a fault. */
static size_t next;

void window_init(uint64_t first_free_frame_address) { frames_base = first_free_frame_address; }

static bool is_taken(size_t page) { return taken[page / WORD_BITS] >> page % WORD_BITS & 1; }

static void set_taken(size_t first, size_t count, bool value) {
  for (size_t page = first; page < first + count; page++) {
    const uint64_t bit = 1ull << page % WORD_BITS;
    if (value) {
      taken[page / WORD_BITS] |= bit;
    } else {
      taken[page / WORD_BITS] &= ~bit;
    }
  }
}

static size_t find(size_t from, size_t count) {
  size_t run = 0;
  for (size_t page = from; page < WINDOW_PAGES; page++) {
    run = is_taken(page) ? 0 : run + 1;
    if (run == count) return page + 1 - count;
  }
  return WINDOW_PAGES;
}

uintptr_t window_reserve(size_t count) {
  if (count == 0 || count > WINDOW_PAGES) return 0;
  size_t first = find(next, count);
  if (first == WINDOW_PAGES) first = find(0, count);
  if (first == WINDOW_PAGES) return 0;
  const uintptr_t address = WINDOW_BASE + first * PAGE_SIZE;
  if (!paging_prepare(address, count)) return 0;
  set_taken(first, count, true);
  next = first + count;
  return address;
}

void window_release(uintptr_t first, size_t count) {
  for (size_t page = 0; page < count; page++) paging_hide(first + page * PAGE_SIZE);
  set_taken((first - WINDOW_BASE) / PAGE_SIZE, count, false);
}

uint64_t window_frame_address(uintptr_t page) { return frames_base + (page - WINDOW_BASE); }

void *window_show(uint64_t frame_address, size_t count) {
  const uintptr_t first = window_reserve(count);
  if (first == 0) return NULL;
  for (size_t page = 0; page < count; page++) {
    paging_show(first + page * PAGE_SIZE, frame_address + page * PAGE_SIZE);
  }
  return (void *)first;
}
