/* Calls of Xen, and the public headers that describe them. */
#ifndef HYPERCALL_H
#define HYPERCALL_H

#include <stdint.h>

#include <xen/errno.h>
#include <xen/xen.h>

/* Returns what Xen returns: a negative errno of xen/errno.h for a refusal. */
long hypercall(unsigned number, uint64_t a, uint64_t b, uint64_t c, uint64_t d);

static inline long hypercall_event_channel(unsigned command, void *operation) {
  return hypercall(__HYPERVISOR_event_channel_op, command, (uintptr_t)operation, 0, 0);
}

static inline long hypercall_grant_table(unsigned command, void *operations, unsigned count) {
  return hypercall(__HYPERVISOR_grant_table_op, command, (uintptr_t)operations, count, 0);
}

static inline long hypercall_memory(unsigned command, void *operation) {
  return hypercall(__HYPERVISOR_memory_op, command, (uintptr_t)operation, 0, 0);
}

static inline long hypercall_sched(unsigned command, void *operation) {
  return hypercall(__HYPERVISOR_sched_op, command, (uintptr_t)operation, 0, 0);
}

#endif
