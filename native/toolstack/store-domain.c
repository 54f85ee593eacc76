/*
 * Makes the domain that is xenstored, as Xen's init-xenstore-domain does, but under the domid that it had
 * before, and with the memory of its journal, which is another domain's.
 *
 *     store-domain start IMAGE MEMORY_MIB JOURNAL_PAGES [CPU]...
 *     store-domain find
 *     store-domain destroy DOMID
 *
 * CPU is a processor that it may run on; all of them when none is given.
 *
 * The former two print `DOMID JOURNAL_DOMID CONSOLE_FRAME CONSOLE_PORT` of the domain that runs; `find`
 * nothing where there is none. libxl takes no part, as it needs a xenstored for everything that it does.
 */
#include "store-domain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <xenguest.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/hvm/e820.h>
#include <xen/hvm/params.h>
#include <xen/sys/xenbus_dev.h>

#define BACKEND_DEVICE "/dev/xen/xenbus_backend"
#define LOCK_FILE "/run/paravane-store-program.lock"
#define KIB_PER_MIB 1024UL
/* The kernel of stub domains uses no more. */
#define MEMORY_MIB_MAX 1024
/* A grant for each page of the journal, and what Xen can describe in a table that it allows by default. */
#define JOURNAL_PAGES_MIN 16
#define JOURNAL_PAGES_MAX 32000

/* To take up a large state is one turn of the script, and the host may be busy: a store domain that were
 * ended for it would be started again and again. */
#define TURN_LIMIT_MS 60000

#define LOOK_US 100000
#define LOOKS_MAX 100

#define GIB (1ULL << 30)
#define LAPIC_ADDRESS 0xfee00000ULL
#define SPECIAL_PAGES_END ((uint64_t)X86_HVM_END_SPECIAL_REGION << XC_PAGE_SHIFT)
#define SPECIAL_PAGES_START (SPECIAL_PAGES_END - (X86_HVM_NR_SPECIAL_PAGES << XC_PAGE_SHIFT))

/* What a store domain is called: nothing, as Xen knows it by its flag. */
static const char no_handle[sizeof(xen_domain_handle_t)];

struct request {
    const char *image;
    unsigned long memory_mib, journal_pages;
    char **cpus;
    int cpu_count;
};

static bool number(const char *text, unsigned long min, unsigned long max, unsigned long *value) {
    char *end;

    errno = 0;
    *value = strtoul(text, &end, 10);
    if (end != text && *end == 0 && *value >= min && *value <= max) return true;
    fprintf(stderr, "store-domain: %s is not a number from %lu to %lu\n", text, min, max);
    return false;
}

