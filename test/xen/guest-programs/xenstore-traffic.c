/*
 * A guest's traffic with xenstore over /dev/xen/xenbus, all of it checked: each acknowledged write
 * is there, each change that is watched is told once, and nothing else comes.
 *
 * Prints "TRAFFIC n" now and then, "TRAFFIC-ERROR ..." for anything unexpected, and once the file
 * named by the first argument is there, "TRAFFIC-DONE n errors".
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* xen/include/public/io/xs_wire.h */
enum {
  XS_DIRECTORY = 1,
  XS_READ = 2,
  XS_WATCH = 4,
  XS_TRANSACTION_START = 6,
  XS_TRANSACTION_END = 7,
  XS_WRITE = 11,
  XS_RM = 13,
  XS_WATCH_EVENT = 15,
  XS_ERROR = 16,
};
struct message {
  uint32_t type, req_id, tx_id, len;
};

#define PAYLOAD_MAX 4096
#define KEYS 8
#define TOP "data/traffic"
#define TOKEN "traffic"
/* Nothing takes so long, not even an emulated host whose xenstored starts again. */
#define PATIENCE_MS 120000

static int bus;
static int errors;
static uint32_t last_request;
/* Events that are owed for each key, and for the watched node itself. */
static int owed[KEYS];
static int owed_top = 1;

static void problem(const char *format, ...) {
  va_list arguments;
  char text[512];
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  errors++;
  printf("TRAFFIC-ERROR %s\n", text);
  fflush(stdout);
}

static void must_read(void *target, size_t length) {
  char *at = target;
  while (length > 0) {
    struct pollfd wait = {.fd = bus, .events = POLLIN};
    if (poll(&wait, 1, PATIENCE_MS) == 0) {
      problem("nothing came for %d s; owed: %d %d %d %d %d %d %d %d, top %d", PATIENCE_MS / 1000,
              owed[0], owed[1], owed[2], owed[3], owed[4], owed[5], owed[6], owed[7], owed_top);
      exit(1);
    }
    ssize_t got = read(bus, at, length);
    if (got <= 0) {
      if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      problem("cannot read: %s", got < 0 ? strerror(errno) : "end of file");
      exit(1);
    }
    at += got;
    length -= got;
  }
}

/* Takes one message; an event is accounted for, anything else is a reply. */
static struct message receive(char *payload) {
  struct message header;
  must_read(&header, sizeof header);
  if (header.len > PAYLOAD_MAX) {
    problem("a message of %u bytes", header.len);
    exit(1);
  }
  must_read(payload, header.len);
  payload[header.len] = 0;
  if (header.type != XS_WATCH_EVENT) return header;
  int key = -1;
  const char *token = payload + strlen(payload) + 1;
  if (strcmp(token, TOKEN) != 0) problem("an event for %s with the token %s", payload, token);
  if (strcmp(payload, TOP) == 0) {
    if (--owed_top < 0) problem("the watched node was told of too often");
  } else if (sscanf(payload, TOP "/%d", &key) == 1 && key >= 0 && key < KEYS) {
    if (--owed[key] < 0) problem("%s was told of too often", payload);
  } else {
    problem("an event for %s", payload);
  }
  return header;
}

/* Sends a request and waits for its reply, whose payload it leaves in `reply`; returns its type. */
static uint32_t ask(uint32_t type, uint32_t transaction, const void *payload, size_t length,
                    char *reply) {
  char packet[sizeof(struct message) + PAYLOAD_MAX];
  struct message header = {type, ++last_request, transaction, length};
  memcpy(packet, &header, sizeof header);
  memcpy(packet + sizeof header, payload, length);
  if (write(bus, packet, sizeof header + length) != (ssize_t)(sizeof header + length)) {
    problem("cannot write: %s", strerror(errno));
    exit(1);
  }
  for (;;) {
    struct message answer = receive(reply);
    if (answer.type == XS_WATCH_EVENT) continue;
    if (answer.req_id != header.req_id) problem("a reply to request %u", answer.req_id);
    if (answer.type != type && answer.type != XS_ERROR) problem("a reply of type %u", answer.type);
    return answer.type;
  }
}

