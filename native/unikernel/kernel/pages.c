/* A bit a page. Small runs are taken from the bottom and large ones from the top, so that a long life
 * of small allocations leaves room for large ones. */
#include "pages.h"

#define PAGES_MAX (POOL_END_MAX / PAGE_SIZE)
#define WORD_BITS 64

/* Runs of at least this many pages are large. */
#define LARGE_RUN 32

/* Set for a page that is in the pool and free. */
static uint64_t unused[PAGES_MAX / WORD_BITS];
static size_t total_count, unused_count, end_page;
/* No page below is free. */
static size_t lowest_unused;

static bool is_unused(size_t page) { return unused[page / WORD_BITS] >> page % WORD_BITS & 1; }

static void set_unused(size_t page, bool value) {
  const uint64_t bit = 1ull << page % WORD_BITS;
  if (value) {
    unused[page / WORD_BITS] |= bit;
  } else {
    unused[page / WORD_BITS] &= ~bit;
  }
}

void pages_add(uint64_t start, uint64_t end) {
  if (end > POOL_END_MAX) end = POOL_END_MAX;
  const size_t last = end / PAGE_SIZE;
  for (size_t page = (start + PAGE_SIZE - 1) / PAGE_SIZE; page < last; page++) {
    if (is_unused(page)) continue;
    set_unused(page, true);
    total_count++;
    unused_count++;
    if (page >= end_page) end_page = page + 1;
  }
}

void pages_reserve(uint64_t start, uint64_t end) {
  for (size_t page = start / PAGE_SIZE; page < end_page && page * PAGE_SIZE < end; page++) {
    if (!is_unused(page)) continue;
    set_unused(page, false);
    total_count--;
    unused_count--;
  }
}

static void zero(size_t page, size_t count) {
  uint64_t *word = (uint64_t *)(page * PAGE_SIZE);
  size_t words = count * PAGE_SIZE / sizeof *word;
  asm volatile("rep stosq" : "+D"(word), "+c"(words) : "a"(0) : "memory");
}

static void *take(size_t first, size_t count) {
  for (size_t page = first; page < first + count; page++) set_unused(page, false);
  unused_count -= count;
  if (first == lowest_unused) lowest_unused = first + count;
  zero(first, count);
  return (void *)(first * PAGE_SIZE);
}

static void *take_from_bottom(size_t count) {
  size_t run = 0;
  for (size_t page = lowest_unused; page < end_page; page++) {
    if (run == 0 && page % WORD_BITS == 0 && unused[page / WORD_BITS] == 0) {
      page += WORD_BITS - 1;
      continue;
    }
    if (!is_unused(page)) {
      run = 0;
      continue;
    }
    if (run == 0 && page > lowest_unused && count == 1) lowest_unused = page;
    if (++run == count) return take(page + 1 - count, count);
  }
  return NULL;
}

static void *take_from_top(size_t count) {
  size_t run = 0;
  for (size_t page = end_page; page-- > lowest_unused;) {
    run = is_unused(page) ? run + 1 : 0;
    if (run == count) return take(page, count);
  }
  return NULL;
}

void *pages_allocate(size_t count) {
  if (count == 0 || count > unused_count) return NULL;
  return count < LARGE_RUN ? take_from_bottom(count) : take_from_top(count);
}

bool pages_take(void *first, size_t count) {
  const size_t start = (uintptr_t)first / PAGE_SIZE;
  if (count > end_page || start > end_page - count) return false;
  for (size_t page = start; page < start + count; page++) {
    if (!is_unused(page)) return false;
  }
  take(start, count);
  return true;
}

void pages_free(void *first, size_t count) {
  const size_t start = (uintptr_t)first / PAGE_SIZE;
  for (size_t page = start; page < start + count; page++) set_unused(page, true);
  unused_count += count;
  if (start < lowest_unused) lowest_unused = start;
}

size_t pages_total(void) { return total_count; }
size_t pages_unused(void) { return unused_count; }
uint64_t pages_end(void) { return (uint64_t)end_page * PAGE_SIZE; }
