/* Version 1 of the table, which names frames below 16 TiB; ours are below 1 GiB. The table grows by a
 * page at a time to what Xen allows. */
#include "grants.h"

#include <xen/memory.h>

#include "domain.h"
#include "pages.h"
#include "window.h"

#define PER_FRAME (PAGE_SIZE / sizeof(grant_entry_v1_t))
#define END_OF_LIST 0

static volatile grant_entry_v1_t *table;
static size_t frames, frames_max;

/* A free entry names the next free one in its frame field; 0, a reserved one, ends the list. */
static grant_ref_t free_list = END_OF_LIST;
static size_t free_count;

static bool add_frame(void) {
  if (frames == frames_max) return false;
  struct xen_add_to_physmap place = {
      .domid = DOMID_SELF,
      .space = XENMAPSPACE_grant_table,
      .idx = frames,
      .gpfn = window_frame_address((uintptr_t)table + frames * PAGE_SIZE) / PAGE_SIZE,
  };
  if (hypercall_memory(XENMEM_add_to_physmap, &place) != 0) return false;
  paging_show((uintptr_t)table + frames * PAGE_SIZE, place.gpfn * PAGE_SIZE);
  const grant_ref_t first = frames * PER_FRAME;
  frames++;
  /* From the end, so that low references are used first. The toolstack fills the first eight. */
  for (grant_ref_t entry = frames * PER_FRAME; entry-- > first;) {
    if (entry < GNTTAB_NR_RESERVED_ENTRIES) break;
    table[entry].frame = free_list;
    free_list = entry;
    free_count++;
  }
  return true;
}

void grants_init(void) {
  struct gnttab_query_size size = {.dom = DOMID_SELF};
  if (hypercall_grant_table(GNTTABOP_query_size, &size, 1) != 0 || size.status != GNTST_okay) return;
  frames_max = size.max_nr_frames;
  table = (grant_entry_v1_t *)window_reserve(frames_max);
  if (table == NULL) frames_max = 0;
}

long grants_open(domid_t peer, uint64_t frame, bool writable) {
  if (free_list == END_OF_LIST && !add_frame()) return -XEN_ENOSPC;
  const grant_ref_t reference = free_list;
  volatile grant_entry_v1_t *entry = &table[reference];
  free_list = entry->frame;
  free_count--;
  entry->domid = peer;
  entry->frame = frame;
  /* Xen looks at the flags first: the rest must be there when it sees them. */
  __atomic_store_n(&entry->flags, GTF_permit_access | (writable ? 0 : GTF_readonly),
                   __ATOMIC_SEQ_CST);
  return reference;
}

bool grants_close(grant_ref_t reference) {
  volatile grant_entry_v1_t *entry = &table[reference];
  uint16_t flags = __atomic_load_n(&entry->flags, __ATOMIC_SEQ_CST);
  do {
    if (flags & (GTF_reading | GTF_writing)) return false;
  } while (!__atomic_compare_exchange_n(&entry->flags, &flags, 0, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST));
  entry->frame = free_list;
  free_list = reference;
  free_count++;
  return true;
}

size_t grants_unused(void) { return free_count + (frames_max - frames) * PER_FRAME; }

int64_t grants_own_frame(grant_ref_t reference) {
  if (reference >= frames * PER_FRAME) return -1;
  const uint16_t flags = table[reference].flags;
  if (table[reference].domid != domain_id()) return -1;
  if ((flags & GTF_type_mask) != GTF_permit_access || (flags & GTF_readonly)) return -1;
  return table[reference].frame;
}
