/* What went wrong in the script, in words. */
#include "console.h"
#include "engine.h"

static void print_property(JSContext *context, JSValueConst error, const char *name) {
  JSValue value = JS_GetPropertyStr(context, error, name);
  const char *text = JS_IsUndefined(value) ? NULL : JS_ToCString(context, value);
  if (text != NULL) console_print(text);
  JS_FreeCString(context, text);
  JS_FreeValue(context, value);
}

void report_error(JSContext *context, JSValueConst error) {
  const char *text = JS_ToCString(context, error);
  console_printf("unikernel: the script has failed: %s\n", text ? text : "an error without words");
  JS_FreeCString(context, text);
  if (JS_IsError(context, error)) print_property(context, error, "stack");
}

JSValue take_exception(JSContext *context) {
  /* An interruption cannot be caught by the script, but whoever is told of it has it as any other error. */
  JS_ResetUncatchableError(context);
  return JS_GetException(context);
}
