/* The object `xen`: operations of the toolstack, whose layouts are the script's. */
#include <string.h>

#include "engine.h"
#include "hypercall.h"

/* Xen reads and writes as much of an operation whatever it is; both headers have it so. */
#define DOMCTL_BYTES 144
#define SYSCTL_BYTES 136

#define METHOD(name) \
  static JSValue name(JSContext *context, JSValueConst self, int count, JSValueConst *arguments)

static bool operation_argument(JSContext *context, JSValueConst value, size_t bytes,
                               uint8_t **operation) {
  size_t length;
  if (!bytes_argument(context, value, "operation", operation, &length)) return false;
  if (length == bytes) return true;
  JS_ThrowRangeError(context, "operation must have %d bytes", (int)bytes);
  return false;
}

/* domctl(operation): 0, or a negative errno. */
METHOD(domctl) {
  uint8_t *operation;
  if (!operation_argument(context, arguments[0], DOMCTL_BYTES, &operation)) return JS_EXCEPTION;
  return JS_NewInt64(context, hypercall(__HYPERVISOR_domctl, (uintptr_t)operation, 0, 0, 0));
}

/* sysctl(operation, handleOffset, buffer): 0, or a negative errno. The address of `buffer` is put
 * into `operation` at `handleOffset`; the layouts are the script's. */
METHOD(sysctl) {
  uint8_t *operation, *buffer;
  size_t buffer_length;
  uint32_t handle_offset;
  if (!operation_argument(context, arguments[0], SYSCTL_BYTES, &operation) ||
      !integer_argument(context, arguments[1], "handleOffset", UINT16_MAX, &handle_offset) ||
      !bytes_argument(context, arguments[2], "buffer", &buffer, &buffer_length)) {
    return JS_EXCEPTION;
  }
  if (handle_offset > SYSCTL_BYTES - sizeof buffer) {
    return JS_ThrowRangeError(context, "handleOffset is not within the operation");
  }
  memcpy(operation + handle_offset, &buffer, sizeof buffer);
  return JS_NewInt64(context, hypercall(__HYPERVISOR_sysctl, (uintptr_t)operation, 0, 0, 0));
}

static const JSCFunctionListEntry methods[] = {
    JS_CFUNC_DEF("domctl", 1, domctl),
    JS_CFUNC_DEF("sysctl", 3, sysctl),
};

void xen_object_add_control(JSContext *context, JSValue object) {
  JS_SetPropertyFunctionList(context, object, methods, sizeof methods / sizeof methods[0]);
}
