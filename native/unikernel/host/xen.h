/* A small Xen inside of the process, with one domain that runs: enough to run the kernel's own event
 * channels, grants and mappings, and the script above them, where there is no Xen. */
#ifndef XEN_H
#define XEN_H

#include <stdbool.h>
#include <stdint.h>

/* The number of the one domain, which is another one after each pause. */
uint16_t host_domid(void);

/* Has pauses end in the same domain, as after a snapshot. */
void host_take_snapshots(void);

/* Forgets what there is of the one domain. */
void host_reset_domain(void);

/* Where guest-physical memory is in this process: the pool of pages, then Xen's own pages. The program
 * and its heap lie above the first GiB. */
#define HOST_POOL_START 0x20000000ull
#define HOST_POOL_BYTES (64ull << 20)
#define HOST_GRANT_FRAMES 4

/* Makes the memory and fills the pool. */
void host_memory_init(void);

/* Another domain, which only grants its pages: those of a file, in order, behind the reserved grants. */
#define HOST_PEER_DOMID 9
#define HOST_PEER_PAGES_MAX 1024
void host_open_peer(const char *path);
/* Lets guest-physical `frame_address` stand for the peer's page; false where it has none with that index. */
bool host_place_peer_page(uint64_t frame_address, unsigned index);
void host_remove_peer_page(uint64_t frame_address);

/* Lets guest-physical `frame_address` stand for page `index` of Xen's own. */
void host_place_grant_frame(uint64_t frame_address, unsigned index);
/* That page, as Xen sees it. */
void *host_grant_frame(unsigned index);

#endif
