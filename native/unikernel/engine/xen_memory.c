/* The object `xen`: pages that are shared, mapped and copied, as ArrayBuffers. The end of a buffer,
 * by unmap() or because it was collected, ends what is behind it. */
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "events.h"
#include "grants.h"
#include "mappings.h"
#include "paging.h"
#include "pages.h"
#include "window.h"

#define DOMID_MAX UINT16_MAX
#define PAGES_PER_CALL_MAX 65536
#define COPIES_MAX 65536

/* One copy as the script writes it into its Uint32Array. */
enum copy_word {
  COPY_REF,
  COPY_DOMID,
  COPY_OFFSET,
  COPY_LENGTH,
  COPY_KIND,
  COPY_LOCAL,
  COPY_AT,
  COPY_TARGET_DOMID,
  COPY_WORDS,
  /* In place of COPY_LOCAL and COPY_AT where both sides are peers'. */
  COPY_TARGET_REF = COPY_LOCAL,
  COPY_TARGET_OFFSET = COPY_AT
};

/* What stands at COPY_KIND. */
enum copy_kind { FROM_PEER, TO_PEER, BETWEEN_PEERS };

#define METHOD(name) \
  static JSValue name(JSContext *context, JSValueConst self, int count, JSValueConst *arguments)

/* The engine calls this a second time, with NULL, for a buffer that was detached. */
static void end_buffer(JSRuntime *runtime, void *mapping, void *start) {
  (void)runtime;
  if (start != NULL) mapping_end(mapping);
}

static JSValue buffer_of(JSContext *context, struct mapping *mapping) {
  JSValue buffer = JS_NewArrayBuffer(context, mapping_start(mapping), mapping_bytes(mapping),
                                     end_buffer, mapping, false);
  if (JS_IsException(buffer)) mapping_end(mapping);
  return buffer;
}

static bool notice_argument(JSContext *context, JSValueConst *arguments, size_t bytes,
                            struct notice *notice) {
  uint32_t number;
  *notice = (struct notice){.byte_offset = -1};
  if (!JS_IsUndefined(arguments[0])) {
    if (!integer_argument(context, arguments[0], "clearByte", bytes - 1, &number)) return false;
    notice->byte_offset = number;
  }
  if (!JS_IsUndefined(arguments[1])) {
    if (!integer_argument(context, arguments[1], "notifyPort", EVTCHN_FIFO_NR_CHANNELS - 1,
                          &number)) {
      return false;
    }
    notice->port = number;
  }
  return true;
}

static bool count_argument(JSContext *context, size_t count) {
  if (count >= 1 && count <= PAGES_PER_CALL_MAX) return true;
  JS_ThrowRangeError(context, "a call takes from 1 to %d pages", PAGES_PER_CALL_MAX);
  return false;
}

static bool words_argument(JSContext *context, JSValueConst value, const char *name,
                           size_t word_bytes, void **words, size_t *count) {
  uint8_t *bytes;
  size_t length;
  if (!bytes_argument(context, value, name, &bytes, &length)) return false;
  if (length % word_bytes != 0 || (uintptr_t)bytes % word_bytes != 0) {
    JS_ThrowTypeError(context, "%s must have elements of %d bytes", name, (int)word_bytes);
    return false;
  }
  *words = bytes;
  *count = length / word_bytes;
  return true;
}

/* { buffer, refs }; the exception, if the buffer is one. */
static JSValue new_share(JSContext *context, JSValue buffer, const grant_ref_t *references,
                         size_t count) {
  if (JS_IsException(buffer)) return buffer;
  JSValue refs = JS_NewArray(context), result = JS_NewObject(context);
  for (size_t i = 0; i < count; i++) {
    JS_SetPropertyUint32(context, refs, i, JS_NewUint32(context, references[i]));
  }
  JS_SetPropertyStr(context, result, "refs", refs);
  JS_SetPropertyStr(context, result, "buffer", buffer);
  return result;
}

/* share(peer, count, writable, clearByte?, notifyPort?): { buffer, refs }, or a negative errno. */
METHOD(share) {
  uint32_t peer, pages;
  struct notice notice;
  if (!integer_argument(context, arguments[0], "peer", DOMID_MAX, &peer) ||
      !integer_argument(context, arguments[1], "count", UINT32_MAX, &pages) ||
      !count_argument(context, pages) ||
      !notice_argument(context, arguments + 3, (size_t)pages * PAGE_SIZE, &notice)) {
    return JS_EXCEPTION;
  }
  grant_ref_t *references = js_malloc(context, pages * sizeof *references);
  if (references == NULL) return JS_EXCEPTION;
  long error;
  struct mapping *mapping = mappings_share(peer, pages, JS_ToBool(context, arguments[2]), notice,
                                           references, &error);
  JSValue result;
  if (mapping == NULL) {
    result = JS_NewInt64(context, error);
  } else {
    result = new_share(context, buffer_of(context, mapping), references, pages);
  }
  js_free(context, references);
  return result;
}

