/*
 * The memory of xenstored's journal is that of a domain which never runs. So it outlives the domain that
 * is xenstored, and every process of dom0; it is found again by its handle, and ends with the host.
 */
#include "store-domain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <xenforeignmemory.h>
#include <xen/grant_table.h>
#include <xen/memory.h>

#define PAGE_BYTES 4096UL
#define ENTRIES_PER_FRAME (PAGE_BYTES / sizeof(grant_entry_v1_t))

/* What no other domain is called. Sixteen characters, as Xen's handles have. */
static const char handle[sizeof(xen_domain_handle_t) + 1] = "paravane journal";

static unsigned long grant_frames(unsigned long pages) {
    return (GNTTAB_NR_RESERVED_ENTRIES + pages + ENTRIES_PER_FRAME - 1) / ENTRIES_PER_FRAME;
}

static bool is_journal(const xc_domaininfo_t *info) {
    return memcmp(info->handle, handle, sizeof(xen_domain_handle_t)) == 0;
}

bool journal_find(xc_interface *xen, struct journal *journal) {
    const xc_domaininfo_t *info = find_domain(xen, is_journal);

    if (info == NULL) return false;
    *journal = (struct journal){.domid = info->domain, .pages = info->tot_pages};
    return true;
}

/* Whatever was in those pages before is nothing to those who look for a journal in them. */
static bool clear(uint32_t domid, unsigned long pages, const xen_pfn_t *frames) {
    xenforeignmemory_handle *memory = xenforeignmemory_open(NULL, 0);
    int *errors = calloc(pages, sizeof *errors);
    void *start = NULL;

    if (memory != NULL && errors != NULL) {
        start = xenforeignmemory_map(memory, domid, PROT_READ | PROT_WRITE, pages, frames, errors);
    }
    for (unsigned long page = 0; start != NULL && page < pages; page++) {
        if (errors[page] == 0) continue;
        errno = -errors[page];
        xenforeignmemory_unmap(memory, start, pages);
        start = NULL;
    }
    if (start != NULL) {
        memset(start, 0, pages * PAGE_BYTES);
        xenforeignmemory_unmap(memory, start, pages);
    }
    free(errors);
    xenforeignmemory_close(memory);
    return start != NULL || failed("cannot clear the journal's pages");
}

static bool populate(xc_interface *xen, uint32_t domid, unsigned long pages) {
    xen_pfn_t *frames = calloc(pages, sizeof *frames);
    bool done = frames != NULL || failed("there is no memory");

    for (unsigned long page = 0; done && page < pages; page++) frames[page] = page;
    if (done && (xc_domain_setmaxmem(xen, domid, pages * (PAGE_BYTES / 1024)) != 0 ||
                 xc_domain_populate_physmap_exact(xen, domid, pages, 0, 0, frames) != 0)) {
        done = failed("Xen has no memory for the journal");
    }
    done = done && clear(domid, pages, frames);
    free(frames);
    return done;
}

bool journal_create(xc_interface *xen, unsigned long pages, struct journal *journal) {
    /* Translated, so that the frames which are granted are counted from 0, whoever may look. */
    struct xen_domctl_createdomain config = {
        .flags = XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap,
        .max_vcpus = 1,
        .max_evtchn_port = -1,
        .max_grant_frames = grant_frames(pages),
        .max_maptrack_frames = 1,
        .grant_opts = XEN_DOMCTL_GRANT_version(1),
        .arch.emulation_flags = XEN_X86_EMU_LAPIC,
    };
    uint32_t domid = 0;

    memcpy(config.handle, UNFINISHED_HANDLE, sizeof config.handle);
    if (xc_domain_create(xen, &domid, &config) != 0) {
        return failed("Xen makes no domain for the journal's memory");
    }
    *journal = (struct journal){.domid = domid, .pages = pages};
    if (populate(xen, domid, pages) && finish(xen, domid, handle)) return true;
    xc_domain_destroy(xen, domid);
    return false;
}

bool journal_grant(const struct journal *journal, uint32_t peer) {
    const unsigned long frames = grant_frames(journal->pages);
    xenforeignmemory_handle *memory = xenforeignmemory_open(NULL, 0);
    xenforeignmemory_resource_handle *table = NULL;
    void *start = NULL;

    if (memory != NULL) {
        table = xenforeignmemory_map_resource(
            memory, journal->domid, XENMEM_resource_grant_table,
            XENMEM_resource_grant_table_id_shared, 0, frames, &start, PROT_READ | PROT_WRITE, 0);
    }
    if (table == NULL) {
        failed("cannot write the grant table of the journal's domain");
    } else {
        grant_entry_v1_t *entries = (grant_entry_v1_t *)start + GNTTAB_NR_RESERVED_ENTRIES;
        for (unsigned long page = 0; page < journal->pages; page++) {
            entries[page].domid = peer;
            entries[page].frame = page;
            __atomic_store_n(&entries[page].flags, GTF_permit_access, __ATOMIC_RELEASE);
        }
        xenforeignmemory_unmap_resource(memory, table);
    }
    xenforeignmemory_close(memory);
    return table != NULL;
}
