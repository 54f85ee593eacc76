/* The pages of our own memory. Address and guest-physical address are the same. */
#ifndef PAGES_H
#define PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "paging.h"

/* Memory above this is left alone: 1 GiB is what the page tables of the image cover. */
#define POOL_END_MAX (1ull << 30)

/* Hands memory to the pool, or takes it out again, by whole pages. For the start of the kernel. */
void pages_add(uint64_t start, uint64_t end);
void pages_reserve(uint64_t start, uint64_t end);

/* `count` zeroed pages in a row, or NULL. */
void *pages_allocate(size_t count);
void pages_free(void *first, size_t count);

/* Takes the `count` pages from `first` on if all of them are free. They are zeroed. */
bool pages_take(void *first, size_t count);

size_t pages_total(void);
size_t pages_unused(void);
/* The end of the highest page of the pool. */
uint64_t pages_end(void);

#endif
