#include "domain.h"

#include <stddef.h>

#include <xen/arch-x86/cpuid.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/memory.h>
#include <xen/sched.h>

#include "console.h"
#include "cpu.h"
#include "mappings.h"
#include "paging.h"

/* Hypervisors announce themselves in steps of 0x100 from here on; another one may come before Xen. */
#define CPUID_FIRST 0x40000000
#define CPUID_LAST 0x40010000

extern char hypercall_page[];

static struct {
  _Alignas(PAGE_SIZE) struct shared_info info;
  /* What remains of the page is not ours to use: Xen takes the whole page. */
  _Alignas(PAGE_SIZE) char end[0];
} shared;

static uint32_t cpuid_base;
static bool on_xen;
static domid_t own_domid = DOMID_INVALID;

bool domain_find_xen(void) {
  for (uint32_t leaf = CPUID_FIRST; leaf < CPUID_LAST; leaf += 0x100) {
    const struct cpuid signature = cpuid(leaf);
    if (signature.ebx != XEN_CPUID_SIGNATURE_EBX || signature.ecx != XEN_CPUID_SIGNATURE_ECX ||
        signature.edx != XEN_CPUID_SIGNATURE_EDX) {
      continue;
    }
    cpuid_base = leaf;
    write_msr(cpuid(leaf + 2).ebx, (uintptr_t)hypercall_page);
    on_xen = true;
    return true;
  }
  return false;
}

void domain_init(void) {
  own_domid = DOMID_INVALID;
  struct xen_add_to_physmap place = {
      .domid = DOMID_SELF,
      .space = XENMAPSPACE_shared_info,
      .gpfn = (uintptr_t)&shared.info / PAGE_SIZE,
  };
  if (hypercall_memory(XENMEM_add_to_physmap, &place) == 0) return;
  console_print("unikernel: Xen does not give us the page that it shares with domains\n");
  domain_crash();
}

volatile struct shared_info *domain_shared_info(void) { return &shared.info; }

/* The event channels of a domain know its number where CPUID does not tell it, as before Xen 4.13. */
static domid_t domid_of_own_port(void) {
  struct evtchn_alloc_unbound open = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};
  if (hypercall_event_channel(EVTCHNOP_alloc_unbound, &open) != 0) return DOMID_INVALID;
  struct evtchn_status status = {.dom = DOMID_SELF, .port = open.port};
  const long failed = hypercall_event_channel(EVTCHNOP_status, &status);
  struct evtchn_close close = {.port = open.port};
  hypercall_event_channel(EVTCHNOP_close, &close);
  return failed ? DOMID_INVALID : status.u.unbound.dom;
}

domid_t domain_id(void) {
  if (own_domid != DOMID_INVALID) return own_domid;
  const struct cpuid hvm = cpuid(cpuid_base + 4);
  own_domid = hvm.eax & XEN_HVM_CPUID_DOMID_PRESENT ? hvm.ecx : domid_of_own_port();
  return own_domid;
}

uint64_t domain_parameter(unsigned index) {
  struct xen_hvm_param parameter = {.domid = DOMID_SELF, .index = index};
  const long failed = hypercall(__HYPERVISOR_hvm_op, HVMOP_get_param, (uintptr_t)&parameter, 0, 0);
  return failed ? 0 : parameter.value;
}

/* Without Xen we run in a machine, in practice QEMU's: these are its ways to be switched off. */
static void switch_machine_off(void) {
  out16(0x604, 0x2000);             /* ACPI sleep state 5 of the PC and Q35 machines */
  out8(0xf4, 1);                    /* the debug-exit device, where it is there */
}

__attribute__((noreturn)) void domain_shutdown(unsigned reason) {
  static bool ending;
  if (on_xen) {
    /* What follows may fault, which leads here again. */
    if (!ending) {
      ending = true;
      mappings_notify_all();
      console_flush();
    }
    struct sched_shutdown operation = {.reason = reason};
    hypercall_sched(SCHEDOP_shutdown, &operation);
  } else {
    switch_machine_off();
  }
  for (;;) asm volatile("cli; hlt");
}

__attribute__((noreturn)) void domain_crash(void) { domain_shutdown(SHUTDOWN_crash); }
