#include "console.h"

#include <xen/event_channel.h>
#include <xen/hvm/params.h>
#include <xen/io/console.h>
#include <xen/sched.h>

#include "clock.h"
#include "cpu.h"
#include "domain.h"
#include "events.h"
#include "window.h"

#define DEBUG_PORT 0xe9
#define SERIAL_PORT 0x3f8
#define SERIAL_STATUS (SERIAL_PORT + 5)
#define SERIAL_READY 0x20
#define SERIAL_TRIES 100000

/* How long a reader may take before text is given up; nobody may be reading at all. */
#define PATIENCE_NS 200000000ull

static volatile struct xencons_interface *ring;
static uint64_t ring_frame;
static uint32_t port;
static bool panicking, ring_is_stuck;

void console_init(void) {
  const uint64_t frame = domain_parameter(HVM_PARAM_CONSOLE_PFN);
  port = domain_parameter(HVM_PARAM_CONSOLE_EVTCHN);
  if (frame == 0 || port == 0) {
    ring = NULL;
    return;
  }
  /* The toolstack lets a domain have its page where it had it before a pause. */
  if (ring == NULL || frame != ring_frame) ring = window_show(frame * 4096, 1);
  ring_frame = frame;
  ring_is_stuck = false;
  if (ring != NULL && events_adopt(port) == 0) return;
  ring = NULL;
  port = 0;
}

static uint32_t out_free(void) {
  const uint32_t used = ring->out_prod - ring->out_cons;
  return used < sizeof ring->out ? sizeof ring->out - used : 0;
}

/* Whether `least` bytes of the ring are free, now or soon. */
static bool wait_for_room(uint32_t least) {
  if (out_free() >= least) {
    ring_is_stuck = false;
    return true;
  }
  if (ring_is_stuck) return false;
  events_notify(port);
  const uint64_t deadline = clock_now() + PATIENCE_NS;
  while (out_free() < least) {
    if (clock_now() > deadline) {
      ring_is_stuck = true;
      return false;
    }
    hypercall_sched(SCHEDOP_yield, NULL);
  }
  return true;
}

static void put_in_machine(char byte) {
  out8(DEBUG_PORT, byte);
  for (int i = 0; i < SERIAL_TRIES && !(in8(SERIAL_STATUS) & SERIAL_READY); i++) continue;
  out8(SERIAL_PORT, byte);
}

static void put(char byte) {
  if (ring == NULL) {
    put_in_machine(byte);
    return;
  }
  if (panicking) out8(DEBUG_PORT, byte);
  if (!wait_for_room(1)) return;
  ring->out[MASK_XENCONS_IDX(ring->out_prod, ring->out)] = byte;
  barrier();
  ring->out_prod++;
}

void console_write(const char *text, size_t length) {
  for (size_t i = 0; i < length; i++) {
    if (text[i] == '\n') put('\r');
    put(text[i]);
  }
  if (ring == NULL) return;
  barrier();
  events_notify(port);
}

bool console_has_input(void) { return ring != NULL && ring->in_prod != ring->in_cons; }

size_t console_read(char *buffer, size_t capacity) {
  if (ring == NULL) return 0;
  const uint32_t produced = ring->in_prod;
  uint32_t consumed = ring->in_cons;
  size_t count = 0;
  barrier();
  /* A reader that trusted the index would copy for ever. */
  if (produced - consumed > sizeof ring->in) consumed = produced - sizeof ring->in;
  while (consumed != produced && count < capacity) {
    buffer[count++] = ring->in[MASK_XENCONS_IDX(consumed++, ring->in)];
  }
  barrier();
  ring->in_cons = consumed;
  if (count > 0) events_notify(port);
  return count;
}

uint32_t console_port(void) { return port; }

void console_panic(void) { panicking = true; }

void console_flush(void) {
  if (ring != NULL) wait_for_room(sizeof ring->out);
}
