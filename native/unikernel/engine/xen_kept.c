/* The object `xen`: what a script leaves to itself for when it has failed and is run anew, and to the
 * one that takes its place. */
#include "engine.h"
#include "hypercall.h"
#include "kept.h"

#define METHOD(name) \
  static JSValue name(JSContext *context, JSValueConst self, int count, JSValueConst *arguments)

static void free_copy(JSRuntime *runtime, void *opaque, void *bytes) {
  (void)opaque;
  js_free_rt(runtime, bytes);
}

METHOD(kept) {
  const size_t length = kept_length();
  uint8_t *bytes = js_malloc(context, length + 1);
  if (bytes == NULL) return JS_EXCEPTION;
  kept_copy(bytes);
  return JS_NewArrayBuffer(context, bytes, length, free_copy, NULL, false);
}

static JSValue done(JSContext *context, bool had_room) {
  return JS_NewInt32(context, had_room ? 0 : -XEN_ENOMEM);
}

METHOD(keep) {
  uint8_t *bytes;
  size_t length;
  if (!bytes_argument(context, arguments[0], "bytes", &bytes, &length)) return JS_EXCEPTION;
  const enum kept_text text = JS_ToBool(context, arguments[1]) ? KEPT_NEXT : KEPT_PRESENT;
  return done(context, kept_append(text, bytes, length));
}

METHOD(keep_next) {
  uint32_t from;
  if (!integer_argument(context, arguments[0], "from", UINT32_MAX, &from)) return JS_EXCEPTION;
  return done(context, kept_replace(from));
}

METHOD(forget_next) {
  kept_abandon();
  return JS_UNDEFINED;
}

METHOD(prepare_next) {
  uint8_t *image;
  size_t length;
  if (!bytes_argument(context, arguments[0], "image", &image, &length)) return JS_EXCEPTION;
  return JS_NewInt64(context, bundle_prepare(image, length));
}

METHOD(run_next) { return JS_NewBool(context, engine_run_next()); }

static const JSCFunctionListEntry methods[] = {
    JS_CFUNC_DEF("kept", 0, kept),
    JS_CFUNC_DEF("keep", 2, keep),
    JS_CFUNC_DEF("keepNext", 1, keep_next),
    JS_CFUNC_DEF("forgetNext", 0, forget_next),
    JS_CFUNC_DEF("prepareNext", 1, prepare_next),
    JS_CFUNC_DEF("runNext", 0, run_next),
};

void xen_object_add_kept(JSContext *context, JSValue object) {
  JS_SetPropertyFunctionList(context, object, methods, sizeof methods / sizeof methods[0]);
}
