/* Bytes that outlive the script, in pages of their own: what a script that has failed leaves to itself
 * when it is run anew. The next text is written while the present one stays whole. */
#ifndef KEPT_H
#define KEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kept_text { KEPT_PRESENT, KEPT_NEXT };

/* Adds `length` bytes. False: there is no room, and nothing was added. */
bool kept_append(enum kept_text text, const uint8_t *bytes, size_t length);

/* Adds what the present text has from `from` on to the next one, which takes its place. False: there is
 * no room, and the present text stays. */
bool kept_replace(size_t from);

/* Lets go of the next text. */
void kept_abandon(void);

size_t kept_length(void);

/* Copies the present text, kept_length() bytes. */
void kept_copy(uint8_t *target);

#endif
