/* An exception is a fault of the kernel or of the engine: it is reported and ends the domain. */
#include "traps.h"

#include <stddef.h>
#include <stdint.h>

#include "console.h"
#include "cpu.h"
#include "domain.h"
#include "paging.h"

#define CODE_SELECTOR 0x08
#define TASK_SELECTOR 0x18
#define INTERRUPT_GATE 0x8e
#define EXCEPTIONS 32
#define STUB_BYTES 16

#define PAGE_FAULT 14
#define PAGE_FAULT_WRITE 2
#define PAGE_FAULT_RESERVED 8
#define PAGE_FAULT_FETCH 16

#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_FMASK 0xc0000084
/* Trap, interrupt and direction flag are off inside a system call. */
#define SYSCALL_FLAGS_OFF 0x700

struct gate {
  uint16_t offset_low, selector;
  uint8_t stack, type;
  uint16_t offset_middle;
  uint32_t offset_high, reserved;
};

struct task_state {
  uint32_t reserved;
  uint64_t stack[3], reserved_1, interrupt_stack[7], reserved_2;
  uint16_t reserved_3, io_map;
} __attribute__((packed));

/* As traps.S and the processor push it. */
struct trap_frame {
  uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15;
  uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

extern uint64_t gdt[];
extern char exception_stubs[], event_upcall[], syscall_entry[], __trap_stack_end[];

static struct gate gates[EVENT_VECTOR + 1];
static struct task_state task_state;

static const char *const exception_names[EXCEPTIONS] = {
    [0] = "divide error",         [1] = "debug",
    [2] = "non-maskable interrupt", [3] = "breakpoint",
    [4] = "overflow",             [5] = "bound range exceeded",
    [6] = "invalid opcode",       [7] = "device not available",
    [8] = "double fault",         [10] = "invalid task state",
    [11] = "segment not present", [12] = "stack segment fault",
    [13] = "general protection fault", [14] = "page fault",
    [16] = "x87 error",           [17] = "alignment check",
    [18] = "machine check",       [19] = "SIMD error",
};

static void set_gate(unsigned vector, uintptr_t handler, unsigned stack) {
  gates[vector] = (struct gate){
      .offset_low = handler & 0xffff,
      .selector = CODE_SELECTOR,
      .stack = stack,
      .type = INTERRUPT_GATE,
      .offset_middle = handler >> 16 & 0xffff,
      .offset_high = handler >> 32,
  };
}

void traps_init(void) {
  const uint64_t task = (uintptr_t)&task_state;
  task_state.interrupt_stack[0] = (uintptr_t)__trap_stack_end;
  task_state.io_map = sizeof task_state;
  gdt[TASK_SELECTOR / 8] = (sizeof task_state - 1) | (task & 0xffffff) << 16 | 0x89ull << 40 |
                           (task >> 24 & 0xff) << 56;
  gdt[TASK_SELECTOR / 8 + 1] = task >> 32;
  asm volatile("ltr %w0" ::"r"(TASK_SELECTOR));

  /* Exceptions have a stack of their own: the one in use may be what is at fault. */
  for (unsigned vector = 0; vector < EXCEPTIONS; vector++) {
    set_gate(vector, (uintptr_t)exception_stubs + vector * STUB_BYTES, 1);
  }
  set_gate(EVENT_VECTOR, (uintptr_t)event_upcall, 0);
  const struct {
    uint16_t limit;
    uint64_t base;
  } __attribute__((packed)) table = {sizeof gates - 1, (uintptr_t)gates};
  asm volatile("lidt %0" ::"m"(table));

  write_msr(MSR_STAR, (uint64_t)CODE_SELECTOR << 32);
  write_msr(MSR_LSTAR, (uintptr_t)syscall_entry);
  write_msr(MSR_FMASK, SYSCALL_FLAGS_OFF);
}

static const char *access_of(uint64_t error) {
  if (error & PAGE_FAULT_FETCH) return "executing";
  return error & PAGE_FAULT_WRITE ? "writing" : "reading";
}

/* Called by traps.S. Says what happened, for people and for addr2line, and ends the domain. */
__attribute__((noreturn)) void trap_report(const struct trap_frame *frame, uint64_t fault_address) {
  console_panic();
  const char *name = frame->vector < EXCEPTIONS ? exception_names[frame->vector] : NULL;
  console_printf("\nunikernel: exception %d, %s, at %p", frame->vector, name ? name : "reserved",
                 frame->rip);
  if (frame->vector == PAGE_FAULT) {
    const char *reason = frame->error & PAGE_FAULT_RESERVED ? "there is no such frame"
                                                            : paging_explain(fault_address);
    console_printf(", %s %p%s%s", access_of(frame->error), fault_address, reason ? ": " : "",
                   reason ? reason : "");
  }
  console_printf("\n  error %x flags %x", frame->error, frame->rflags);
  console_printf("\n  rax %p rbx %p rcx %p rdx %p", frame->rax, frame->rbx, frame->rcx, frame->rdx);
  console_printf("\n  rsi %p rdi %p rbp %p rsp %p", frame->rsi, frame->rdi, frame->rbp, frame->rsp);
  console_printf("\n  r8  %p r9  %p r10 %p r11 %p", frame->r8, frame->r9, frame->r10, frame->r11);
  console_printf("\n  r12 %p r13 %p r14 %p r15 %p\n", frame->r12, frame->r13, frame->r14,
                 frame->r15);
  domain_crash();
}
