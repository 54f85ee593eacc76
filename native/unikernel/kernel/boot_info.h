/* What the PVH loader tells us: memory, command line, modules. */
#ifndef BOOT_INFO_H
#define BOOT_INFO_H

#include <stddef.h>
#include <stdint.h>

#include "hypercall.h"

#include <xen/arch-x86/hvm/start_info.h>

/* Fills the pool of pages with the memory that is ours and that holds nothing. */
void boot_info_add_memory(const struct hvm_start_info *info);

/* Copies the command line out of the loader's hands. */
void boot_info_keep_command_line(const struct hvm_start_info *info);
const char *boot_info_command_line(void);

/* Where guest-physical addresses begin that stand for nothing. */
uint64_t boot_info_memory_end(void);

/* The first module, NULL without one. It stays where the loader put it. */
const void *boot_info_module(size_t *length);

#endif