bool failed(const char *what) {
    fprintf(stderr, "store-domain: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
    return false;
}

const xc_domaininfo_t *find_domain(xc_interface *xen, bool (*matches)(const xc_domaininfo_t *)) {
    static xc_domaininfo_t info;

    for (uint32_t first = 1; xc_domain_getinfolist(xen, first, 1, &info) == 1;
         first = info.domain + 1) {
        if (!(info.flags & XEN_DOMINF_dying) && matches(&info)) return &info;
    }
    return NULL;
}

static bool is_store(const xc_domaininfo_t *info) { return info->flags & XEN_DOMINF_xs_domain; }

static bool is_unfinished(const xc_domaininfo_t *info) {
    return memcmp(info->handle, UNFINISHED_HANDLE, sizeof(xen_domain_handle_t)) == 0;
}

/* Destroys what a program that was killed has left half made. */
static bool discard_unfinished(xc_interface *xen) {
    for (;;) {
        const xc_domaininfo_t *info = find_domain(xen, is_unfinished);

        if (info == NULL) return true;
        if (xc_domain_destroy(xen, info->domain) != 0) {
            return failed("Xen does not destroy a domain that is half made");
        }
    }
}

bool finish(xc_interface *xen, uint32_t domid, const char *handle) {
    xen_domain_handle_t copy;

    memcpy(copy, handle, sizeof copy);
    return xc_domain_sethandle(xen, domid, copy) == 0 || failed("Xen does not name a domain that is made");
}

/* -- dom0's kernel as a client -- */

/* The domain that the kernel's event channel is for; 0: a process of dom0, or nobody yet. */
static uint32_t domain_of_port(xc_interface *xen, int port) {
    xc_evtchn_status_t status = {.dom = DOMID_SELF, .port = port};

    if (port <= 0 || xc_evtchn_status(xen, &status) != 0) return 0;
    if (status.status == EVTCHNSTAT_unbound) return status.u.unbound.dom;
    return status.status == EVTCHNSTAT_interdomain ? status.u.interdomain.dom : 0;
}

/* The domid that a store domain must have; 0: any, as there was none since the host has booted. */
static uint32_t wanted_domid(xc_interface *xen, int backend) {
    return domain_of_port(xen, ioctl(backend, IOCTL_XENBUS_BACKEND_EVTCHN, 0));
}

/* The port on which the kernel waits for domain `domid`. It chooses its xenstored once. */
static int kernel_port(xc_interface *xen, int backend, uint32_t domid) {
    if (wanted_domid(xen, backend) == domid) return ioctl(backend, IOCTL_XENBUS_BACKEND_EVTCHN, 0);
    const int port = ioctl(backend, IOCTL_XENBUS_BACKEND_SETUP, domid);
    if (port < 0 && errno == EEXIST) {
        errno = 0;
        failed("dom0's kernel has had another xenstored since it booted, and takes no domain now");
    } else if (port < 0) {
        failed("dom0's kernel opens no connection for a store domain");
    }
    return port;
}

/* -- Its making -- */

/* What the image is to be, and where its memory lies: all of it below the local APIC. */
static bool prepare(xc_interface *xen, struct xc_dom_image *image, const struct request *request) {
    const uint64_t bytes = (uint64_t)request->memory_mib << 20;

    errno = 0;
    if (xc_dom_kernel_file(image, request->image) != 0) return failed("cannot read the image");
    image->container_type = XC_DOM_HVM_CONTAINER;
    if (xc_dom_boot_xen_init(image, xen, DOMID_INVALID) != 0 || xc_dom_parse_image(image) != 0) {
        errno = 0;
        return failed("the image is none that Xen boots as a PVH domain");
    }
    image->target_pages = bytes >> XC_PAGE_SHIFT;
    image->lowmem_end = bytes;
    image->mmio_start = LAPIC_ADDRESS;
    image->mmio_size = 4 * GIB - LAPIC_ADDRESS;
    image->max_vcpus = 1;
    return true;
}

/* Asked first, as Xen itself says no more than that it does not make the domain. */
static bool host_has_pvh(xc_interface *xen) {
    const uint32_t needed = XEN_SYSCTL_PHYSCAP_hvm | XEN_SYSCTL_PHYSCAP_hap;
    xc_physinfo_t host = {0};

    if (xc_physinfo(xen, &host) != 0) return failed("cannot ask Xen about this host");
    errno = 0;
    return (host.capabilities & needed) == needed ||
           failed("a store domain is PVH, which needs hardware virtualisation with nested paging "
                  "(AMD-V with NPT, VT-x with EPT): Xen has none on this host");
}

/* A domain that has ended has its domid until all of its memory is free. */
static bool create_soon(xc_interface *xen, struct xen_domctl_createdomain *config, uint32_t *domid) {
    for (unsigned looks = 0; xc_domain_create(xen, domid, config) != 0; looks++) {
        if (errno != EEXIST || looks == LOOKS_MAX) return false;
        usleep(LOOK_US);
    }
    return true;
}

/* Lets it run on the processors that were named. Xen itself overlooks those that the host has not. */
static bool pin(xc_interface *xen, const struct request *request, uint32_t domid) {
    const unsigned long cpus = xc_get_max_cpus(xen);
    xc_cpumap_t map = xc_cpumap_alloc(xen);
    bool done = map != NULL;

    for (int i = 0; done && i < request->cpu_count; i++) {
        unsigned long cpu;

        done = number(request->cpus[i], 0, cpus - 1, &cpu);
        if (done) xc_cpumap_setcpu(cpu, map);
    }
    if (done && request->cpu_count > 0) {
        done = xc_vcpu_setaffinity(xen, domid, 0, map, NULL, XEN_VCPUAFFINITY_HARD) == 0;
        if (!done) failed("Xen does not let the store domain run on these processors");
    }
    if (map == NULL) failed("there is no memory");
    free(map);
    return done;
}

static bool create(xc_interface *xen, const struct request *request, uint32_t *domid) {
    struct xen_domctl_createdomain config = {
        .flags = XEN_DOMCTL_CDF_xs_domain | XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap,
        .max_vcpus = 1,
        .max_evtchn_port = -1,
        .max_grant_frames = 4,
        /* Each with 256 entries: a ring for every domid, and the journal. */
        .max_maptrack_frames = 128 + JOURNAL_PAGES_MAX / 256,
        .grant_opts = XEN_DOMCTL_GRANT_version(1),
        .arch.emulation_flags = XEN_X86_EMU_LAPIC,
    };
    const unsigned long limit_kib =
        request->memory_mib * KIB_PER_MIB + X86_HVM_NR_SPECIAL_PAGES * XC_PAGE_SIZE / 1024;

    memcpy(config.handle, UNFINISHED_HANDLE, sizeof config.handle);
    if (!create_soon(xen, &config, domid)) return failed("Xen makes no store domain");
    if (xc_domain_max_vcpus(xen, *domid, config.max_vcpus) == 0 &&
        xc_domain_setmaxmem(xen, *domid, limit_kib) == 0) {
        return pin(xen, request, *domid);
    }
    return failed("Xen gives the store domain no processor or memory");
}

static bool set_memory_map(xc_interface *xen, uint32_t domid, unsigned long memory_mib) {
    struct e820entry map[] = {
        {.addr = 0, .size = (uint64_t)memory_mib << 20, .type = E820_RAM},
        {.addr = SPECIAL_PAGES_START,
         .size = SPECIAL_PAGES_END - SPECIAL_PAGES_START,
         .type = E820_RESERVED},
    };

    return xc_domain_set_memory_map(xen, domid, map, sizeof map / sizeof map[0]) == 0;
}

static bool build(xc_interface *xen, struct xc_dom_image *image, const struct request *request,
                  uint32_t domid, const char *command_line) {
    const xc_evtchn_port_or_error_t console = xc_evtchn_alloc_unbound(xen, domid, 0);

    if (console < 0) return failed("the store domain has no port for its console");
    image->guest_domid = domid;
    image->xenstore_domid = domid;
    image->console_evtchn = console;
    image->cmdline = xc_dom_strdup(image, command_line);
    if (image->cmdline == NULL || xc_dom_mem_init(image, request->memory_mib) != 0 ||
        xc_dom_boot_mem_init(image) != 0 ||
        !set_memory_map(xen, domid, request->memory_mib) || xc_dom_build_image(image) != 0 ||
        xc_dom_boot_image(image) != 0 || xc_dom_gnttab_init(image) != 0) {
        return failed("cannot put the image into the store domain");
    }
    return true;
}

/* The journal that there is, or a new one, which domain `domid` may map. */
static bool have_journal(xc_interface *xen, unsigned long pages, uint32_t domid,
                         struct journal *journal) {
    return (journal_find(xen, journal) || journal_create(xen, pages, journal)) &&
           journal_grant(journal, domid);
}

/* Begins with the domain `domid`, which is paused. */
static bool equip(xc_interface *xen, int backend, struct xc_dom_image *image,
                  const struct request *request, uint32_t domid) {
    char command_line[160];
    struct journal journal;

    if (!have_journal(xen, request->journal_pages, domid, &journal)) return false;
    const int port = kernel_port(xen, backend, domid);
    if (port < 0) return false;
    snprintf(command_line, sizeof command_line,
             "--event %d --journal-domid %u --journal-pages %lu turn_limit_ms=%d", port, journal.domid,
             journal.pages, TURN_LIMIT_MS);
    if (!build(xen, image, request, domid, command_line)) return false;
    /* It is the one whom Xen tells of domains that have ended. */
    if (xc_domain_set_virq_handler(xen, domid, VIRQ_DOM_EXC) != 0 ||
        xc_domain_unpause(xen, domid) != 0) {
        return failed("Xen does not let the store domain run");
    }
    return finish(xen, domid, no_handle);
}

static bool start(xc_interface *xen, const struct request *request) {
    const int backend = open(BACKEND_DEVICE, O_RDWR);
    uint32_t domid = 0;
    bool done = false;

    if (backend < 0) return failed("cannot open " BACKEND_DEVICE);
    struct xc_dom_image *image = xc_dom_allocate(xen, NULL, NULL);
    if (image == NULL) {
        failed("there is no memory");
    } else if (host_has_pvh(xen) && prepare(xen, image, request)) {
        domid = wanted_domid(xen, backend);
        const bool created = create(xen, request, &domid);
        done = created && equip(xen, backend, image, request, domid);
        if (created && !done) xc_domain_destroy(xen, domid);
    }
    if (image != NULL) xc_dom_release(image);
    close(backend);
    return done;
}

/* -- Commands -- */

static bool show(xc_interface *xen) {
    const xc_domaininfo_t *store = find_domain(xen, is_store);
    struct journal journal = {0};
    uint64_t frame = 0, port = 0;

    if (store == NULL) return true;
    const uint32_t domid = store->domain;
    if (!journal_find(xen, &journal)) {
        errno = 0;
        return failed("the store domain that runs keeps its journal to itself: another program made it");
    }
    if (xc_hvm_param_get(xen, domid, HVM_PARAM_CONSOLE_PFN, &frame) != 0 ||
        xc_hvm_param_get(xen, domid, HVM_PARAM_CONSOLE_EVTCHN, &port) != 0) {
        return failed("cannot ask for the console of the store domain");
    }
    printf("%u %u %llu %llu\n", domid, journal.domid, (unsigned long long)frame,
           (unsigned long long)port);
    return true;
}

static bool destroy(xc_interface *xen, uint32_t domid) {
    const xc_domaininfo_t *store = find_domain(xen, is_store);

    errno = 0;
    if (store == NULL || store->domain != domid) return failed("no store domain has this domid");
    return xc_domain_destroy(xen, domid) == 0 || failed("Xen does not destroy the store domain");
}

/* Until the process ends: a second one would take what the first is making for half made. */
static bool lock(void) {
    const int fd = open(LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    return (fd >= 0 && flock(fd, LOCK_EX) == 0) || failed("cannot lock " LOCK_FILE);
}

static bool run(xc_interface *xen, int count, char **words) {
    struct request request;
    unsigned long domid;

    if (!lock()) return false;
    if (count == 2 && strcmp(words[1], "find") == 0) return discard_unfinished(xen) && show(xen);
    if (count == 3 && strcmp(words[1], "destroy") == 0) {
        return number(words[2], 1, DOMID_FIRST_RESERVED - 1, &domid) && destroy(xen, domid);
    }
    if (count >= 5 && strcmp(words[1], "start") == 0) {
        request.image = words[2];
        request.cpus = words + 5;
        request.cpu_count = count - 5;
        if (!number(words[3], 1, MEMORY_MIB_MAX, &request.memory_mib) ||
            !number(words[4], JOURNAL_PAGES_MIN, JOURNAL_PAGES_MAX, &request.journal_pages)) {
            return false;
        }
        if (!discard_unfinished(xen)) return false;
        errno = 0;
        if (find_domain(xen, is_store) != NULL) return failed("there is a store domain already");
        return start(xen, &request) && show(xen);
    }
    fprintf(stderr, "usage: store-domain start IMAGE MEMORY_MIB JOURNAL_PAGES [CPU]... | find | destroy DOMID\n");
    return false;
}

int main(int count, char **words) {
    xentoollog_logger *logger = (xentoollog_logger *)xtl_createlogger_stdiostream(
        stderr, XTL_ERROR, XTL_STDIOSTREAM_HIDE_PROGRESS);
    xc_interface *xen = xc_interface_open(logger, logger, 0);
    const bool done = xen != NULL ? run(xen, count, words)
                                  : failed("Xen does not answer here: is this dom0?");

    if (xen != NULL) xc_interface_close(xen);
    xtl_logger_destroy(logger);
    return done ? EXIT_SUCCESS : EXIT_FAILURE;
}
