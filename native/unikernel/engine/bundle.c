#include "bundle.h"

#include <string.h>

#include "boot_info.h"
#include "console.h"
#include "engine.h"

extern const uint8_t bundle_start[], bundle_end[];

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

bool bundle_run(JSContext *context) {
  size_t length;
  const uint8_t *bytes = boot_info_module(&length);
  if (bytes == NULL) {
    bytes = bundle_start;
    length = bundle_end - bundle_start;
  }
  const char *fault = fault_of(bytes, length);
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
