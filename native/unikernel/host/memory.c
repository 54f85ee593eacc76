/* Guest-physical memory as a file in memory, so that a page can be seen at several addresses. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pages.h"
#include "window.h"
#include "xen.h"

static int memory;
static uint64_t grant_frame_addresses[HOST_GRANT_FRAMES];

/* The peer's memory, and where the domain has its pages; 0: nowhere. */
static int peer_memory;
static unsigned peer_pages;
static uint64_t peer_page_addresses[HOST_PEER_PAGES_MAX];

static void *map_at(uintptr_t address, size_t bytes, int file, off_t offset) {
  const int kind = file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
  const int protection = file < 0 ? PROT_NONE : PROT_READ | PROT_WRITE;
  void *start = mmap((void *)address, bytes, protection, kind | MAP_FIXED | MAP_NORESERVE, file,
                     offset);
  if (start == MAP_FAILED) {
    perror("host: mmap");
    exit(1);
  }
  return start;
}

void host_memory_init(void) {
  memory = memfd_create("guest-memory", 0);
  if (memory < 0 || ftruncate(memory, HOST_POOL_BYTES + HOST_GRANT_FRAMES * PAGE_SIZE) != 0) {
    perror("host: memfd_create");
    exit(1);
  }
  map_at(HOST_POOL_START, HOST_POOL_BYTES + HOST_GRANT_FRAMES * PAGE_SIZE, memory, 0);
  map_at(WINDOW_BASE, WINDOW_PAGES * PAGE_SIZE, -1, 0);
  pages_add(HOST_POOL_START, HOST_POOL_START + HOST_POOL_BYTES);
  window_init(8 * WINDOW_BASE);
}

void *host_grant_frame(unsigned index) {
  return (void *)(HOST_POOL_START + HOST_POOL_BYTES + index * PAGE_SIZE);
}

void host_reset_domain(void) {
  memset(grant_frame_addresses, 0, sizeof grant_frame_addresses);
  memset(host_grant_frame(0), 0, HOST_GRANT_FRAMES * PAGE_SIZE);
}

void host_place_grant_frame(uint64_t frame_address, unsigned index) {
  grant_frame_addresses[index] = frame_address;
}

void host_open_peer(const char *path) {
  struct stat stat;
  peer_memory = open(path, O_RDWR);
  if (peer_memory < 0 || fstat(peer_memory, &stat) != 0) {
    perror(path);
    exit(2);
  }
  peer_pages = stat.st_size / PAGE_SIZE < HOST_PEER_PAGES_MAX ? stat.st_size / PAGE_SIZE
                                                              : HOST_PEER_PAGES_MAX;
}

bool host_place_peer_page(uint64_t frame_address, unsigned index) {
  if (index >= peer_pages) return false;
  peer_page_addresses[index] = frame_address;
  return true;
}

void host_remove_peer_page(uint64_t frame_address) {
  for (unsigned i = 0; i < peer_pages; i++) {
    if (peer_page_addresses[i] == frame_address) peer_page_addresses[i] = 0;
  }
}

static off_t offset_of(uint64_t frame_address) {
  for (unsigned i = 0; i < HOST_GRANT_FRAMES; i++) {
    if (grant_frame_addresses[i] == frame_address) return HOST_POOL_BYTES + i * PAGE_SIZE;
  }
  return frame_address - HOST_POOL_START;
}

bool paging_prepare(uintptr_t page, size_t count) {
  (void)page;
  (void)count;
  return true;
}

void paging_show(uintptr_t page, uint64_t frame_address) {
  for (unsigned i = 0; i < peer_pages; i++) {
    if (peer_page_addresses[i] != frame_address) continue;
    map_at(page, PAGE_SIZE, peer_memory, (off_t)i * PAGE_SIZE);
    return;
  }
  map_at(page, PAGE_SIZE, memory, offset_of(frame_address));
}

void paging_hide(uintptr_t page) { map_at(page, PAGE_SIZE, -1, 0); }

/* Xen's copies find the bytes at the address that the process has them at. */
uint64_t paging_frame_address(uintptr_t address) { return address; }
