/* What the one domain may ask of the small Xen. */
#include <string.h>

#include <xen/memory.h>
#include <xen/sched.h>

#include "domain.h"
#include "events.h"
#include "grants.h"
#include "hypercall.h"
#include "paging.h"
#include "upcall.h"
#include "xen.h"

struct channel {
  uint32_t status;                  /* EVTCHNSTAT_ */
  domid_t remote_domid;
  evtchn_port_t remote_port;
  uint32_t virq;
};

static struct channel channels[HOST_PORTS];

/* -- Event channels -- */

static long free_port(void) {
  for (evtchn_port_t port = 1; port < HOST_PORTS; port++) {
    if (channels[port].status == EVTCHNSTAT_closed) return port;
  }
  return -XEN_ENOSPC;
}

static long open_port(struct channel channel, evtchn_port_t *result) {
  const long port = free_port();
  if (port < 0) return port;
  channels[port] = channel;
  *result = port;
  return 0;
}

static long allocate_unbound(struct evtchn_alloc_unbound *operation) {
  return open_port((struct channel){EVTCHNSTAT_unbound, operation->remote_dom, 0, 0},
                   &operation->port);
}

static long bind_interdomain(struct evtchn_bind_interdomain *operation) {
  if (operation->remote_dom != host_domid()) return -XEN_ESRCH;
  if (operation->remote_port >= HOST_PORTS) return -XEN_EINVAL;
  struct channel *remote = &channels[operation->remote_port];
  if (remote->status != EVTCHNSTAT_unbound || remote->remote_domid != host_domid()) {
    return -XEN_EINVAL;
  }
  const struct channel local = {EVTCHNSTAT_interdomain, host_domid(), operation->remote_port, 0};
  const long failed = open_port(local, &operation->local_port);
  if (failed != 0) return failed;
  *remote = (struct channel){EVTCHNSTAT_interdomain, host_domid(), operation->local_port, 0};
  upcall_set_pending(operation->local_port);
  return 0;
}

static long bind_virq(struct evtchn_bind_virq *operation) {
  if (operation->virq != VIRQ_TIMER) return -XEN_EPERM;
  return open_port((struct channel){EVTCHNSTAT_virq, 0, 0, operation->virq}, &operation->port);
}

static long close_port(evtchn_port_t port) {
  struct channel *channel = &channels[port];
  if (channel->status == EVTCHNSTAT_closed) return -XEN_EINVAL;
  if (channel->status == EVTCHNSTAT_interdomain) {
    channels[channel->remote_port] = (struct channel){EVTCHNSTAT_unbound, host_domid(), 0, 0};
  }
  *channel = (struct channel){.status = EVTCHNSTAT_closed};
  upcall_clear_pending(port);
  return 0;
}

static long send(evtchn_port_t port) {
  const struct channel *channel = &channels[port];
  if (channel->status == EVTCHNSTAT_interdomain) upcall_set_pending(channel->remote_port);
  return channel->status == EVTCHNSTAT_closed ? -XEN_EINVAL : 0;
}

static long unmask(evtchn_port_t port) {
  upcall_unmask(port);
  return 0;
}

static long event_channel_op(unsigned command, void *operation) {
  switch (command) {
    case EVTCHNOP_alloc_unbound: return allocate_unbound(operation);
    case EVTCHNOP_bind_interdomain: return bind_interdomain(operation);
    case EVTCHNOP_bind_virq: return bind_virq(operation);
    case EVTCHNOP_close: return close_port(((struct evtchn_close *)operation)->port);
    case EVTCHNOP_send: return send(((struct evtchn_send *)operation)->port);
    case EVTCHNOP_unmask: return unmask(((struct evtchn_unmask *)operation)->port);
    case EVTCHNOP_init_control: return upcall_init_control(operation);
    case EVTCHNOP_expand_array: return upcall_expand_array(operation);
    default: return -XEN_ENOSYS;
  }
}

/* -- Grants -- */

