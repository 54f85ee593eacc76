/*
 * Where Xen enters a PVH domain (docs/misc/pvh.pandoc of the Xen tree): 32 bit protected mode, no
 * paging, %ebx points at hvm_start_info. From here to 64 bit mode with the first 4 GiB mapped as
 * they are, and on to attacker_main(). There is no interrupt table: interrupts stay off, and a
 * fault of ours ends the domain as a triple fault, which Xen reports on its console.
 */
#define XEN_ELFNOTE_PHYS32_ENTRY 18
#define PAGE_SIZE 4096

    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 8, XEN_ELFNOTE_PHYS32_ENTRY    /* sizes of the name and of what is described */
    .asciz "Xen"
    .quad start

    .section .text.boot, "ax"
    .code32
    .globl start
start:
    cld
    mov $stack_top, %esp

    movl $(page_directory_pointers + 3), page_map
    mov $(page_directories + 3), %eax       /* present, writable */
    mov $page_directory_pointers, %edi
    mov $4, %ecx
1:  mov %eax, (%edi)
    add $PAGE_SIZE, %eax
    add $8, %edi
    loop 1b

    mov $0x83, %eax                         /* present, writable, a page of 2 MiB */
    mov $page_directories, %edi
    mov $(4 * 512), %ecx
2:  mov %eax, (%edi)
    add $0x200000, %eax
    add $8, %edi
    loop 2b

    mov $0x20, %eax                         /* CR4.PAE */
    mov %eax, %cr4
    mov $page_map, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx                   /* EFER.LME */
    rdmsr
    or $0x100, %eax
    wrmsr
    mov $0x80000011, %eax                   /* CR0.PG, ET, PE */
    mov %eax, %cr0
    lgdt descriptors_pointer
    ljmp $8, $start64

    .code64
start64:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $stack_top, %rsp
    mov %ebx, %edi
    call attacker_main
3:  hlt
    jmp 3b

    .balign 8
descriptors:
    .quad 0
    .quad 0x00af9b000000ffff                /* 0x08: 64 bit code */
    .quad 0x00cf93000000ffff                /* 0x10: data */
descriptors_end:
descriptors_pointer:
    .word descriptors_end - descriptors - 1
    .quad descriptors

    /* Filled by Xen: 32 bytes of code for each hypercall. */
    .balign PAGE_SIZE
    .globl hypercall_page
hypercall_page:
    .skip PAGE_SIZE

    .section .bss
    .balign PAGE_SIZE
page_map:
    .skip PAGE_SIZE
page_directory_pointers:
    .skip PAGE_SIZE
page_directories:
    .skip 4 * PAGE_SIZE
    .skip 4 * PAGE_SIZE
stack_top:

    .section .note.GNU-stack, "", @progbits
