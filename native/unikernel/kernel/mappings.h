/* Runs of pages that more than one domain sees: ours that we share, and those of others that we map.
 * Each ends in the same way, whoever ends it. */
#ifndef MAPPINGS_H
#define MAPPINGS_H

#include <stddef.h>
#include <stdint.h>

#include "grants.h"

/* What the peer is to see when the pages end: a byte becomes 0, and an event channel is signalled. */
struct notice {
  int64_t byte_offset;              /* -1: none */
  uint32_t port;                    /* 0: none */
};

struct mapping;

/* Shares `count` new zeroed pages; `references` is filled. NULL with a negative errno in `*error`. */
struct mapping *mappings_share(domid_t peer, size_t count, bool writable, struct notice notice,
                               grant_ref_t *references, long *error);

/* Maps pages granted by `peer`, for reading and writing: all or none. On failure NULL, with a
 * negative errno in `*error`. */
struct mapping *mappings_map(domid_t peer, const grant_ref_t *references, size_t count,
                             struct notice notice, long *error);

/* Maps frames of `peer` by number, granted or not: all or none. For the privileged. */
struct mapping *mappings_map_foreign(domid_t peer, const uint64_t *frames, size_t count,
                                     long *error);

void *mapping_start(const struct mapping *mapping);
size_t mapping_bytes(const struct mapping *mapping);

/* Tells the peer, and lets go. A shared page that the peer still maps is kept out of use, see
 * mappings_sweep(). */
void mapping_end(struct mapping *mapping);

/* Looks which pages that outlived their sharing can be used again. Returns how many still cannot. */
size_t mappings_sweep(void);

/* Whether a page of another domain is mapped. */
bool mappings_have_foreign(void);

/* No notice signals its port any more: the ports are those of a domain that we no longer are. */
void mappings_forget_ports(void);

/* Gives every peer its notice, because the domain ends. */
void mappings_notify_all(void);

#endif