/* map(peer, refs, clearByte?, notifyPort?): an ArrayBuffer, or a negative errno. */
METHOD(map) {
  uint32_t peer;
  void *references;
  size_t pages;
  struct notice notice;
  if (!integer_argument(context, arguments[0], "peer", DOMID_MAX, &peer) ||
      !words_argument(context, arguments[1], "refs", sizeof(grant_ref_t), &references, &pages) ||
      !count_argument(context, pages) ||
      !notice_argument(context, arguments + 2, pages * PAGE_SIZE, &notice)) {
    return JS_EXCEPTION;
  }
  long error;
  struct mapping *mapping = mappings_map(peer, references, pages, notice, &error);
  return mapping == NULL ? JS_NewInt64(context, error) : buffer_of(context, mapping);
}

/* mapForeign(peer, frames): an ArrayBuffer, or a negative errno. */
METHOD(map_foreign) {
  uint32_t peer;
  void *frames;
  size_t pages;
  if (!integer_argument(context, arguments[0], "peer", DOMID_MAX, &peer) ||
      !words_argument(context, arguments[1], "frames", sizeof(uint64_t), &frames, &pages) ||
      !count_argument(context, pages)) {
    return JS_EXCEPTION;
  }
  long error;
  struct mapping *mapping = mappings_map_foreign(peer, frames, pages, &error);
  return mapping == NULL ? JS_NewInt64(context, error) : buffer_of(context, mapping);
}

static void hide_frames(JSRuntime *runtime, void *count, void *start) {
  (void)runtime;
  if (start != NULL) window_release((uintptr_t)start, (uintptr_t)count);
}

/* ownFrames(frame, count): frames that the toolstack made for us, as that of the xenstore ring. */
METHOD(own_frames) {
  uint32_t frame, pages;
  if (!integer_argument(context, arguments[0], "frame", UINT32_MAX, &frame) ||
      !integer_argument(context, arguments[1], "count", UINT32_MAX, &pages) ||
      !count_argument(context, pages)) {
    return JS_EXCEPTION;
  }
  void *start = window_show((uint64_t)frame * PAGE_SIZE, pages);
  if (start == NULL) return JS_ThrowOutOfMemory(context);
  return JS_NewArrayBuffer(context, start, (size_t)pages * PAGE_SIZE, hide_frames,
                           (void *)(uintptr_t)pages, false);
}

METHOD(unmap) {
  JS_DetachArrayBuffer(context, arguments[0]);
  return JS_UNDEFINED;
}

/* -- Copies -- */

/* Our side of a copy may lie on two pages, Xen's operation on one: two operations then. */
static size_t add_copy(struct gnttab_copy *operations, const uint32_t *words, const uint8_t *local) {
  size_t done = 0, parts = 0;
  while (done < words[COPY_LENGTH]) {
    const uintptr_t address = (uintptr_t)local + done;
    size_t length = PAGE_SIZE - address % PAGE_SIZE;
    if (length > words[COPY_LENGTH] - done) length = words[COPY_LENGTH] - done;
    struct gnttab_copy operation = {.len = length};
    const bool to_peer = words[COPY_KIND] == TO_PEER;
    __typeof__(&operation.source) ours = to_peer ? &operation.source : (void *)&operation.dest;
    __typeof__(&operation.source) theirs = to_peer ? (void *)&operation.dest : &operation.source;
    ours->domid = DOMID_SELF;
    ours->u.gmfn = paging_frame_address(address) / PAGE_SIZE;
    ours->offset = address % PAGE_SIZE;
    theirs->domid = words[COPY_DOMID];
    theirs->u.ref = words[COPY_REF];
    theirs->offset = words[COPY_OFFSET] + done;
    operation.flags = to_peer ? GNTCOPY_dest_gref : GNTCOPY_source_gref;
    operations[parts++] = operation;
    done += length;
  }
  return parts;
}

