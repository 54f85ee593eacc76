/* Where the domain's words go: the console ring, and the debug port in need. */
#ifndef CONSOLE_H
#define CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Uses the ring that the toolstack made, if it did, and after a pause the next one. Before that, words go
 * to the debug port and the first serial port. */
void console_init(void);

void console_write(const char *text, size_t length);
void console_print(const char *text);

/* %s string; %d and %x uint64_t, decimal and hexadecimal; %p uint64_t with all its digits. */
void console_printf(const char *format, ...);

/* Whether something was typed that console_read() has not taken. */
bool console_has_input(void);

/* Takes what was typed; returns how many bytes. */
size_t console_read(char *buffer, size_t capacity);

/* The event channel that says that something was typed or taken; 0: there is none. */
uint32_t console_port(void);

/* From here on, words go to the debug port too: Xen's log has them when nobody reads the console. */
void console_panic(void);

/* Waits, but not for long, until the other end has taken all. */
void console_flush(void);

#endif
