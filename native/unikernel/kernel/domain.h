/* What this domain is, and its end. */
#ifndef DOMAIN_H
#define DOMAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "hypercall.h"

/* Finds Xen and its hypercall page, at the start and after each pause. False: we do not run on Xen. */
bool domain_find_xen(void);

/* Has Xen show the page that it shares with every domain, at the start and after each pause. */
void domain_init(void);

/* Our own domid, until the next pause. */
domid_t domain_id(void);

/* The page shared with Xen. */
volatile struct shared_info *domain_shared_info(void);

/* An HVM_PARAM_, or 0 where it is not set. */
uint64_t domain_parameter(unsigned index);

/* Ends the domain with a SHUTDOWN_ reason. The toolstack does what its configuration says to that. */
__attribute__((noreturn)) void domain_shutdown(unsigned reason);
__attribute__((noreturn)) void domain_crash(void);

#endif
