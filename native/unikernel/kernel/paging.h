/* Page tables: who may write or execute what, and where the pages of others appear. */
#ifndef PAGING_H
#define PAGING_H

#define PTE_PRESENT 1
#define PTE_WRITE 2
#define PTE_LARGE 0x80

#define PAGE_SIZE 4096

#ifndef __ASSEMBLY__
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Refines the boot tables: no page is both writable and executable, page 0 and the guard pages are
 * not there, nothing is mapped from `ram_end` on. */
void paging_init(uint64_t ram_end);

/* Lets `page` of the window (window.h) show the frame at guest-physical `frame_address`. The
 * directory for the page must be there: see paging_prepare(). */
void paging_show(uintptr_t page, uint64_t frame_address);

/* Makes what paging_show() needs for `count` pages from `page` on. False: no memory. */
bool paging_prepare(uintptr_t page, size_t count);

/* Ends what paging_show() did: the next use of `page` is a fault. */
void paging_hide(uintptr_t page);

/* Which guest-physical address the bytes at `address` have. */
uint64_t paging_frame_address(uintptr_t address);

/* What the fault at `address` means, as the end of a sentence; NULL if nothing special. */
const char *paging_explain(uintptr_t address);
#endif

#endif
