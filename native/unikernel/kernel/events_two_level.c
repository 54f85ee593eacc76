/* The two-level ABI: a bit for each port in the shared page, and a selector of the words that have
 * bits set. 4096 ports. */
#include "events.h"

#include "domain.h"

#define WORD_BITS 64

static volatile xen_ulong_t *word_of(volatile xen_ulong_t *words, evtchn_port_t port) {
  return words + port / WORD_BITS;
}

static xen_ulong_t bit_of(evtchn_port_t port) { return 1ull << port % WORD_BITS; }

static long cover(evtchn_port_t port) { return port < EVTCHN_2L_NR_CHANNELS ? 0 : -XEN_ENOSPC; }

static void mask(evtchn_port_t port) {
  if (cover(port) != 0) return;
  __atomic_fetch_or(word_of(domain_shared_info()->evtchn_mask, port), bit_of(port),
                    __ATOMIC_SEQ_CST);
}

static bool unmask(evtchn_port_t port) {
  volatile struct shared_info *shared = domain_shared_info();
  __atomic_fetch_and(word_of(shared->evtchn_mask, port), ~bit_of(port), __ATOMIC_SEQ_CST);
  return __atomic_load_n(word_of(shared->evtchn_pending, port), __ATOMIC_SEQ_CST) & bit_of(port);
}

/* Words that Xen selected and that may still have ports for us. */
static xen_ulong_t selected;
/* The port after the one given last, so that none of them waits for ever. */
static evtchn_port_t next;

/* The lowest set bit from `from` on, or the lowest of all. */
static unsigned first_bit(xen_ulong_t bits, unsigned from) {
  const xen_ulong_t above = bits & ~0ull << from;
  return __builtin_ctzll(above ? above : bits);
}

static long take(void) {
  volatile struct shared_info *shared = domain_shared_info();
  volatile struct vcpu_info *vcpu = &shared->vcpu_info[0];
  vcpu->evtchn_upcall_pending = 0;
  selected |= __atomic_exchange_n(&vcpu->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
  while (selected != 0) {
    const unsigned word = first_bit(selected, next / WORD_BITS % WORD_BITS);
    const xen_ulong_t due = shared->evtchn_pending[word] & ~shared->evtchn_mask[word];
    if (due == 0) {
      selected &= ~(1ull << word);
      continue;
    }
    const unsigned start = word == next / WORD_BITS ? next % WORD_BITS : 0;
    const evtchn_port_t port = word * WORD_BITS + first_bit(due, start);
    mask(port);
    __atomic_fetch_and(word_of(shared->evtchn_pending, port), ~bit_of(port), __ATOMIC_SEQ_CST);
    next = (port + 1) % EVTCHN_2L_NR_CHANNELS;
    return port;
  }
  return -1;
}

const struct event_abi *events_two_level_abi(void) {
  static const struct event_abi abi = {cover, mask, unmask, take};
  for (evtchn_port_t port = 0; port < EVTCHN_2L_NR_CHANNELS; port++) mask(port);
  selected = next = 0;
  return &abi;
}