static void store(uint32_t transaction, const char *path, unsigned value) {
  char request[256], reply[PAYLOAD_MAX + 1];
  int length = snprintf(request, sizeof request, "%s%c%u", path, 0, value);
  if (ask(XS_WRITE, transaction, request, length, reply) == XS_ERROR)
    problem("write %s: %s", path, reply);
}

static unsigned load(uint32_t transaction, const char *path) {
  char reply[PAYLOAD_MAX + 1];
  if (ask(XS_READ, transaction, path, strlen(path) + 1, reply) == XS_ERROR) {
    problem("read %s: %s", path, reply);
    return 0;
  }
  return strtoul(reply, NULL, 10);
}

static void expect(const char *path, unsigned value) {
  unsigned found = load(0, path);
  if (found != value) problem("%s is %u and was written as %u", path, found, value);
}

/* Waits for the events that are owed. */
static void settle(void) {
  char payload[PAYLOAD_MAX + 1];
  for (int key = 0; key < KEYS; key++) {
    while (owed[key] > 0 || owed_top > 0) {
      struct message header = receive(payload);
      if (header.type != XS_WATCH_EVENT) problem("a message of type %u that nobody asked for", header.type);
    }
  }
}

static unsigned collisions;

/* Adds one to a node in a transaction, again when xenstored says so. */
static void increment(const char *path, int key, unsigned value) {
  char reply[PAYLOAD_MAX + 1];
  for (;;) {
    if (ask(XS_TRANSACTION_START, 0, "", 1, reply) == XS_ERROR) {
      problem("start a transaction: %s", reply);
      return;
    }
    uint32_t transaction = strtoul(reply, NULL, 10);
    unsigned found = load(transaction, path);
    if (found != value) problem("%s is %u in a transaction, not %u", path, found, value);
    store(transaction, path, value + 1);
    if (load(transaction, path) != value + 1) problem("a transaction does not see its own write");
    owed[key]++;
    if (ask(XS_TRANSACTION_END, transaction, "T", 2, reply) != XS_ERROR) return;
    owed[key]--;
    if (strcmp(reply, "EAGAIN") != 0) {
      problem("end a transaction: %s", reply);
      return;
    }
    collisions++;
  }
}

int main(int count, char **arguments) {
  char reply[PAYLOAD_MAX + 1], path[KEYS][64];
  unsigned values[KEYS] = {0};
  const char *until = count > 1 ? arguments[1] : "/tmp/stop";

  bus = open("/dev/xen/xenbus", O_RDWR);
  if (bus < 0) {
    problem("cannot open /dev/xen/xenbus: %s", strerror(errno));
    return 1;
  }
  for (int key = 0; key < KEYS; key++) {
    snprintf(path[key], sizeof path[key], TOP "/%d", key);
    store(0, path[key], 0);
  }
  const char watch[] = TOP "\0" TOKEN;
  if (ask(XS_WATCH, 0, watch, sizeof watch, reply) == XS_ERROR) problem("watch: %s", reply);
  settle();

  unsigned round = 0;
  for (; access(until, F_OK) != 0; round++) {
    int key = round % KEYS;
    if (round % 4 == 3) {
      increment(path[key], key, values[key]);
      values[key]++;
    } else {
      values[key] = round;
      owed[key]++;
      store(0, path[key], round);
    }
    settle();
    expect(path[key], values[key]);
    if (round % 10 == 9) {
      for (int other = 0; other < KEYS; other++) expect(path[other], values[other]);
      if (ask(XS_DIRECTORY, 0, TOP, sizeof TOP, reply) == XS_ERROR) problem("list: %s", reply);
      printf("TRAFFIC %u\n", round + 1);
      fflush(stdout);
    }
  }
  owed_top++;
  for (int key = 0; key < KEYS; key++) expect(path[key], values[key]);
  if (ask(XS_RM, 0, TOP, sizeof TOP, reply) == XS_ERROR) problem("remove: %s", reply);
  settle();
  printf("TRAFFIC-DONE %u rounds, %u transactions again, %d errors\n", round, collisions, errors);
  fflush(stdout);
  return errors != 0;
}
