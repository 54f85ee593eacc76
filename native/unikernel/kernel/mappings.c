#include "mappings.h"

#include <stdlib.h>
#include <string.h>

#include <xen/memory.h>

#include "domain.h"
#include "events.h"
#include "pages.h"
#include "window.h"

enum kind { SHARED, GRANTED, OWN, FOREIGN };

struct mapping {
  struct mapping *next, **link;
  enum kind kind;
  uintptr_t start;
  size_t count;
  struct notice notice;
  /* By kind: our grant references, Xen's handles, or our references that are lent to ourselves. */
  uint32_t numbers[];
};

/* A shared page whose peer has not let go of it. It must not be used for anything else before. */
struct lingering {
  struct lingering *next;
  void *page;
  grant_ref_t reference;
};

static struct mapping *mappings;
static struct lingering *lingering;

/* How often we have mapped each of our own grants: Xen does not count those. */
static uint16_t *own_uses;
static size_t own_uses_length;

static struct mapping *begin(enum kind kind, size_t count, struct notice notice) {
  struct mapping *mapping = malloc(sizeof *mapping + count * sizeof mapping->numbers[0]);
  if (mapping == NULL) return NULL;
  *mapping = (struct mapping){.kind = kind, .notice = notice, .link = &mappings, .next = mappings};
  if (mappings != NULL) mappings->link = &mapping->next;
  mappings = mapping;
  return mapping;
}

static void forget(struct mapping *mapping) {
  *mapping->link = mapping->next;
  if (mapping->next != NULL) mapping->next->link = mapping->link;
  free(mapping);
}

static struct mapping *failed(struct mapping *mapping, long error, long *result) {
  *result = error;
  if (mapping == NULL) return NULL;
  mapping->notice = (struct notice){.byte_offset = -1};
  mapping_end(mapping);
  return NULL;
}

void *mapping_start(const struct mapping *mapping) { return (void *)mapping->start; }
size_t mapping_bytes(const struct mapping *mapping) { return mapping->count * PAGE_SIZE; }

/* -- Sharing -- */

static bool is_lent_to_ourselves(grant_ref_t reference) {
  return reference < own_uses_length && own_uses[reference] > 0;
}

static void let_go(struct lingering **link) {
  struct lingering *page = *link;
  *link = page->next;
  pages_free(page->page, 1);
  free(page);
}

size_t mappings_sweep(void) {
  size_t kept = 0;
  for (struct lingering **link = &lingering; *link != NULL;) {
    if (!is_lent_to_ourselves((*link)->reference) && grants_close((*link)->reference)) {
      let_go(link);
    } else {
      kept++;
      link = &(*link)->next;
    }
  }
  return kept;
}

static void end_shared_page(void *page, grant_ref_t reference) {
  if (!is_lent_to_ourselves(reference) && grants_close(reference)) {
    pages_free(page, 1);
    return;
  }
  struct lingering *kept = malloc(sizeof *kept);
  /* Without memory to remember it the page is lost; using it again would be worse. */
  if (kept == NULL) return;
  *kept = (struct lingering){.next = lingering, .page = page, .reference = reference};
  lingering = kept;
}

struct mapping *mappings_share(domid_t peer, size_t count, bool writable, struct notice notice,
                               grant_ref_t *references, long *error) {
  mappings_sweep();
  if (count > grants_unused()) return failed(NULL, -XEN_ENOSPC, error);
  struct mapping *mapping = begin(SHARED, count, notice);
  if (mapping == NULL) return failed(NULL, -XEN_ENOMEM, error);
  mapping->start = (uintptr_t)pages_allocate(count);
  if (mapping->start == 0) return failed(mapping, -XEN_ENOMEM, error);
  while (mapping->count < count) {
    void *page = (char *)mapping->start + mapping->count * PAGE_SIZE;
    const long reference = grants_open(peer, (uintptr_t)page / PAGE_SIZE, writable);
    if (reference < 0) {
      pages_free(page, count - mapping->count);
      return failed(mapping, reference, error);
    }
    mapping->numbers[mapping->count] = references[mapping->count] = reference;
    mapping->count++;
  }
  return mapping;
}

/* -- Mapping what others granted -- */

static long errno_of_status(int16_t status) {
  switch (status) {
    case GNTST_okay: return 0;
    case GNTST_permission_denied: return -XEN_EPERM;
    case GNTST_no_device_space:
    case GNTST_no_space: return -XEN_ENOSPC;
    case GNTST_eagain: return -XEN_EAGAIN;
    default: return -XEN_EINVAL;
  }
}

static long map_one(domid_t peer, grant_ref_t reference, uintptr_t page, grant_handle_t *handle) {
  struct gnttab_map_grant_ref operation = {
      .host_addr = window_frame_address(page),
      .flags = GNTMAP_host_map,
      .ref = reference,
      .dom = peer,
  };
  const long refused = hypercall_grant_table(GNTTABOP_map_grant_ref, &operation, 1);
  if (refused != 0) return refused;
  if (operation.status != GNTST_okay) return errno_of_status(operation.status);
  *handle = operation.handle;
  paging_show(page, operation.host_addr);
  return 0;
}

