#include "upcall.h"

#include <stddef.h>
#include <string.h>

#include <xen/errno.h>

#include "domain.h"
#include "pages.h"

#define WORD_BITS 64
#define WORDS_PER_PAGE (PAGE_SIZE / sizeof(event_word_t))

#define PENDING (1u << EVTCHN_FIFO_PENDING)
#define MASKED (1u << EVTCHN_FIFO_MASKED)
#define LINKED (1u << EVTCHN_FIFO_LINKED)

static bool refuses_fifo;

/* NULL: the domain has the ABI of two levels. */
static volatile struct evtchn_fifo_control_block *control;
static volatile event_word_t *array[HOST_PORTS / WORDS_PER_PAGE];
static size_t array_pages;
/* Ports that became pending before the domain had given a page for their words. */
static bool early[HOST_PORTS];
/* The port that was queued last; 0: none yet. */
static evtchn_port_t tail;

void upcall_refuse_fifo(void) { refuses_fifo = true; }

void upcall_reset(void) {
  control = NULL;
  array_pages = 0;
  tail = 0;
  memset(early, 0, sizeof early);
}

static void raise_upcall(void) { domain_shared_info()->vcpu_info[0].evtchn_upcall_pending = 1; }

/* -- Two levels -- */

static xen_ulong_t bit_of(evtchn_port_t port) { return 1ull << port % WORD_BITS; }

static void select_word(evtchn_port_t port) {
  volatile struct shared_info *shared = domain_shared_info();
  if (shared->evtchn_mask[port / WORD_BITS] & bit_of(port)) return;
  shared->vcpu_info[0].evtchn_pending_sel |= 1ull << port / WORD_BITS;
  raise_upcall();
}

/* -- FIFO -- */

static volatile event_word_t *word_of(evtchn_port_t port) {
  return port / WORDS_PER_PAGE < array_pages ? &array[port / WORDS_PER_PAGE][port % WORDS_PER_PAGE]
                                             : NULL;
}

/* Links the port to the one before it, if the domain has not taken that out of the queue yet. */
static bool link_to_tail(evtchn_port_t port) {
  if (tail == 0 || tail == port) return false;
  volatile event_word_t *word = word_of(tail);
  if (!(*word & LINKED)) return false;
  *word = (*word & ~EVTCHN_FIFO_LINK_MASK) | port;
  return true;
}

static void queue(evtchn_port_t port) {
  volatile event_word_t *word = word_of(port);
  if (*word & (MASKED | LINKED)) return;
  *word |= LINKED;
  const bool linked = link_to_tail(port);
  tail = port;
  if (linked) return;
  control->head[EVTCHN_FIFO_PRIORITY_DEFAULT] = port;
  control->ready |= 1u << EVTCHN_FIFO_PRIORITY_DEFAULT;
  raise_upcall();
}

static void set_pending_fifo(evtchn_port_t port) {
  volatile event_word_t *word = word_of(port);
  if (word == NULL) {
    early[port] = true;
    return;
  }
  *word |= PENDING;
  queue(port);
}

long upcall_init_control(const struct evtchn_init_control *operation) {
  if (refuses_fifo) return -XEN_ENOSYS;
  if (control != NULL) return -XEN_EINVAL;
  control = (void *)(operation->control_gfn * PAGE_SIZE);
  return 0;
}

long upcall_expand_array(const struct evtchn_expand_array *operation) {
  if (control == NULL) return -XEN_EOPNOTSUPP;
  if (array_pages == HOST_PORTS / WORDS_PER_PAGE) return -XEN_ENOSPC;
  array[array_pages++] = (void *)(operation->array_gfn * PAGE_SIZE);
  const evtchn_port_t end = array_pages * WORDS_PER_PAGE;
  for (evtchn_port_t port = end - WORDS_PER_PAGE; port < end; port++) {
    if (early[port]) set_pending_fifo(port);
    early[port] = false;
  }
  return 0;
}

/* -- Either -- */

void upcall_set_pending(evtchn_port_t port) {
  if (control != NULL) {
    set_pending_fifo(port);
    return;
  }
  domain_shared_info()->evtchn_pending[port / WORD_BITS] |= bit_of(port);
  select_word(port);
}

void upcall_clear_pending(evtchn_port_t port) {
  if (control == NULL) {
    domain_shared_info()->evtchn_pending[port / WORD_BITS] &= ~bit_of(port);
    return;
  }
  early[port] = false;
  volatile event_word_t *word = word_of(port);
  if (word != NULL) *word &= ~PENDING;
}

void upcall_unmask(evtchn_port_t port) {
  if (control != NULL) {
    volatile event_word_t *word = word_of(port);
    if (word == NULL) return;
    *word &= ~MASKED;
    if (*word & PENDING) queue(port);
    return;
  }
  volatile struct shared_info *shared = domain_shared_info();
  shared->evtchn_mask[port / WORD_BITS] &= ~bit_of(port);
  if (shared->evtchn_pending[port / WORD_BITS] & bit_of(port)) select_word(port);
}
