/* Unpredictable bytes. */
#ifndef ENTROPY_H
#define ENTROPY_H

#include <stddef.h>

void entropy_fill(void *bytes, size_t length);

#endif
