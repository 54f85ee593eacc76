/* The object `xen`: time, console, and what the domain is. */
#include <math.h>
#include <stdlib.h>

#include <xen/hvm/params.h>
#include <xen/sched.h>

#include "boot_info.h"
#include "clock.h"
#include "console.h"
#include "domain.h"
#include "engine.h"
#include "entropy.h"
#include "mappings.h"
#include "pages.h"
#include "suspend.h"

#define NS_PER_MS 1000000.0
#define INPUT_BYTES_MAX 1024

#define METHOD(name) \
  static JSValue name(JSContext *context, JSValueConst self, int count, JSValueConst *arguments)

METHOD(now_ms) { return JS_NewFloat64(context, clock_now() / NS_PER_MS); }

METHOD(wallclock_ms) { return JS_NewFloat64(context, clock_wallclock() / NS_PER_MS); }

METHOD(listen) {
  engine_listen(context, arguments[0], arguments[1]);
  return JS_UNDEFINED;
}

METHOD(on_failure) {
  engine_on_failure(context, arguments[0]);
  return JS_UNDEFINED;
}

METHOD(wake_at) {
  double deadline_ms;
  if (JS_ToFloat64(context, &deadline_ms, arguments[0]) != 0) return JS_EXCEPTION;
  if (isnan(deadline_ms)) return JS_ThrowRangeError(context, "deadline_ms is not a number");
  const double deadline = deadline_ms * NS_PER_MS;
  engine_wake_at(deadline >= (double)UINT64_MAX ? UINT64_MAX : deadline < 0 ? 0 : deadline);
  return JS_UNDEFINED;
}

METHOD(print) {
  size_t length;
  const char *text = JS_ToCStringLen(context, &length, arguments[0]);
  if (text == NULL) return JS_EXCEPTION;
  console_write(text, length);
  JS_FreeCString(context, text);
  return JS_UNDEFINED;
}

METHOD(read_console) {
  uint8_t typed[INPUT_BYTES_MAX];
  return JS_NewArrayBufferCopy(context, typed, console_read((char *)typed, sizeof typed));
}

METHOD(hold_console) {
  engine_hold_console(JS_ToBool(context, arguments[0]));
  return JS_UNDEFINED;
}

METHOD(fill_random) {
  uint8_t *bytes;
  size_t length;
  if (!bytes_argument(context, arguments[0], "bytes", &bytes, &length)) return JS_EXCEPTION;
  entropy_fill(bytes, length);
  return JS_UNDEFINED;
}

METHOD(parameter) {
  uint32_t index;
  if (!integer_argument(context, arguments[0], "index", HVM_NR_PARAMS - 1, &index)) {
    return JS_EXCEPTION;
  }
  return JS_NewFloat64(context, domain_parameter(index));
}

METHOD(memory) {
  JSMemoryUsage usage;
  JS_ComputeMemoryUsage(JS_GetRuntime(context), &usage);
  JSValue result = JS_NewObject(context);
  JS_SetPropertyStr(context, result, "total", JS_NewInt64(context, pages_total() * PAGE_SIZE));
  JS_SetPropertyStr(context, result, "unused", JS_NewInt64(context, pages_unused() * PAGE_SIZE));
  JS_SetPropertyStr(context, result, "lingering", JS_NewInt64(context, mappings_sweep()));
  JS_SetPropertyStr(context, result, "heap", JS_NewInt64(context, usage.malloc_size));
  return result;
}

METHOD(shut_down) {
  uint32_t reason;
  if (!integer_argument(context, arguments[0], "reason", SHUTDOWN_MAX, &reason)) {
    return JS_EXCEPTION;
  }
  domain_shutdown(reason);
}

/* What is another one in another domain. */
static void set_domain(JSContext *context, JSValueConst object) {
  JS_SetPropertyStr(context, object, "domid", JS_NewInt32(context, domain_id()));
  JS_SetPropertyStr(context, object, "consolePort", JS_NewInt32(context, console_port()));
}

METHOD(suspend_domain) {
  const long result = suspend();
  if (result == 0) {
    xen_object_lose_ports();
    set_domain(context, self);
  }
  return JS_NewInt64(context, result);
}

static const JSCFunctionListEntry methods[] = {
    JS_CFUNC_DEF("now_ms", 0, now_ms),
    JS_CFUNC_DEF("wallclock_ms", 0, wallclock_ms),
    JS_CFUNC_DEF("listen", 2, listen),
    JS_CFUNC_DEF("onFailure", 1, on_failure),
    JS_CFUNC_DEF("wakeAt", 1, wake_at),
    JS_CFUNC_DEF("print", 1, print),
    JS_CFUNC_DEF("readConsole", 0, read_console),
    JS_CFUNC_DEF("holdConsole", 1, hold_console),
    JS_CFUNC_DEF("fillRandom", 1, fill_random),
    JS_CFUNC_DEF("parameter", 1, parameter),
    JS_CFUNC_DEF("memory", 0, memory),
    JS_CFUNC_DEF("shutDown", 1, shut_down),
    JS_CFUNC_DEF("suspend", 0, suspend_domain),
};

JSValue xen_object_new(JSContext *context) {
  JSValue object = JS_NewObject(context);
  JS_SetPropertyFunctionList(context, object, methods, sizeof methods / sizeof methods[0]);
  xen_object_add_events(context, object);
  xen_object_add_memory(context, object);
  xen_object_add_control(context, object);
  xen_object_add_kept(context, object);
  set_domain(context, object);
  JS_SetPropertyStr(context, object, "commandLine",
                    JS_NewString(context, boot_info_command_line()));
  return object;
}
