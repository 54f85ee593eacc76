/* xenstore's ring, from the guest's side (docs/misc/xenstore-ring.txt), without any good manners. */
#include "attacker.h"

struct xenstore_domain_interface *ring;
evtchn_port_t ring_port;
unsigned events_heard;
char last_event[XENSTORE_PAYLOAD_MAX + 1];

static XENSTORE_RING_IDX room(void) {
  return XENSTORE_RING_SIZE - (ring->req_prod - __atomic_load_n(&ring->req_cons, __ATOMIC_SEQ_CST));
}

static void put_now(const void *data, unsigned length) {
  XENSTORE_RING_IDX produced = ring->req_prod;
  for (unsigned at = 0; at < length; at++)
    ring->req[MASK_XENSTORE_IDX(produced + at)] = ((const char *)data)[at];
  __atomic_store_n(&ring->req_prod, produced + length, __ATOMIC_SEQ_CST);
}

void put(const void *data, unsigned length) {
  const char *from = data;
  while (length > 0) {
    unsigned part = room() < length ? room() : length;
    if (part == 0) {
      notify(ring_port);
      wait_for(ring_port);
      continue;
    }
    put_now(from, part);
    from += part;
    length -= part;
  }
  notify(ring_port);
}

static struct xsd_sockmsg header_of(unsigned type, uint32_t transaction, unsigned length) {
  return (struct xsd_sockmsg){.type = type, .req_id = 1, .tx_id = transaction, .len = length};
}

void send_bytes(unsigned type, uint32_t transaction, const void *body, unsigned length) {
  struct xsd_sockmsg header = header_of(type, transaction, length);
  put(&header, sizeof header);
  put(body, length);
}

void send(unsigned type, uint32_t transaction, const char *format, ...) {
  char body[TEXT_MAX];
  va_list arguments;
  va_start(arguments, format);
  send_bytes(type, transaction, body, format_request(body, format, arguments));
  va_end(arguments);
}

int send_if_room(unsigned type, uint32_t transaction, const void *body, unsigned length) {
  struct xsd_sockmsg header = header_of(type, transaction, length);
  if (room() < sizeof header + length) return 0;
  put_now(&header, sizeof header);
  put_now(body, length);
  return 1;
}

static void get(void *data, unsigned length) {
  char *to = data;
  while (length > 0) {
    XENSTORE_RING_IDX consumed = ring->rsp_cons;
    unsigned part = __atomic_load_n(&ring->rsp_prod, __ATOMIC_SEQ_CST) - consumed;
    if (part > length) part = length;
    if (part == 0) {
      wait_for(ring_port);
      continue;
    }
    for (unsigned at = 0; at < part; at++) to[at] = ring->rsp[MASK_XENSTORE_IDX(consumed + at)];
    __atomic_store_n(&ring->rsp_cons, consumed + part, __ATOMIC_SEQ_CST);
    notify(ring_port);
    to += part;
    length -= part;
  }
}

void receive(struct message *message) {
  get(&message->header, sizeof message->header);
  get(message->body, message->header.len);
  message->body[message->header.len] = 0;
}

/* The body in a form that can be printed: a NUL at its end goes, the others become `|`. */
static const char *readable(struct message *message) {
  unsigned length = message->header.len;
  if (length > 0 && message->body[length - 1] == 0) length--;
  for (unsigned at = 0; at < length; at++)
    if (message->body[at] == 0) message->body[at] = '|';
  return message->body;
}

const char *ask_bytes(unsigned type, uint32_t transaction, const void *body, unsigned length) {
  static struct message message;
  send_bytes(type, transaction, body, length);
  for (;;) {
    receive(&message);
    const char *text = readable(&message);
    if (message.header.type != XS_WATCH_EVENT) return text;
    events_heard++;
    memcpy(last_event, text, message.header.len + 1);
  }
}

const char *ask(unsigned type, uint32_t transaction, const char *format, ...) {
  static char body[TEXT_MAX];
  va_list arguments;
  va_start(arguments, format);
  unsigned length = format_request(body, format, arguments);
  va_end(arguments);
  return ask_bytes(type, transaction, body, length);
}

uint32_t start_transaction(void) {
  uint32_t id = 0;
  for (const char *digit = ask(XS_TRANSACTION_START, 0, "|"); *digit >= '0' && *digit <= '9'; digit++)
    id = id * 10 + (*digit - '0');
  return id;
}

const char *end_transaction(uint32_t transaction, int commit) {
  return ask(XS_TRANSACTION_END, transaction, commit ? "T|" : "F|");
}

unsigned receive_replies(unsigned count) {
  static struct message message;
  unsigned errors = 0;
  while (count > 0) {
    receive(&message);
    if (message.header.type == XS_WATCH_EVENT) continue;
    if (message.header.type == XS_ERROR) errors++;
    count--;
  }
  return errors;
}

int is_ok(const char *reply) { return strings_equal(reply, "OK"); }
