/*
 * What C's xenstored and oxenstored ask of Xen, answered out of the directory in STAND_IN_DIR, so
 * that they run on any Linux machine under the hand of a test. Preloaded in front of libxenevtchn,
 * libxengnttab and libxenctrl. oxenstored's socket, whose path is fixed, is put there too.
 *
 *   domains   one byte a domid: 'r' runs, 's' has shut down, 'd' is dying, anything else: is none
 *   ring-N    the page that domain N shares with xenstored
 *   xsd_kva   the page of dom0's own kernel, and xsd_port its port
 *   events    a FIFO: a test writes the ports that are signalled, 32 bits each
 *   virqs     a page: its first 32 bits count the virtual interrupts that were handled
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <xenctrl.h>
#include <xenevtchn.h>
#include <xengnttab.h>

/* Test side: c-daemon.ts. */
#define VIRQ_PORT 1
#define FIRST_DOMAIN_PORT 100

static int dummy;
static int events_fd = -1;
static volatile uint32_t *virqs;

static int real_open(const char *path, int flags, int mode)
{
    int (*libc_open)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");

    return libc_open(path, flags, mode);
}

static int open_here(const char *name, int flags)
{
    char path[4096];

    snprintf(path, sizeof(path), "%s/%s", getenv("STAND_IN_DIR"), name);
    return real_open(path, flags | O_CLOEXEC, 0);
}

static void *map_here(const char *name)
{
    int fd = open_here(name, O_RDWR);
    void *page;

    if (fd < 0)
        return NULL;
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return page == MAP_FAILED ? NULL : page;
}

xenevtchn_handle *xenevtchn_open(xentoollog_logger *logger, unsigned int flags)
{
    events_fd = open_here("events", O_RDWR | O_NONBLOCK);
    virqs = map_here("virqs");
    return events_fd < 0 || virqs == NULL ? NULL : (xenevtchn_handle *)&dummy;
}

xenevtchn_handle *xenevtchn_fdopen(xentoollog_logger *logger, int fd, unsigned int flags)
{
    return xenevtchn_open(logger, flags);
}

int xenevtchn_close(xenevtchn_handle *handle) { return 0; }
int xenevtchn_fd(xenevtchn_handle *handle) { return events_fd; }
int xenevtchn_notify(xenevtchn_handle *handle, evtchn_port_t port) { return 0; }
int xenevtchn_unbind(xenevtchn_handle *handle, evtchn_port_t port) { return 0; }

int xenevtchn_unmask(xenevtchn_handle *handle, evtchn_port_t port)
{
    if (port == VIRQ_PORT)
        ++*virqs;
    return 0;
}

xenevtchn_port_or_error_t xenevtchn_bind_virq(xenevtchn_handle *handle, unsigned int virq)
{
    return VIRQ_PORT;
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *handle, uint32_t domid,
                                                     evtchn_port_t port)
{
    return FIRST_DOMAIN_PORT + domid;
}

xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle *handle)
{
    uint32_t port;

    return read(events_fd, &port, sizeof(port)) == sizeof(port) ? (int)port : -1;
}

xengnttab_handle *xengnttab_open(xentoollog_logger *logger, unsigned int flags)
{
    return (xengnttab_handle *)&dummy;
}

int xengnttab_close(xengnttab_handle *handle) { return 0; }
int xengnttab_set_max_grants(xengnttab_handle *handle, uint32_t count) { return 0; }

void *xengnttab_map_grant_ref(xengnttab_handle *handle, uint32_t domid, uint32_t ref, int prot)
{
    char name[32];
    void *page;

    snprintf(name, sizeof(name), "ring-%u", domid);
    page = map_here(name);
    if (page == NULL)
        errno = EINVAL;
    return page;
}

int xengnttab_unmap(xengnttab_handle *handle, void *start, uint32_t count)
{
    return munmap(start, count * 4096UL);
}

xc_interface *xc_interface_open(xentoollog_logger *logger, xentoollog_logger *dombuild,
                                unsigned int flags)
{
    return (xc_interface *)&dummy;
}

int xc_interface_close(xc_interface *handle) { return 0; }

int xc_domain_getinfo(xc_interface *handle, uint32_t first, unsigned int max, xc_dominfo_t *info)
{
    char state = 0;
    int fd = open_here("domains", O_RDONLY);

    if (fd < 0 || pread(fd, &state, 1, first) != 1)
        state = 0;
    if (fd >= 0)
        close(fd);
    if (state != 'r' && state != 's' && state != 'd')
        return 0;
    memset(info, 0, sizeof(*info));
    info->domid = first;
    info->shutdown = state != 'r';
    info->dying = state == 'd';
    return 1;
}

/* The two files of Linux's /dev/xen that xenstored opens by name. */
static int open_any(const char *path, int flags, int mode)
{
    if (strstr(path, "xsd_kva") != NULL)
        return open_here("xsd_kva", flags);
    if (strstr(path, "xsd_port") != NULL)
        return open_here("xsd_port", flags);
    return real_open(path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    va_list args;
    int mode;

    va_start(args, flags);
    mode = va_arg(args, int);
    va_end(args);
    return open_any(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list args;
    int mode;

    va_start(args, flags);
    mode = va_arg(args, int);
    va_end(args);
    return open_any(path, flags, mode);
}

/* More open files are allowed to root alone; whoever needs them raises the limit before. */
int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit) { return 0; }
int setrlimit64(__rlimit_resource_t resource, const struct rlimit64 *limit) { return 0; }

static const char fixed_rundir[] = "/var/run/xenstored/";

static int is_fixed(const char *path)
{
    return strncmp(path, fixed_rundir, sizeof(fixed_rundir) - 1) == 0;
}

int bind(int fd, const struct sockaddr *address, socklen_t length)
{
    int (*libc_bind)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "bind");
    const char *path = ((const struct sockaddr_un *)address)->sun_path;
    struct sockaddr_un here = { .sun_family = AF_UNIX };

    if (address->sa_family != AF_UNIX || !is_fixed(path))
        return libc_bind(fd, address, length);
    snprintf(here.sun_path, sizeof(here.sun_path), "%.40s/%.40s", getenv("STAND_IN_DIR"),
             path + sizeof(fixed_rundir) - 1);
    return libc_bind(fd, (struct sockaddr *)&here, sizeof(here));
}

/* The socket of a daemon that runs beside us is not ours to remove. */
int unlink(const char *path)
{
    int (*libc_unlink)(const char *) = dlsym(RTLD_NEXT, "unlink");

    return is_fixed(path) ? 0 : libc_unlink(path);
}
