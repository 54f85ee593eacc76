/*
 * What a guest has of xenstore: reads one key over and over through /dev/xen/xenbus, commits a
 * transaction now and then, and prints how long the reads took and what went wrong.
 *
 *   xenstore-latency KEY VALUE MILLISECONDS SHARED
 *
 * It goes on that long, and until there are reads enough for its figures.
 *
 * KEY must always read as VALUE. Each transaction reads SHARED, which others may write meanwhile,
 * and writes data/transaction, both of which belong to it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <xen/io/xs_wire.h>

#define READS_MIN 32
#define READS_MAX 1000000
/* Reads between two transactions. */
#define READS_TOGETHER 8

/* Of a transaction that others are in the way of. */
#define TRIES_MAX 1000

static int xenbus;
static char reply[XENSTORE_PAYLOAD_MAX + 1];
static uint32_t took_us[READS_MAX];
static unsigned reads, wrong, committed, conflicted, failed;

static void die(const char *what) {
  fprintf(stderr, "xenstore-latency: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void take(void *data, size_t length) {
  for (char *to = data; length > 0;) {
    ssize_t got = read(xenbus, to, length);
    if (got <= 0) die("read /dev/xen/xenbus");
    to += got;
    length -= got;
  }
}

/* Sends a request and waits for the reply, whose type it returns; the body is in `reply`. */
static uint32_t ask(uint32_t type, uint32_t transaction, const void *body, uint32_t length) {
  struct {
    struct xsd_sockmsg header;
    char body[XENSTORE_PAYLOAD_MAX];
  } request = {.header = {.type = type, .req_id = 1, .tx_id = transaction, .len = length}};
  struct xsd_sockmsg header;
  memcpy(request.body, body, length);
  if (write(xenbus, &request, sizeof header + length) < 0) die("write /dev/xen/xenbus");
  take(&header, sizeof header);
  if (header.len > XENSTORE_PAYLOAD_MAX) die("a reply is too long");
  take(reply, header.len);
  reply[header.len] = 0;
  return header.type;
}

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static void read_once(const char *key, const char *value) {
  uint64_t start_ns = now_ns();
  uint32_t type = ask(XS_READ, 0, key, strlen(key) + 1);
  took_us[reads++] = (now_ns() - start_ns) / 1000;
  if (type != XS_READ || strcmp(reply, value) != 0) wrong++;
}

/* Whether it ended, if not well; otherwise it is to be tried again. */
static int transact_once(const char *shared) {
  static const char body[] = "data/transaction\0done";
  if (ask(XS_TRANSACTION_START, 0, "", 1) != XS_TRANSACTION_START) return failed++, 1;
  uint32_t transaction = strtoul(reply, NULL, 10);
  ask(XS_READ, transaction, shared, strlen(shared) + 1);
  int written = ask(XS_WRITE, transaction, body, sizeof body - 1) == XS_WRITE;
  int ended = ask(XS_TRANSACTION_END, transaction, "T", 2) == XS_TRANSACTION_END;
  if (written && ended) return committed++, 1;
  if (strcmp(reply, "EAGAIN") != 0) return failed++, 1;
  conflicted++;
  return 0;
}

static void transact(const char *shared) {
  for (unsigned tries = 0; !transact_once(shared); tries++)
    if (tries == TRIES_MAX) return;
}

static int compare(const void *one, const void *other) {
  uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
  return (a > b) - (a < b);
}

int main(int count, char **arguments) {
  if (count != 5) {
    fprintf(stderr, "usage: xenstore-latency KEY VALUE MILLISECONDS SHARED\n");
    return 2;
  }
  xenbus = open("/dev/xen/xenbus", O_RDWR);
  if (xenbus < 0) die("open /dev/xen/xenbus");
  uint64_t end_ns = now_ns() + strtoul(arguments[3], NULL, 10) * 1000000ull;
  while ((now_ns() < end_ns || reads < READS_MIN) && reads < READS_MAX) {
    read_once(arguments[1], arguments[2]);
    if (reads % READS_TOGETHER == 0) transact(arguments[4]);
  }
  qsort(took_us, reads, sizeof took_us[0], compare);
  printf("LATENCY reads=%u wrong=%u median_us=%u p99_us=%u max_us=%u "
         "committed=%u conflicted=%u failed=%u.\n",
         reads, wrong, took_us[reads / 2], took_us[reads * 99ull / 100], took_us[reads - 1],
         committed, conflicted, failed);
  return 0;
}
