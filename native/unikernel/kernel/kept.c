/* Each text is a list of runs of pages, so that to grow it moves nothing. */
#include "kept.h"

#include <string.h>

#include "pages.h"

#define RUN_PAGES 4
#define RUN_BYTES (RUN_PAGES * PAGE_SIZE - sizeof(struct run *))

struct run {
  struct run *next;
  uint8_t bytes[];
};

struct text {
  struct run *first, *last;
  size_t length;
};

static struct text texts[2];

static void clear(struct text *text) {
  while (text->first != NULL) {
    struct run *run = text->first;
    text->first = run->next;
    pages_free(run, RUN_PAGES);
  }
  *text = (struct text){NULL, NULL, 0};
}

/* Bytes that there is room for without another run. */
static size_t room(const struct text *text) {
  return text->last == NULL ? 0 : RUN_BYTES - 1 - (text->length + RUN_BYTES - 1) % RUN_BYTES;
}

/* Runs for `length` more bytes, as a list; false where there are not so many. */
static bool allocate(struct run **list, size_t length) {
  *list = NULL;
  for (size_t got = 0; got < length; got += RUN_BYTES) {
    struct run *run = pages_allocate(RUN_PAGES);
    if (run == NULL) {
      clear(&(struct text){.first = *list});
      return false;
    }
    run->next = *list;
    *list = run;
  }
  return true;
}

static void put(struct text *text, const uint8_t *bytes, size_t length, struct run **fresh) {
  while (length > 0) {
    size_t left = room(text);
    if (left == 0) {
      struct run *run = *fresh;
      *fresh = run->next;
      run->next = NULL;
      if (text->last == NULL) {
        text->first = run;
      } else {
        text->last->next = run;
      }
      text->last = run;
      left = RUN_BYTES;
    }
    const size_t part = left < length ? left : length;
    memcpy(text->last->bytes + RUN_BYTES - left, bytes, part);
    text->length += part;
    bytes += part;
    length -= part;
  }
}

bool kept_append(enum kept_text which, const uint8_t *bytes, size_t length) {
  struct text *text = &texts[which];
  const size_t left = room(text);
  struct run *fresh;
  if (!allocate(&fresh, length > left ? length - left : 0)) return false;
  put(text, bytes, length, &fresh);
  return true;
}

bool kept_replace(size_t from) {
  struct text *present = &texts[KEPT_PRESENT], *next = &texts[KEPT_NEXT];
  size_t at = 0;
  for (const struct run *run = present->first; run != NULL; run = run->next, at += RUN_BYTES) {
    const size_t end = present->length - at < RUN_BYTES ? present->length : at + RUN_BYTES;
    if (end <= from) continue;
    const size_t start = from > at ? from : at;
    if (!kept_append(KEPT_NEXT, run->bytes + (start - at), end - start)) return false;
  }
  clear(present);
  *present = *next;
  *next = (struct text){NULL, NULL, 0};
  return true;
}

void kept_abandon(void) { clear(&texts[KEPT_NEXT]); }

size_t kept_length(void) { return texts[KEPT_PRESENT].length; }

void kept_copy(uint8_t *target) {
  size_t left = kept_length();
  for (const struct run *run = texts[KEPT_PRESENT].first; run != NULL; run = run->next) {
    const size_t part = left < RUN_BYTES ? left : RUN_BYTES;
    memcpy(target, run->bytes, part);
    target += part;
    left -= part;
  }
}