static struct gnttab_copy copy_between(const uint32_t *words) {
  struct gnttab_copy operation = {.len = words[COPY_LENGTH],
                                  .flags = GNTCOPY_source_gref | GNTCOPY_dest_gref};
  operation.source.domid = words[COPY_DOMID];
  operation.source.u.ref = words[COPY_REF];
  operation.source.offset = words[COPY_OFFSET];
  operation.dest.domid = words[COPY_TARGET_DOMID];
  operation.dest.u.ref = words[COPY_TARGET_REF];
  operation.dest.offset = words[COPY_TARGET_OFFSET];
  return operation;
}

static bool is_within_page(JSContext *context, size_t copy, uint32_t offset, uint32_t length) {
  if (offset <= PAGE_SIZE && length <= PAGE_SIZE - offset) return true;
  JS_ThrowRangeError(context, "copy %d is not within a page", (int)copy);
  return false;
}

static bool local_argument(JSContext *context, JSValueConst locals, size_t index, uint8_t **bytes,
                           size_t *length) {
  JSValue local = JS_GetPropertyUint32(context, locals, index);
  const bool good = bytes_argument(context, local, "a local side", bytes, length);
  /* The script's array holds it still. */
  JS_FreeValue(context, local);
  return good;
}

/* copy(operations, locals, statuses, count): 0, or a negative errno. Fills `statuses`. */
METHOD(copy) {
  void *words, *statuses;
  size_t words_length, statuses_length;
  uint32_t copies;
  if (!words_argument(context, arguments[0], "operations", sizeof(uint32_t), &words,
                      &words_length) ||
      !words_argument(context, arguments[2], "statuses", sizeof(int16_t), &statuses,
                      &statuses_length) ||
      !integer_argument(context, arguments[3], "count", COPIES_MAX, &copies)) {
    return JS_EXCEPTION;
  }
  if (words_length < (size_t)copies * COPY_WORDS || statuses_length < copies) {
    return JS_ThrowRangeError(context, "operations and statuses are shorter than count");
  }
  if (copies == 0) return JS_NewInt32(context, 0);
  struct gnttab_copy *operations = js_malloc(context, 2 * copies * sizeof *operations);
  if (operations == NULL) return JS_EXCEPTION;
  size_t parts = 0;
  uint32_t current = UINT32_MAX;
  uint8_t *local = NULL;
  size_t room = 0;
  for (size_t i = 0; i < copies; i++) {
    const uint32_t *copy = (const uint32_t *)words + i * COPY_WORDS;
    const size_t length = copy[COPY_LENGTH];
    if (!is_within_page(context, i, copy[COPY_OFFSET], length)) goto thrown;
    if (copy[COPY_KIND] == BETWEEN_PEERS) {
      if (!is_within_page(context, i, copy[COPY_TARGET_OFFSET], length)) goto thrown;
      if (length > 0) operations[parts++] = copy_between(copy);
      continue;
    }
    /* Most copies share the array of the one before. */
    if (copy[COPY_LOCAL] != current &&
        !local_argument(context, arguments[1], copy[COPY_LOCAL], &local, &room)) {
      goto thrown;
    }
    current = copy[COPY_LOCAL];
    if (copy[COPY_AT] > room || length > room - copy[COPY_AT]) {
      JS_ThrowRangeError(context, "copy %d is not within its array", (int)i);
      goto thrown;
    }
    parts += add_copy(operations + parts, copy, local + copy[COPY_AT]);
  }
  const long refused = hypercall_grant_table(GNTTABOP_copy, operations, parts);
  const struct gnttab_copy *operation = operations;
  for (size_t i = 0; i < copies; i++) {
    uint32_t left = ((const uint32_t *)words)[i * COPY_WORDS + COPY_LENGTH];
    int16_t status = GNTST_okay;
    for (; left > 0; left -= operation++->len) {
      if (status == GNTST_okay) status = operation->status;
    }
    ((int16_t *)statuses)[i] = status;
  }
  js_free(context, operations);
  return JS_NewInt64(context, refused);
thrown:
  js_free(context, operations);
  return JS_EXCEPTION;
}

static const JSCFunctionListEntry methods[] = {
    JS_CFUNC_DEF("share", 5, share),
    JS_CFUNC_DEF("map", 4, map),
    JS_CFUNC_DEF("mapForeign", 2, map_foreign),
    JS_CFUNC_DEF("ownFrames", 2, own_frames),
    JS_CFUNC_DEF("unmap", 1, unmap),
    JS_CFUNC_DEF("copy", 4, copy),
};

void xen_object_add_memory(JSContext *context, JSValue object) {
  JS_SetPropertyFunctionList(context, object, methods, sizeof methods / sizeof methods[0]);
}
