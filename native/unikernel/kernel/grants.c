/* Version 1 of the table, which names frames below 16 TiB; ours are below 1 GiB. The table grows by a
 * page at a time to what Xen allows. */
#include "grants.h"

#include <xen/memory.h>

#include "console.h"
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

/* Has Xen show that frame of the table in its place of the window. */
static bool show_frame(size_t frame) {
  const uintptr_t page = (uintptr_t)table + frame * PAGE_SIZE;
  struct xen_add_to_physmap place = {
      .domid = DOMID_SELF,
      .space = XENMAPSPACE_grant_table,
      .idx = frame,
      .gpfn = window_frame_address(page) / PAGE_SIZE,
  };
  if (hypercall_memory(XENMEM_add_to_physmap, &place) != 0) return false;
  paging_show(page, place.gpfn * PAGE_SIZE);
  return true;
}

static bool add_frame(void) {
  if (frames == frames_max || !show_frame(frames)) return false;
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

/* What the table holds while the domain is not there. */
static grant_entry_v1_t *remembered;

bool grants_remember(void) {
  if (frames == 0) return true;
  remembered = pages_allocate(frames);
  if (remembered == NULL) return false;
  for (grant_ref_t entry = 0; entry < frames * PER_FRAME; entry++) remembered[entry] = table[entry];
  return true;
}

void grants_forget(void) {
  if (remembered != NULL) pages_free(remembered, frames);
  remembered = NULL;
}

void grants_resume(void) {
  for (size_t frame = 0; frame < frames; frame++) {
    if (show_frame(frame)) continue;
    console_print("unikernel: Xen has no room for our grants any more\n");
    domain_crash();
  }
  /* Who was permitted something is not there any more. Each reference still belongs to whoever had it. */
  for (grant_ref_t entry = GNTTAB_NR_RESERVED_ENTRIES; entry < frames * PER_FRAME; entry++) {
    table[entry].flags = 0;
    table[entry].domid = remembered[entry].domid;
    table[entry].frame = remembered[entry].frame;
  }
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
