/* How a compiled script lies in an image, or in a module beside it. */
#ifndef BUNDLE_H
#define BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUNDLE_MAGIC "paravane"

/* All numbers are little-endian. The engine's bytecode follows. */
struct bundle_header {
  char magic[8];
  uint32_t length;                  /* of the bytecode, in bytes */
  uint32_t reserved;                /* 0 */
  uint64_t checksum;                /* FNV-1a over the bytecode */
};

static inline uint64_t bundle_checksum(const uint8_t *bytes, size_t length) {
  uint64_t hash = 0xcbf29ce484222325;
  for (size_t i = 0; i < length; i++) hash = (hash ^ bytes[i]) * 0x100000001b3;
  return hash;
}

#endif
