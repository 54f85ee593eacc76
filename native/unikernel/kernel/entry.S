/* Where Xen's PVH loader starts the kernel: 32-bit protected mode, paging off, EBX = start info. */
#define __ASSEMBLY__
#include <xen/elfnote.h>

#include "paging.h"

    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 8, XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad entry32                   /* eight bytes, so that QEMU's own PVH loader takes it too */

/* An identity map of the first GiB, of large pages, is enough to reach C, which then refines these
 * very tables (paging.c). */
    .section .text.entry, "ax"
    .code32
    .globl entry32
entry32:
    cld
    cli
    mov  %ebx, %ebp
    mov  $__main_stack_end, %esp

    movl $(page_directories + PTE_PRESENT + PTE_WRITE), %eax
    movl %eax, page_pointers
    movl $(page_pointers + PTE_PRESENT + PTE_WRITE), %eax
    movl %eax, page_root
    mov  $(PTE_PRESENT + PTE_WRITE + PTE_LARGE), %eax
    mov  $page_directories, %edi
    mov  $512, %ecx
1:  movl %eax, (%edi)
    add  $0x200000, %eax
    add  $8, %edi
    loop 1b

    mov  $0x620, %eax               /* PAE, OSFXSR, OSXMMEXCPT: the engine uses SSE */
    mov  %eax, %cr4
    mov  $page_root, %eax
    mov  %eax, %cr3

    mov  $0x80000001, %eax
    cpuid
    mov  $0x101, %esi               /* EFER: LME, SCE */
    bt   $20, %edx                  /* the processor has no-execute pages */
    jnc  2f
    or   $0x800, %esi               /* EFER: NXE */
    movl $1, has_no_execute
2:  mov  $0xc0000080, %ecx
    rdmsr
    or   %esi, %eax
    wrmsr

    mov  $0x80010033, %eax          /* PG, WP, NE, ET, MP, PE */
    mov  %eax, %cr0
    fninit                          /* a loader may leave these as they are after a reset, when every */
    ldmxcsr initial_mxcsr           /* inexact result is an exception */
    lgdt gdt_register
    ljmp $8, $entry64

    .code64
entry64:
    mov  $0x10, %eax
    mov  %eax, %ds
    mov  %eax, %es
    mov  %eax, %ss
    xor  %eax, %eax
    mov  %eax, %fs
    mov  %eax, %gs
    mov  $__main_stack_end, %rsp
    mov  %ebp, %edi
    xor  %ebp, %ebp
    call kernel_main
3:  hlt
    jmp  3b

/* enter_libc(block): starts the C library on its initial block (argc, argv, envp, auxv). */
    .section .text
    .globl enter_libc
enter_libc:
    mov  (%rdi), %rsi
    lea  8(%rdi), %rdx
    mov  $engine_main, %rdi
    mov  $no_constructors, %rcx
    mov  $no_constructors, %r8
    xor  %r9d, %r9d
    xor  %ebp, %ebp
    and  $-16, %rsp
    call __libc_start_main
4:  hlt
    jmp  4b

    .globl _init, _fini
_init:
_fini:
no_constructors:
    ret

    .section .data
    .balign 16
    .globl gdt
gdt:
    .quad 0
    .quad 0x00af9b000000ffff        /* 0x08: 64-bit code */
    .quad 0x00cf93000000ffff        /* 0x10: data */
    .quad 0                         /* 0x18: the task state, two slots, filled by traps.c */
    .quad 0
gdt_end:
gdt_register:
    .word gdt_end - gdt - 1
    .quad gdt
    .balign 4
initial_mxcsr:
    .long 0x1f80                    /* no exceptions, as fninit has it */
    .globl has_no_execute
has_no_execute:
    .long 0

    .section .bss.tables, "aw", @nobits
    .balign 4096
    .globl page_root, page_pointers, page_directories
page_root: .skip 4096
page_pointers: .skip 4096
page_directories: .skip 4096

    .section .note.GNU-stack, "", @progbits
