#include "bundle.h"

#include <string.h>

#include "boot_info.h"
#include "console.h"
#include "engine.h"
#include "hypercall.h"
#include "pages.h"

extern const uint8_t bundle_start[], bundle_end[];

/* Where a bundle begins in an image: image.ts aligns it so. */
#define BUNDLE_ALIGNMENT 16

struct script {
  const uint8_t *bytes;
  size_t length;
  /* 0: it is not ours to free. */
  size_t pages;
};

/* What runs; what has run before it, as long as it may have to again; what is to run next. */
static struct script current, former, next;

static void let_go(struct script *script) {
  if (script->pages > 0) pages_free((void *)script->bytes, script->pages);
  *script = (struct script){NULL, 0, 0};
}

/* The engine trusts its bytecode blindly, so nothing that is not whole may reach it. */
static const char *fault_of(const uint8_t *bytes, size_t length) {
  const struct bundle_header *header = (const void *)bytes;
  if (length == 0) return "there is none: neither in the image nor as a module";
  if (length < sizeof *header) return "it is shorter than its header";
  if (memcmp(header->magic, BUNDLE_MAGIC, sizeof header->magic) != 0) {
    return "it does not begin as a bundle made by `paravane build`";
  }
  if (length - sizeof *header < header->length) return "it is cut off";
  const uint8_t *bytecode = bytes + sizeof *header;
  if (bundle_checksum(bytecode, header->length) != header->checksum) {
    return "its checksum is wrong";
  }
  return NULL;
}

/* The first whole bundle among the bytes of an image, or NULL. */
static const uint8_t *find_whole(const uint8_t *image, size_t length) {
  for (size_t at = 0; at < length; at += BUNDLE_ALIGNMENT) {
    if (fault_of(image + at, length - at) == NULL) return image + at;
  }
  return NULL;
}

long bundle_prepare(const uint8_t *image, size_t length) {
  const uint8_t *found = find_whole(image, length);
  if (found == NULL) return -XEN_ENOENT;
  const size_t bytes = sizeof(struct bundle_header) + ((const struct bundle_header *)found)->length;
  const size_t pages = (bytes + PAGE_SIZE - 1) / PAGE_SIZE;
  let_go(&next);
  void *copy = pages_allocate(pages);
  if (copy == NULL) return -XEN_ENOMEM;
  memcpy(copy, found, bytes);
  next = (struct script){copy, bytes, pages};
  return 0;
}

bool bundle_advance(void) {
  if (next.bytes == NULL) return false;
  former = current;
  current = next;
  next = (struct script){NULL, 0, 0};
  return true;
}

bool bundle_go_back(void) {
  if (former.bytes == NULL) return false;
  let_go(&current);
  current = former;
  former = (struct script){NULL, 0, 0};
  return true;
}

void bundle_settle(void) { let_go(&former); }

static void find_first(void) {
  current.bytes = boot_info_module(&current.length);
  if (current.bytes != NULL) return;
  current.bytes = bundle_start;
  current.length = bundle_end - bundle_start;
}

bool bundle_run(JSContext *context) {
  if (current.bytes == NULL) find_first();
  const uint8_t *bytes = current.bytes;
  const char *fault = fault_of(bytes, current.length);
  if (fault != NULL) {
    console_printf("unikernel: the bundle cannot be run: %s\n", fault);
    return false;
  }
  const struct bundle_header *header = (const void *)bytes;
  JSValue function = JS_ReadObject(context, bytes + sizeof *header, header->length,
                                   JS_READ_OBJ_BYTECODE | JS_READ_OBJ_ROM_DATA);
  JSValue result = JS_IsException(function) ? function : JS_EvalFunction(context, function);
  if (JS_IsException(result)) {
    JSValue error = take_exception(context);
    report_error(context, error);
    JS_FreeValue(context, error);
    return false;
  }
  JS_FreeValue(context, result);
  return true;
}
