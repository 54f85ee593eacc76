/*
 * Xen as far as libxenvchan needs it, for programs that run without Xen: loaded before its libraries
 * (LD_PRELOAD), it plays grants and event channels between processes of one domain.
 * PARAVANE_SHARED_MEMORY names a directory that shared-hypervisor.ts has made:
 *
 *   memory   page 0: the next free page, the next free port; page 1: of each port, the port at the
 *            other end, 0 while there is none; from page 2 on what is granted. A grant reference is
 *            the number of a page.
 *   port-N   a named pipe: a byte in it is a signal of port N
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096
#define NO_OFFSET UINT32_MAX

/* A page that says so when it is unmapped. */
struct noticed {
    unsigned char *page;
    uint32_t offset, port;
};

static struct noticed noticed[64];
static uint32_t *words;
static int memory = -1;
static int pipes[1024]; /* descriptors of named pipes, one more than each, 0 while unknown */

static void path_of(char *path, size_t size, const char *kind, int number)
{
    const char *directory = getenv("PARAVANE_SHARED_MEMORY");

    snprintf(path, size, number < 0 ? "%s/%s" : "%s/%s-%d", directory, kind, number);
}

static uint32_t *header(void)
{
    char path[256];

    if (words)
        return words;
    path_of(path, sizeof(path), "memory", -1);
    memory = open(path, O_RDWR | O_CLOEXEC);
    if (memory < 0)
        abort();
    words = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    return words;
}

static void *map_pages(uint32_t first, uint32_t count)
{
    header();
    void *pages = mmap(NULL, (size_t)count * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memory,
                       (off_t)first * PAGE);

    return pages == MAP_FAILED ? NULL : pages;
}

static int pipe_of(uint32_t port)
{
    char path[256];

    if (!pipes[port]) {
        path_of(path, sizeof(path), "port", (int)port);
        pipes[port] = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC) + 1;
    }
    return pipes[port] - 1;
}

static void signal_from(uint32_t port)
{
    uint32_t other = __atomic_load_n(&header()[1024 + port], __ATOMIC_SEQ_CST);

    if (other && write(pipe_of(other), "", 1) < 0 && errno != EAGAIN)
        abort();
}

static void *with_notice(void *page, uint32_t offset, uint32_t port)
{
    for (int i = 0; page && i < 64; i++)
        if (!noticed[i].page) {
            noticed[i] = (struct noticed){ page, offset, port };
            return page;
        }
    return page;
}

static int unmap(void *start, uint32_t count)
{
    for (int i = 0; i < 64; i++)
        if (noticed[i].page == start) {
            noticed[i].page[noticed[i].offset] = 0;
            signal_from(noticed[i].port);
            noticed[i].page = NULL;
        }
    return munmap(start, (size_t)count * PAGE);
}

/* Handles are never looked into. */
void *xengntshr_open(void *logger, unsigned flags) { return header(); }
int xengntshr_close(void *handle) { return 0; }
void *xengnttab_open(void *logger, unsigned flags) { return header(); }
int xengnttab_close(void *handle) { return 0; }

void *xengntshr_share_pages(void *handle, uint32_t domid, int count, uint32_t *refs, int writable)
{
    uint32_t first = __atomic_fetch_add(&header()[0], count, __ATOMIC_SEQ_CST);

    for (int i = 0; i < count; i++)
        refs[i] = first + i;
    return map_pages(first, count);
}

void *xengntshr_share_page_notify(void *handle, uint32_t domid, uint32_t *ref, int writable,
                                  uint32_t offset, uint32_t port)
{
    return with_notice(xengntshr_share_pages(handle, domid, 1, ref, writable), offset, port);
}

int xengntshr_unshare(void *handle, void *start, uint32_t count) { return unmap(start, count); }

void *xengnttab_map_domain_grant_refs(void *handle, uint32_t count, uint32_t domid, uint32_t *refs,
                                      int prot)
{
    for (uint32_t i = 0; i < count; i++)
        if (refs[i] != refs[0] + i)
            abort();
    return map_pages(refs[0], count);
}

void *xengnttab_map_grant_ref_notify(void *handle, uint32_t domid, uint32_t ref, int prot,
                                     uint32_t offset, uint32_t port)
{
    return with_notice(map_pages(ref, 1), offset, port);
}

int xengnttab_unmap(void *handle, void *start, uint32_t count) { return unmap(start, count); }

/* A handle of event channels has one port, as libxenvchan has it. */
struct evtchn {
    uint32_t port;
};

void *xenevtchn_open(void *logger, unsigned flags) { return calloc(1, sizeof(struct evtchn)); }

static int open_port(struct evtchn *handle, uint32_t other)
{
    char path[256];

    handle->port = __atomic_fetch_add(&header()[1], 1, __ATOMIC_SEQ_CST);
    path_of(path, sizeof(path), "port", (int)handle->port);
    if (mkfifo(path, 0600))
        return -1;
    header()[1024 + handle->port] = other;
    return (int)handle->port;
}

int xenevtchn_bind_unbound_port(struct evtchn *handle, uint32_t domid)
{
    return open_port(handle, 0);
}

int xenevtchn_bind_interdomain(struct evtchn *handle, uint32_t domid, uint32_t remote)
{
    uint32_t nobody = 0;
    int port = open_port(handle, remote);

    if (port < 0 || !__atomic_compare_exchange_n(&header()[1024 + remote], &nobody, (uint32_t)port,
                                                 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        errno = EINVAL;
        return -1;
    }
    return port;
}

int xenevtchn_close(struct evtchn *handle)
{
    uint32_t other = handle->port ? header()[1024 + handle->port] : 0;

    if (other)
        __atomic_store_n(&header()[1024 + other], 0, __ATOMIC_SEQ_CST);
    free(handle);
    return 0;
}

int xenevtchn_fd(struct evtchn *handle) { return pipe_of(handle->port); }

int xenevtchn_notify(struct evtchn *handle, uint32_t port)
{
    signal_from(port);
    return 0;
}

int xenevtchn_unbind(struct evtchn *handle, uint32_t port) { return 0; }
int xenevtchn_unmask(struct evtchn *handle, uint32_t port) { return 0; }

int xenevtchn_pending(struct evtchn *handle)
{
    char signals[256];
    struct pollfd readable = { pipe_of(handle->port), POLLIN, 0 };

    while (read(readable.fd, signals, sizeof(signals)) < 0) {
        if (errno != EAGAIN)
            return -1;
        poll(&readable, 1, -1);
    }
    return (int)handle->port;
}

/* vchan-socket-proxy asks whether the other domain is still there. */
void *xc_interface_open(void *logger, void *dombuild_logger, unsigned flags) { return header(); }
int xc_interface_close(void *handle) { return 0; }
int xc_domain_getinfo(void *handle, uint32_t first, unsigned max, void *info) { return -1; }
