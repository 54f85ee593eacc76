/* Addresses at which the pages of other domains, and Xen's, appear. */
#ifndef WINDOW_H
#define WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WINDOW_BASE 0x100000000ull
#define WINDOW_PAGES 262144ull
#define WINDOW_END (WINDOW_BASE + WINDOW_PAGES * 4096)

/* Says where the guest-physical addresses begin that have nothing behind them. */
void window_init(uint64_t first_free_frame_address);

/* Room for `count` pages in a row, or 0. Nothing is mapped there yet. */
uintptr_t window_reserve(size_t count);
void window_release(uintptr_t first, size_t count);

/* The guest-physical address that belongs to a page of the window: Xen puts a foreign page there. */
uint64_t window_frame_address(uintptr_t page);

/* Shows `count` frames of ours from guest-physical `frame_address` on. NULL: no room or memory. */
void *window_show(uint64_t frame_address, size_t count);

#endif
