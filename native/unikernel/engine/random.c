/* Math.random() of scripts. The engine's own begins with the time, so that whoever knows roughly when the
 * domain has started could foresee all that comes; xenstored draws a key by it that guests must not know. */
#include <stdint.h>

#include "engine.h"
#include "entropy.h"

/* As many bits as a number between 0 and 1 has. */
#define BITS 53

static JSValue next(JSContext *context, JSValueConst self, int count, JSValueConst *arguments) {
  uint64_t bits;
  entropy_fill(&bits, sizeof bits);
  return JS_NewFloat64(context, (double)(bits >> (64 - BITS)) / (1ull << BITS));
}

void random_replace(JSContext *context) {
  JSValue global = JS_GetGlobalObject(context), math = JS_GetPropertyStr(context, global, "Math");
  JS_SetPropertyStr(context, math, "random", JS_NewCFunction(context, next, "random", 0));
  JS_FreeValue(context, math);
  JS_FreeValue(context, global);
}
