/* Exceptions, the event upcall, and the system calls of the C library. */

    .section .text
    .balign 16
/* One stub of 16 bytes a vector. Where the processor pushes no error code, we push 0. */
    .globl exception_stubs
exception_stubs:
    .set vector, 0
    .rept 32
    .balign 16
    .if !((vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17) || (vector == 21))
    push $0
    .endif
    push $vector
    jmp  exception
    .set vector, vector + 1
    .endr

exception:
    push %r15; push %r14; push %r13; push %r12; push %r11; push %r10; push %r9; push %r8
    push %rbp; push %rdi; push %rsi; push %rdx; push %rcx; push %rbx; push %rax
    mov  %rsp, %rdi
    mov  %cr2, %rsi
    cld
    call trap_report                /* does not return */

/* void halt_until_event(void), with interrupts off: the only place where they are on. sti holds them
 * back for one more instruction, so that an event which comes now ends the hlt. */
    .globl halt_until_event
halt_until_event:
    sti
halt:
    hlt
awake:
    cli
    ret

/* Xen raises this vector for as long as an event is pending, so we return with interrupts off; the
 * event itself is found by whoever waits (events.c). A processor that is left between sti and hlt may
 * have forgotten, when it is back, that sti holds back: QEMU's does. To halt then, with interrupts
 * off, is to Xen the end of the domain. */
    .globl event_upcall
event_upcall:
    btrq $9, 16(%rsp)
    cmpq $halt, (%rsp)
    jne  1f
    movq $awake, (%rsp)
1:  iretq

/* The C library is linked as it is: its `syscall` instruction, executed in ring 0, lands here, with
 * the return address in RCX. All registers but RAX, RCX and R11 are kept. The caller may be using
 * the 128 bytes below its stack pointer. */
    .globl syscall_entry
syscall_entry:
    lea  -128(%rsp), %rsp
    push %rcx; push %rdi; push %rsi; push %rdx; push %r10; push %r8; push %r9
    push %rbp
    mov  %rsp, %rbp
    and  $-16, %rsp
    push %rax
    push %rax                       /* the seventh argument: the number; twice, to stay aligned */
    mov  %r10, %rcx
    call system_call
    mov  %rbp, %rsp
    pop  %rbp
    pop  %r9; pop %r8; pop %r10; pop %rdx; pop %rsi; pop %rdi; pop %rcx
    lea  128(%rsp), %rsp
    jmp  *%rcx

/* long hypercall(unsigned number, a, b, c, d): Xen takes its arguments in other registers than C. */
    .globl hypercall
hypercall:
    mov  %edi, %eax
    shl  $5, %eax
    add  $hypercall_page, %eax
    mov  %rsi, %rdi
    mov  %rdx, %rsi
    mov  %rcx, %rdx
    mov  %r8, %r10
    jmp  *%rax

/* Xen writes an entry of 32 bytes for each hypercall into this page. */
    .section .text.hypercall_page, "ax"
    .balign 4096
    .globl hypercall_page
hypercall_page:
    .skip 4096, 0xc3

    .section .note.GNU-stack, "", @progbits