/* Xen cannot show a page of a domain in two places of that domain: it would take it away from the
 * first. What we granted to ourselves we find ourselves. */
static long map_own(grant_ref_t reference, uintptr_t page) {
  const int64_t frame = grants_own_frame(reference);
  if (frame < 0) return -XEN_EPERM;
  if (reference >= own_uses_length) {
    const size_t length = (reference / 512 + 1) * 512;
    uint16_t *larger = realloc(own_uses, length * sizeof *own_uses);
    if (larger == NULL) return -XEN_ENOMEM;
    memset(larger + own_uses_length, 0, (length - own_uses_length) * sizeof *own_uses);
    own_uses = larger;
    own_uses_length = length;
  }
  if (own_uses[reference] == UINT16_MAX) return -XEN_ENOSPC;
  own_uses[reference]++;
  paging_show(page, (uint64_t)frame * PAGE_SIZE);
  return 0;
}

struct mapping *mappings_map(domid_t peer, const grant_ref_t *references, size_t count,
                             struct notice notice, long *error) {
  const bool own = peer == domain_id();
  struct mapping *mapping = begin(own ? OWN : GRANTED, count, notice);
  if (mapping == NULL) return failed(NULL, -XEN_ENOMEM, error);
  mapping->start = window_reserve(count);
  if (mapping->start == 0) return failed(mapping, -XEN_ENOMEM, error);
  while (mapping->count < count) {
    const size_t at = mapping->count;
    const uintptr_t page = mapping->start + at * PAGE_SIZE;
    mapping->numbers[at] = references[at];
    const long refused = own ? map_own(references[at], page)
                             : map_one(peer, references[at], page, &mapping->numbers[at]);
    if (refused != 0) {
      window_release(page, count - at);
      return failed(mapping, refused, error);
    }
    mapping->count++;
  }
  return mapping;
}

static void unmap_one(uintptr_t page, grant_handle_t handle) {
  struct gnttab_unmap_grant_ref operation = {
      .host_addr = window_frame_address(page),
      .handle = handle,
  };
  hypercall_grant_table(GNTTABOP_unmap_grant_ref, &operation, 1);
}

/* -- Mapping frames -- */

struct mapping *mappings_map_foreign(domid_t peer, const uint64_t *frames, size_t count,
                                     long *error) {
  struct mapping *mapping = begin(FOREIGN, count, (struct notice){.byte_offset = -1});
  if (mapping == NULL) return failed(NULL, -XEN_ENOMEM, error);
  mapping->start = window_reserve(count);
  if (mapping->start == 0) return failed(mapping, -XEN_ENOMEM, error);
  while (mapping->count < count) {
    const uintptr_t page = mapping->start + mapping->count * PAGE_SIZE;
    xen_ulong_t index = frames[mapping->count];
    xen_pfn_t frame = window_frame_address(page) / PAGE_SIZE;
    int status = 0;
    struct xen_add_to_physmap_batch place = {
        .domid = DOMID_SELF,
        .space = XENMAPSPACE_gmfn_foreign,
        .size = 1,
        .u.foreign_domid = peer,
    };
    set_xen_guest_handle(place.idxs, &index);
    set_xen_guest_handle(place.gpfns, &frame);
    set_xen_guest_handle(place.errs, &status);
    const long refused = hypercall_memory(XENMEM_add_to_physmap_batch, &place);
    if (refused != 0 || status != 0) {
      window_release(page, count - mapping->count);
      return failed(mapping, refused ? refused : status, error);
    }
    paging_show(page, frame * PAGE_SIZE);
    mapping->count++;
  }
  return mapping;
}

static void remove_frame(uintptr_t page) {
  struct xen_remove_from_physmap operation = {
      .domid = DOMID_SELF,
      .gpfn = window_frame_address(page) / PAGE_SIZE,
  };
  hypercall_memory(XENMEM_remove_from_physmap, &operation);
}

/* -- The end -- */

static void notify(const struct mapping *mapping) {
  const struct notice *notice = &mapping->notice;
  if (notice->byte_offset >= 0) {
    __atomic_store_n((volatile char *)mapping->start + notice->byte_offset, 0, __ATOMIC_SEQ_CST);
  }
  if (notice->port != 0) events_notify(notice->port);
}

void mapping_end(struct mapping *mapping) {
  notify(mapping);
  for (size_t at = 0; at < mapping->count; at++) {
    const uintptr_t page = mapping->start + at * PAGE_SIZE;
    const uint32_t number = mapping->numbers[at];
    switch (mapping->kind) {
      case SHARED: end_shared_page((void *)page, number); break;
      case GRANTED: unmap_one(page, number); break;
      case OWN: own_uses[number]--; break;
      case FOREIGN: remove_frame(page); break;
    }
  }
  if (mapping->kind != SHARED && mapping->count > 0) window_release(mapping->start, mapping->count);
  if (mapping->kind == OWN) mappings_sweep();
  forget(mapping);
}

void mappings_notify_all(void) {
  for (const struct mapping *mapping = mappings; mapping != NULL; mapping = mapping->next) {
    notify(mapping);
  }
}
