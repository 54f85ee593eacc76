/* The FIFO ABI: a word for each port, linked into a queue by Xen as ports become pending. 131072
 * ports. All of ours have the same priority, so there is one queue, but Xen names it. */
#include "events.h"

#include "domain.h"
#include "pages.h"

#define WORDS_PER_PAGE (PAGE_SIZE / sizeof(event_word_t))
#define ARRAY_PAGES (EVTCHN_FIFO_NR_CHANNELS / WORDS_PER_PAGE)

#define PENDING (1u << EVTCHN_FIFO_PENDING)
#define MASKED (1u << EVTCHN_FIFO_MASKED)
#define LINKED (1u << EVTCHN_FIFO_LINKED)
#define BUSY (1u << EVTCHN_FIFO_BUSY)

static volatile struct evtchn_fifo_control_block *control;
static event_word_t *array[ARRAY_PAGES];
static size_t array_pages;

/* Queues in which Xen has put ports and that we have not emptied yet. */
static uint32_t ready;
/* The next port of each queue; 0: Xen's own head counts. */
static evtchn_port_t heads[EVTCHN_FIFO_MAX_QUEUES];

static event_word_t *word_of(evtchn_port_t port) {
  return &array[port / WORDS_PER_PAGE][port % WORDS_PER_PAGE];
}

static bool is_covered(evtchn_port_t port) { return port / WORDS_PER_PAGE < array_pages; }

static long add_array_page(void) {
  event_word_t *words = pages_allocate(1);
  if (words == NULL) return -XEN_ENOMEM;
  for (size_t i = 0; i < WORDS_PER_PAGE; i++) words[i] = MASKED;
  struct evtchn_expand_array operation = {.array_gfn = (uintptr_t)words / PAGE_SIZE};
  const long failed = hypercall_event_channel(EVTCHNOP_expand_array, &operation);
  if (failed != 0) {
    pages_free(words, 1);
    return failed;
  }
  array[array_pages++] = words;
  return 0;
}

static long cover(evtchn_port_t port) {
  if (port >= EVTCHN_FIFO_NR_CHANNELS) return -XEN_ENOSPC;
  while (!is_covered(port)) {
    const long failed = add_array_page();
    if (failed != 0) return failed;
  }
  return 0;
}

static void mask(evtchn_port_t port) {
  if (is_covered(port)) __atomic_fetch_or(word_of(port), MASKED, __ATOMIC_SEQ_CST);
}

static bool unmask(evtchn_port_t port) {
  event_word_t *word = word_of(port);
  event_word_t old = __atomic_load_n(word, __ATOMIC_SEQ_CST);
  /* While Xen is busy with the word, its mask must not be taken off. That is never for long. */
  do {
    old &= ~BUSY;
  } while (!__atomic_compare_exchange_n(word, &old, old & ~MASKED, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST));
  return old & PENDING;
}

/* Takes the port out of its queue; returns the one after it, or 0. */
static evtchn_port_t unlink(evtchn_port_t port) {
  event_word_t *word = word_of(port);
  event_word_t old = __atomic_load_n(word, __ATOMIC_SEQ_CST);
  while (!__atomic_compare_exchange_n(word, &old, old & ~(LINKED | EVTCHN_FIFO_LINK_MASK), false,
                                      __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
    continue;
  }
  return old & EVTCHN_FIFO_LINK_MASK;
}

static bool claim(evtchn_port_t port) {
  event_word_t *word = word_of(port);
  const event_word_t now = __atomic_load_n(word, __ATOMIC_SEQ_CST);
  if (!(now & PENDING) || (now & MASKED)) return false;
  __atomic_fetch_or(word, MASKED, __ATOMIC_SEQ_CST);
  __atomic_fetch_and(word, ~PENDING, __ATOMIC_SEQ_CST);
  return true;
}

static long take(void) {
  volatile struct vcpu_info *vcpu = &domain_shared_info()->vcpu_info[0];
  vcpu->evtchn_upcall_pending = 0;
  ready |= __atomic_exchange_n(&control->ready, 0, __ATOMIC_SEQ_CST);
  while (ready != 0) {
    const unsigned queue = __builtin_ctz(ready);
    evtchn_port_t port = heads[queue];
    if (port == 0) port = __atomic_load_n(&control->head[queue], __ATOMIC_SEQ_CST);
    heads[queue] = unlink(port);
    /* No link to a next one: the queue is empty, and Xen sets its head when it adds a port. */
    if (heads[queue] == 0) ready &= ~(1u << queue);
    if (claim(port)) return port;
    ready |= __atomic_exchange_n(&control->ready, 0, __ATOMIC_SEQ_CST);
  }
  return -1;
}

/* Xen knows none of them, at the start and after a pause. */
static void forget_array_pages(void) {
  while (array_pages > 0) pages_free(array[--array_pages], 1);
  for (unsigned queue = 0; queue < EVTCHN_FIFO_MAX_QUEUES; queue++) heads[queue] = 0;
  ready = 0;
}

const struct event_abi *events_fifo_abi(void) {
  static const struct event_abi abi = {cover, mask, unmask, take};
  forget_array_pages();
  /* Xen wants a page without anything in it. */
  if (control != NULL) pages_free((void *)control, 1);
  void *page = pages_allocate(1);
  control = page;
  if (page == NULL) return NULL;
  struct evtchn_init_control operation = {.control_gfn = (uintptr_t)page / PAGE_SIZE};
  if (hypercall_event_channel(EVTCHNOP_init_control, &operation) == 0) return &abi;
  pages_free(page, 1);
  control = NULL;
  return NULL;
}
