/* The processor's own random numbers where it has them, and always the jitter of a hypercall, stirred
 * into a state that never leaves here. */
#include "entropy.h"

#include <stdbool.h>
#include <stdint.h>

#include <xen/version.h>

#include "cpu.h"
#include "hypercall.h"

#define RDRAND_TRIES 10
#define JITTER_SAMPLES 16
#define CPUID_1_ECX_RDRAND (1u << 30)

static uint64_t state[2] = {0x243f6a8885a308d3, 0x13198a2e03707344};

static bool rdrand(uint64_t *value) {
  static int present = -1;
  if (present < 0) present = (cpuid(1).ecx & CPUID_1_ECX_RDRAND) != 0;
  for (int i = 0; present && i < RDRAND_TRIES; i++) {
    bool carry;
    asm volatile("rdrand %0" : "=r"(*value), "=@ccc"(carry));
    if (carry) return true;
  }
  return false;
}

static uint64_t rotated(uint64_t value, unsigned by) { return value << by | value >> (64 - by); }

/* One multiplication folds all bits of its operands into all bits of the state. */
static void stir(uint64_t value) {
  const unsigned __int128 product =
      (unsigned __int128)(state[0] ^ value) * (0x9e3779b97f4a7c15 ^ state[1]);
  state[0] = rotated(state[0], 29) ^ (uint64_t)product;
  state[1] = rotated(state[1], 41) ^ (uint64_t)(product >> 64) ^ value;
}

static uint64_t next(void) {
  uint64_t value;
  for (int i = 0; i < JITTER_SAMPLES; i++) {
    hypercall(__HYPERVISOR_xen_version, XENVER_version, 0, 0, 0);
    stir(read_tsc());
  }
  if (rdrand(&value)) stir(value);
  const uint64_t result = state[0] + rotated(state[1], 17);
  stir(result);
  return result;
}

void entropy_fill(void *bytes, size_t length) {
  uint64_t random = 0;
  for (size_t i = 0; i < length; i++) {
    if (i % sizeof random == 0) random = next();
    ((uint8_t *)bytes)[i] = random >> i % sizeof random * 8;
  }
}
