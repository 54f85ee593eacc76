/* Our grant table: pages of ours that other domains may use. */
#ifndef GRANTS_H
#define GRANTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hypercall.h"

#include <xen/grant_table.h>

void grants_init(void);

/* Grants the frame to `peer`; a reference, or -XEN_ENOSPC. */
long grants_open(domid_t peer, uint64_t frame, bool writable);

/* Revokes the grant. False: the peer is still using it, and it stays. */
bool grants_close(grant_ref_t reference);

/* Grants that can still be opened. */
size_t grants_unused(void);

/* The frame that `reference` grants to ourselves, for reading and writing; -1 if it does not. */
int64_t grants_own_frame(grant_ref_t reference);

/* Before a pause, after which it may be in another domain: remembers who has which reference. False: no
 * memory for that. */
bool grants_remember(void);
/* In another domain: has a table again in which each reference is still taken, and permits nothing. */
void grants_resume(void);
/* After the pause, or in its place. */
void grants_forget(void);

#endif
