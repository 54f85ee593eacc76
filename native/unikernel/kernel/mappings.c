#include "mappings.h"

#include <stdlib.h>
#include <string.h>

#include <xen/memory.h>

#include "domain.h"
#include "events.h"
#include "pages.h"
#include "window.h"

/* Grants that one hypercall maps or unmaps; Xen's own unit of unmapping. */
#define GRANTS_PER_CALL 32

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

static uintptr_t page_at(const struct mapping *mapping, size_t at) {
  return mapping->start + at * PAGE_SIZE;
}

/* Takes away `count` pages from the page `first` of the mapping on. Xen flushes once for all of a call. */
static void unmap_grants(const struct mapping *mapping, size_t first, size_t count) {
  struct gnttab_unmap_grant_ref operations[GRANTS_PER_CALL];
  while (count > 0) {
    const size_t length = count < GRANTS_PER_CALL ? count : GRANTS_PER_CALL;
    for (size_t i = 0; i < length; i++) {
      operations[i] = (struct gnttab_unmap_grant_ref){
          .host_addr = window_frame_address(page_at(mapping, first + i)),
          .handle = mapping->numbers[first + i],
      };
    }
    hypercall_grant_table(GNTTABOP_unmap_grant_ref, operations, length);
    first += length;
    count -= length;
  }
}

/* Maps `count` pages behind those that the mapping has. Of a refusal it keeps the pages before that,
 * and returns why. */
static long map_grants(struct mapping *mapping, domid_t peer, const grant_ref_t *references,
                       size_t count) {
  struct gnttab_map_grant_ref operations[GRANTS_PER_CALL];
  const size_t first = mapping->count;
  for (size_t i = 0; i < count; i++) {
    operations[i] = (struct gnttab_map_grant_ref){
        .host_addr = window_frame_address(page_at(mapping, first + i)),
        .flags = GNTMAP_host_map,
        .ref = references[i],
        .dom = peer,
    };
  }
  long refused = hypercall_grant_table(GNTTABOP_map_grant_ref, operations, count);
  if (refused != 0) return refused;
  for (size_t i = 0; i < count; i++) {
    mapping->numbers[first + i] = operations[i].handle;
    if (operations[i].status != GNTST_okay) {
      if (refused == 0) refused = errno_of_status(operations[i].status);
    } else if (refused != 0) {
      unmap_grants(mapping, first + i, 1);
    } else {
      paging_show(page_at(mapping, first + i), operations[i].host_addr);
      mapping->count++;
    }
  }
  return refused;
}

/* Xen cannot show a page of a domain in two places of that domain: it would take it away from the
 * first. What we granted to ourselves we find ourselves. */
static long map_own(struct mapping *mapping, grant_ref_t reference) {
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
  paging_show(page_at(mapping, mapping->count), (uint64_t)frame * PAGE_SIZE);
  mapping->numbers[mapping->count++] = reference;
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
    const grant_ref_t *next = references + mapping->count;
    const size_t left = count - mapping->count;
    const long refused =
        own ? map_own(mapping, *next)
            : map_grants(mapping, peer, next, left < GRANTS_PER_CALL ? left : GRANTS_PER_CALL);
    if (refused != 0) {
      window_release(page_at(mapping, mapping->count), count - mapping->count);
      return failed(mapping, refused, error);
    }
  }
  return mapping;
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
  if (mapping->kind == GRANTED) unmap_grants(mapping, 0, mapping->count);
  for (size_t at = 0; at < mapping->count; at++) {
    const uintptr_t page = page_at(mapping, at);
    const uint32_t number = mapping->numbers[at];
    switch (mapping->kind) {
      case SHARED: end_shared_page((void *)page, number); break;
      case GRANTED: break;
      case OWN: own_uses[number]--; break;
      case FOREIGN: remove_frame(page); break;
    }
  }
  if (mapping->kind != SHARED && mapping->count > 0) window_release(mapping->start, mapping->count);
  if (mapping->kind == OWN) mappings_sweep();
  forget(mapping);
}

bool mappings_have_foreign(void) {
  for (const struct mapping *mapping = mappings; mapping != NULL; mapping = mapping->next) {
    if (mapping->kind == GRANTED || mapping->kind == FOREIGN) return true;
  }
  return false;
}

void mappings_forget_ports(void) {
  for (struct mapping *mapping = mappings; mapping != NULL; mapping = mapping->next) {
    mapping->notice.port = 0;
  }
}

void mappings_notify_all(void) {
  for (const struct mapping *mapping = mappings; mapping != NULL; mapping = mapping->next) {
    notify(mapping);
  }
}