/* The page that the domain has granted to itself, in `*page`. */
static int16_t granted_page(domid_t domid, grant_ref_t reference, bool writes, char **page) {
  if (domid != host_domid()) return GNTST_bad_domain;
  const size_t per_frame = PAGE_SIZE / sizeof(grant_entry_v1_t);
  if (reference >= HOST_GRANT_FRAMES * per_frame) return GNTST_bad_gntref;
  const grant_entry_v1_t *entry =
      (const grant_entry_v1_t *)host_grant_frame(reference / per_frame) + reference % per_frame;
  if ((entry->flags & GTF_type_mask) != GTF_permit_access || entry->domid != host_domid() ||
      (writes && (entry->flags & GTF_readonly))) {
    return GNTST_permission_denied;
  }
  *page = (char *)((uintptr_t)entry->frame * PAGE_SIZE);
  return GNTST_okay;
}

static int16_t copy_one(const struct gnttab_copy *copy) {
  char *from = (char *)(copy->source.u.gmfn * PAGE_SIZE);
  char *to = (char *)(copy->dest.u.gmfn * PAGE_SIZE);
  if (copy->flags & GNTCOPY_source_gref) {
    const int16_t status = granted_page(copy->source.domid, copy->source.u.ref, false, &from);
    if (status != GNTST_okay) return status;
  }
  if (copy->flags & GNTCOPY_dest_gref) {
    const int16_t status = granted_page(copy->dest.domid, copy->dest.u.ref, true, &to);
    if (status != GNTST_okay) return status;
  }
  memcpy(to + copy->dest.offset, from + copy->source.offset, copy->len);
  return GNTST_okay;
}

/* The domain finds its own grants itself. */
static int16_t map_one(struct gnttab_map_grant_ref *map) {
  if (map->dom != HOST_PEER_DOMID) return GNTST_bad_domain;
  map->handle = map->ref;
  const bool granted = map->ref >= GNTTAB_NR_RESERVED_ENTRIES &&
                       host_place_peer_page(map->host_addr, map->ref - GNTTAB_NR_RESERVED_ENTRIES);
  return granted ? GNTST_okay : GNTST_bad_gntref;
}

static long grant_table_op(unsigned command, void *operations, unsigned count) {
  struct gnttab_query_size *size = operations;
  struct gnttab_map_grant_ref *map = operations;
  struct gnttab_unmap_grant_ref *unmap = operations;
  struct gnttab_copy *copy = operations;
  switch (command) {
    case GNTTABOP_query_size:
      size->max_nr_frames = HOST_GRANT_FRAMES;
      size->status = GNTST_okay;
      return 0;
    case GNTTABOP_map_grant_ref:
      for (unsigned i = 0; i < count; i++) map[i].status = map_one(&map[i]);
      return 0;
    case GNTTABOP_unmap_grant_ref:
      for (unsigned i = 0; i < count; i++) host_remove_peer_page(unmap[i].host_addr);
      return 0;
    case GNTTABOP_copy:
      for (unsigned i = 0; i < count; i++) copy[i].status = copy_one(&copy[i]);
      return 0;
    default: return -XEN_ENOSYS;
  }
}

static long memory_op(unsigned command, const struct xen_add_to_physmap *place) {
  if (command != XENMEM_add_to_physmap || place->space != XENMAPSPACE_grant_table) {
    return -XEN_EPERM;
  }
  host_place_grant_frame(place->gpfn * PAGE_SIZE, place->idx);
  return 0;
}

/* -- The domain -- */

static domid_t own_domid = 5;
static bool takes_snapshots;

domid_t host_domid(void) { return own_domid; }

void host_take_snapshots(void) { takes_snapshots = true; }

/* The toolstack takes the domain's memory into another one. */
static void move_domain(void) {
  own_domid++;
  memset(channels, 0, sizeof channels);
  upcall_reset();
  host_reset_domain();
}

static long sched_op(unsigned command, const struct sched_shutdown *operation) {
  if (command != SCHEDOP_shutdown || operation->reason != SHUTDOWN_suspend) return -XEN_ENOSYS;
  if (takes_snapshots) return 1;
  move_domain();
  return 0;
}

long hypercall(unsigned number, uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
  (void)d;
  switch (number) {
    case __HYPERVISOR_event_channel_op: return event_channel_op(a, (void *)b);
    case __HYPERVISOR_grant_table_op: return grant_table_op(a, (void *)b, c);
    case __HYPERVISOR_memory_op: return memory_op(a, (const void *)b);
    case __HYPERVISOR_hvm_op: return 0;
    case __HYPERVISOR_sched_op: return sched_op(a, (const void *)b);
    default: return -XEN_ENOSYS;
  }
}
