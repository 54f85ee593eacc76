/* What the parts of store-domain have in common. */
#ifndef STORE_DOMAIN_H
#define STORE_DOMAIN_H

#include <stdbool.h>
#include <stdint.h>

#include <xenctrl.h>

/* Says on stderr what has failed and why, by errno where that is not 0. Returns false. */
bool failed(const char *what);

/* The first domain that lives and for which `matches` holds; NULL where there is none. */
const xc_domaininfo_t *find_domain(xc_interface *xen, bool (*matches)(const xc_domaininfo_t *));

/*
 * The handle of a domain that is being made. Who makes it may be killed, and nobody else must take it for
 * one that is whole. Sixteen characters, as Xen's handles have.
 */
#define UNFINISHED_HANDLE "paravane: making"

/* Gives the domain its own handle, of as many bytes: it is whole from here on. */
bool finish(xc_interface *xen, uint32_t domid, const char *handle);

/* -- The journal's memory: pages of a domain that never runs, journal-domain.c -- */

struct journal {
    uint32_t domid;
    unsigned long pages;
};

/* The one that there is; false where there is none. */
bool journal_find(xc_interface *xen, struct journal *journal);
/* Makes it with `pages` pages of zeros. */
bool journal_create(xc_interface *xen, unsigned long pages, struct journal *journal);
/* Grants page i of it to domain `peer`, as the reference i behind those that Xen reserves. */
bool journal_grant(const struct journal *journal, uint32_t peer);

#endif
