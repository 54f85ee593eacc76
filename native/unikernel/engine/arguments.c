/* Typed guards for what the script hands us. */
#include "engine.h"

bool integer_argument(JSContext *context, JSValueConst value, const char *name, uint32_t max,
                      uint32_t *result) {
  double number;
  if (!JS_IsNumber(value) || JS_ToFloat64(context, &number, value) != 0) {
    JS_ThrowTypeError(context, "%s must be a number", name);
    return false;
  }
  if (!(number >= 0 && number <= max) || number != (uint32_t)number) {
    JS_ThrowRangeError(context, "%s must be an integer from 0 to %u", name, max);
    return false;
  }
  *result = (uint32_t)number;
  return true;
}

bool bytes_argument(JSContext *context, JSValueConst value, const char *name, uint8_t **bytes,
                    size_t *length) {
  size_t offset, element, size;
  JSValue buffer = JS_GetTypedArrayBuffer(context, value, &offset, length, &element);
  if (JS_IsException(buffer)) return false;
  uint8_t *start = JS_GetArrayBuffer(context, &size, buffer);
  JS_FreeValue(context, buffer);
  if (start == NULL || offset + *length > size) {
    JS_ThrowTypeError(context, "%s is detached", name);
    return false;
  }
  *bytes = start + offset;
  return true;
}
