/* The attacker as a PVH domain: hypercalls, console, event channels. One processor, no interrupts. */
#include "attacker.h"

#include <xen/arch-x86/hvm/start_info.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/io/console.h>
#include <xen/memory.h>
#include <xen/sched.h>

#define PAGE_SIZE 4096
#define HYPERCALL_BYTES 32
#define CPUID_XEN 0x40000000
/* "XenVMMXenVMM", its first four letters as a number. */
#define CPUID_XEN_EBX 0x566e6558

extern char hypercall_page[];

static struct shared_info shared_info __attribute__((aligned(PAGE_SIZE)));
static struct xencons_interface *console;
static evtchn_port_t console_port;
static const char *command_line = "";

static long hypercall(unsigned number, uint64_t one, const void *two) {
  long result;
  __asm__ volatile("call *%[entry]"
                   : "=a"(result), "+D"(one), "+S"(two)
                   : [entry] "r"(hypercall_page + number * HYPERCALL_BYTES)
                   : "memory", "rcx", "rdx", "r8", "r9", "r10", "r11");
  return result;
}

static void enable_hypercalls(void) {
  uint32_t base = CPUID_XEN, eax, ebx, ecx, edx;
  for (;; base += 0x100) {
    __asm__("cpuid" : "=a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx) : "a"(base), "c"(0));
    if (ebx == CPUID_XEN_EBX) break;
  }
  __asm__("cpuid" : "=a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx) : "a"(base + 2), "c"(0));
  /* That model-specific register takes the address of the page to be filled. */
  uint64_t page = (uint64_t)hypercall_page;
  __asm__ volatile("wrmsr" : : "c"(ebx), "a"((uint32_t)page), "d"((uint32_t)(page >> 32)) : "memory");
}

static uint64_t hvm_parameter(uint32_t index) {
  struct xen_hvm_param parameter = {.domid = DOMID_SELF, .index = index};
  hypercall(__HYPERVISOR_hvm_op, HVMOP_get_param, &parameter);
  return parameter.value;
}

static void map_shared_info(void) {
  struct xen_add_to_physmap where = {
      .domid = DOMID_SELF,
      .space = XENMAPSPACE_shared_info,
      .gpfn = (uint64_t)&shared_info / PAGE_SIZE,
  };
  hypercall(__HYPERVISOR_memory_op, XENMEM_add_to_physmap, &where);
}

void guest_start(uint32_t start_info) {
  const struct hvm_start_info *info = (const void *)(uint64_t)start_info;
  if (info->cmdline_paddr != 0) command_line = (const char *)info->cmdline_paddr;
  enable_hypercalls();
  map_shared_info();
  console = (void *)(hvm_parameter(HVM_PARAM_CONSOLE_PFN) * PAGE_SIZE);
  console_port = hvm_parameter(HVM_PARAM_CONSOLE_EVTCHN);
  ring = (void *)(hvm_parameter(HVM_PARAM_STORE_PFN) * PAGE_SIZE);
  ring_port = hvm_parameter(HVM_PARAM_STORE_EVTCHN);
}

void wait_for(evtchn_port_t port) {
  struct sched_poll poll = {.nr_ports = 1};
  set_xen_guest_handle(poll.ports, &port);
  hypercall(__HYPERVISOR_sched_op, SCHEDOP_poll, &poll);
  xen_ulong_t *pending = &shared_info.evtchn_pending[port / (8 * sizeof(xen_ulong_t))];
  __atomic_fetch_and(pending, ~(1ul << port % (8 * sizeof(xen_ulong_t))), __ATOMIC_SEQ_CST);
}

void notify(evtchn_port_t port) {
  struct evtchn_send send = {.port = port};
  hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_send, &send);
}

void yield(void) { hypercall(__HYPERVISOR_sched_op, SCHEDOP_yield, 0); }

void shut_down(unsigned reason) {
  struct sched_shutdown shutdown = {.reason = reason};
  for (;;) hypercall(__HYPERVISOR_sched_op, SCHEDOP_shutdown, &shutdown);
}

const char *option(const char *name) {
  static char value[64];
  unsigned length = string_length(name), copied = 0;
  for (const char *at = command_line; *at != 0; at++) {
    unsigned same = 0;
    while (same < length && at[same] == name[same]) same++;
    if (same < length || at[length] != '=' || (at != command_line && at[-1] != ' ')) continue;
    at += length + 1;
    while (*at != 0 && *at != ' ' && copied < sizeof value - 1) value[copied++] = *at++;
    break;
  }
  value[copied] = 0;
  return value;
}

static unsigned format_number(char *text, int value) {
  char digits[12];
  unsigned count = 0, length = 0;
  unsigned rest = value < 0 ? -(unsigned)value : (unsigned)value;
  do digits[count++] = '0' + rest % 10;
  while ((rest /= 10) != 0);
  if (value < 0) text[length++] = '-';
  while (count > 0) text[length++] = digits[--count];
  return length;
}

/* What is longer than TEXT_MAX is cut. */
static unsigned format_text(char *text, const char *format, va_list arguments) {
  unsigned length = 0;
  for (; *format != 0 && length < TEXT_MAX - 16; format++) {
    if (*format != '%') {
      text[length++] = *format;
      continue;
    }
    format++;
    if (*format == 'd') length += format_number(text + length, va_arg(arguments, int));
    else if (*format == 'c') text[length++] = (char)va_arg(arguments, int);
    else {
      const char *string = va_arg(arguments, const char *);
      while (*string != 0 && length < TEXT_MAX - 16) text[length++] = *string++;
    }
  }
  return length;
}

static void write_console(const char *text, unsigned length) {
  for (unsigned written = 0; written < length;) {
    XENCONS_RING_IDX produced = console->out_prod;
    while (produced - console->out_cons >= sizeof console->out) {
      notify(console_port);
      wait_for(console_port);
    }
    console->out[MASK_XENCONS_IDX(produced, console->out)] = text[written++];
    __atomic_store_n(&console->out_prod, produced + 1, __ATOMIC_SEQ_CST);
  }
  notify(console_port);
}

void say(const char *format, ...) {
  static char text[TEXT_MAX];
  va_list arguments;
  va_start(arguments, format);
  write_console(text, format_text(text, format, arguments));
  va_end(arguments);
}

unsigned format_request(char *text, const char *format, va_list arguments) {
  unsigned length = format_text(text, format, arguments);
  for (unsigned at = 0; at < length; at++)
    if (text[at] == '|') text[at] = 0;
  return length;
}

/* The compiler calls these by itself. */
void *memcpy(void *to, const void *from, unsigned long length) {
  for (unsigned long at = 0; at < length; at++) ((char *)to)[at] = ((const char *)from)[at];
  return to;
}

void *memset(void *to, int value, unsigned long length) {
  for (unsigned long at = 0; at < length; at++) ((char *)to)[at] = (char)value;
  return to;
}

int strings_equal(const char *one, const char *other) {
  while (*one != 0 && *one == *other) one++, other++;
  return *one == *other;
}

unsigned string_length(const char *text) {
  unsigned length = 0;
  while (text[length] != 0) length++;
  return length;
}

void attacker_main(uint32_t start_info) {
  guest_start(start_info);
  const char *wanted = option("attack");
  const struct attack *attack = attacks;
  while (attack < attacks + attack_count && !strings_equal(attack->name, wanted)) attack++;
  if (attack == attacks + attack_count) {
    say("ATTACKER knows no attack %s\n", wanted);
    shut_down(SHUTDOWN_crash);
  }
  say("ATTACKER begins %s\n", attack->name);
  if (attack->begin != 0) attack->begin();
  say("ATTACKER has begun %s\n", attack->name);
  /* Told at each power of two: whoever looks sees that it goes on, and the console stays quiet. */
  for (unsigned rounds = 1;; rounds++) {
    if (attack->round == 0) wait_for(ring_port);
    else attack->round();
    if ((rounds & (rounds - 1)) == 0) say("ATTACKER rounds %d\n", rounds);
  }
}
