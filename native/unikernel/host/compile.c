/* compile SCRIPT BUNDLE: makes a bundle of a script, with the very engine that will run it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundle.h"
#include "quickjs.h"

/* Errors name the script so. */
#define SCRIPT_NAME "bundle.js"

static void fail(const char *what, const char *path) {
  fprintf(stderr, "compile: %s %s: %s\n", what, path, strerror(errno));
  exit(1);
}

/* The whole file, with a 0 after it. */
static char *read_file(const char *path, size_t *length) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) fail("open", path);
  char *bytes = NULL;
  size_t capacity = 0;
  *length = 0;
  for (;;) {
    if (capacity - *length < 2) {
      capacity = capacity * 2 + 65536;
      bytes = realloc(bytes, capacity);
      if (bytes == NULL) fail("read", path);
    }
    const size_t count = fread(bytes + *length, 1, capacity - *length - 1, file);
    if (count == 0) break;
    *length += count;
  }
  if (ferror(file)) fail("read", path);
  fclose(file);
  bytes[*length] = 0;
  return bytes;
}

static void write_bundle(const char *path, const uint8_t *bytecode, size_t length) {
  struct bundle_header header = {.length = length, .checksum = bundle_checksum(bytecode, length)};
  memcpy(header.magic, BUNDLE_MAGIC, sizeof header.magic);
  FILE *file = fopen(path, "wb");
  if (file == NULL) fail("create", path);
  if (fwrite(&header, sizeof header, 1, file) != 1 || fwrite(bytecode, length, 1, file) != 1 ||
      fclose(file) != 0) {
    fail("write", path);
  }
}

static void print_exception(JSContext *context) {
  JSValue error = JS_GetException(context), stack = JS_GetPropertyStr(context, error, "stack");
  fprintf(stderr, "compile: %s\n%s", JS_ToCString(context, error), JS_ToCString(context, stack));
}

int main(int count, char **arguments) {
  if (count != 3) {
    fprintf(stderr, "usage: compile SCRIPT BUNDLE\n");
    return 2;
  }
  size_t length;
  const char *script = read_file(arguments[1], &length);
  JSContext *context = JS_NewContext(JS_NewRuntime());
  JSValue function = JS_Eval(context, script, length, SCRIPT_NAME,
                             JS_EVAL_TYPE_GLOBAL | JS_EVAL_FLAG_COMPILE_ONLY);
  uint8_t *bytecode = JS_IsException(function)
                          ? NULL
                          : JS_WriteObject(context, &length, function, JS_WRITE_OBJ_BYTECODE);
  if (bytecode == NULL) {
    print_exception(context);
    return 1;
  }
  write_bundle(arguments[2], bytecode, length);
  return 0;
}
