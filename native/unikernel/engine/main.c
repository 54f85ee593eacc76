/* The engine's life: start, run the bundle, hand it events and its timer, and end. */
#include <stdlib.h>
#include <string.h>

#include <xen/sched.h>

#include "boot_info.h"
#include "clock.h"
#include "console.h"
#include "domain.h"
#include "engine.h"
#include "events.h"
#include "kept.h"
#include "mappings.h"
#include "pages.h"

/* Of the 512 KiB of stack (image.lds), what the script may use; the rest is for C below it. */
#define SCRIPT_STACK_BYTES (400 * 1024)

#define NS_PER_MS 1000000ull

/* How long the script may have the processor before it lets go; more is taken for an endless loop. */
#define TURN_LIMIT_MS 10000
#define TURN_LIMIT_MAX_MS 86400000
#define TURN_LIMIT_OPTION "turn_limit_ms="

/* Pages that a peer held on to are looked at again after this. */
#define SWEEP_INTERVAL_NS (200 * NS_PER_MS)

/* A wait longer than this is cut in pieces; nobody notices. */
#define WAIT_MAX_NS (3600000 * NS_PER_MS)

static struct listeners listeners;
static uint64_t timer_deadline = UINT64_MAX;
static int holds;

/* When a script that has failed must have said what it has to say; UINT64_MAX: it has not failed. */
#define LAST_WORDS_NS (3000 * NS_PER_MS)
static uint64_t end_deadline = UINT64_MAX;

/* A script that has failed is run anew where it has kept something, unless it fails sooner than this:
 * then it would only fail again. */
#define RESTART_AFTER_NS (5000 * NS_PER_MS)
static uint64_t begun;
static bool restarts;

static uint64_t turn_limit_ns = TURN_LIMIT_MS * NS_PER_MS;
/* By clock_used(). */
static uint64_t turn_start;
/* A turn was too long, and the script has not failed of it yet. */
static bool is_interrupted;

/* The last promise that was rejected with nobody to hear of it. */
static JSValue unheard_promise, unheard_reason;

void engine_listen(JSContext *context, JSValueConst event, JSValueConst timer) {
  JS_FreeValue(context, listeners.event);
  JS_FreeValue(context, listeners.timer);
  listeners.event = JS_DupValue(context, event);
  listeners.timer = JS_DupValue(context, timer);
}

void engine_on_failure(JSContext *context, JSValueConst failure) {
  JS_FreeValue(context, listeners.failure);
  listeners.failure = JS_DupValue(context, failure);
}

void engine_wake_at(uint64_t deadline) { timer_deadline = deadline; }

void engine_hold(int change) { holds += change; }

/* Whether typing at the console counts as one of the holds. */
static bool holds_console;

void engine_hold_console(bool hold) {
  if (hold != holds_console) engine_hold(hold ? 1 : -1);
  holds_console = hold;
}

static void call(JSContext *context, JSValueConst function, int count, JSValueConst *arguments);

/* Whether a script that has failed has had its time. */
static bool is_over(void) { return end_deadline != UINT64_MAX && end_deadline <= clock_now(); }

/* The script has failed with `error`. It begins anew, or may say so to others, and then the domain ends. */
static void fail(JSContext *context, JSValue error) {
  is_interrupted = false;
  report_error(context, error);
  /* What fails after that is on the console, and changes nothing. */
  const bool is_first = end_deadline == UINT64_MAX;
  if (is_first && kept_length() > 0 && clock_now() - begun >= RESTART_AFTER_NS) {
    restarts = true;
    JS_FreeValue(context, error);
    return;
  }
  if (!JS_IsFunction(context, listeners.failure)) domain_crash();
  if (is_first) end_deadline = clock_now() + LAST_WORDS_NS;
  if (is_first) call(context, listeners.failure, 1, &error);
  JS_FreeValue(context, error);
}

/* The engine asks this now and then while a script runs. */
static int is_turn_too_long(JSRuntime *runtime, void *opaque) {
  (void)runtime;
  (void)opaque;
  if (is_over()) return 1;
  if (clock_used() - turn_start < turn_limit_ns) return 0;
  console_printf("unikernel: the script has not yielded for %d ms\n", turn_limit_ns / NS_PER_MS);
  is_interrupted = true;
  return 1;
}

static void track_rejection(JSContext *context, JSValueConst promise, JSValueConst reason,
                            JS_BOOL is_handled, void *opaque) {
  (void)opaque;
  if (is_handled) {
    /* An interruption is a failure, whoever hears of it. */
    if (is_interrupted) return;
    if (JS_VALUE_GET_TAG(unheard_promise) != JS_TAG_OBJECT ||
        JS_VALUE_GET_PTR(unheard_promise) != JS_VALUE_GET_PTR(promise)) {
      return;
    }
    JS_FreeValue(context, unheard_promise);
    JS_FreeValue(context, unheard_reason);
    unheard_promise = unheard_reason = JS_UNDEFINED;
    return;
  }
  if (!JS_IsUndefined(unheard_promise)) return;
  unheard_promise = JS_DupValue(context, promise);
  unheard_reason = JS_DupValue(context, reason);
}

/* Fails with the rejection that nobody has heard of, or with the interruption; not if there is neither. */
static void fail_unheard(JSContext *context) {
  JSValue reason = unheard_reason;
  if (!JS_IsUndefined(unheard_promise)) {
    JS_FreeValue(context, unheard_promise);
    unheard_promise = unheard_reason = JS_UNDEFINED;
  } else if (is_interrupted) {
    JS_ThrowInternalError(context, "interrupted");
    reason = take_exception(context);
  } else {
    return;
  }
  fail(context, reason);
}

/* Promises that are settled run what waits for them. */
static void run_jobs(JSContext *context) {
  JSContext *job;
  int ran;
  do {
    /* What was interrupted within a promise is to the engine a rejection of it, which the script may hear. */
    if (is_interrupted) fail_unheard(context);
    if (restarts || is_over()) return;
    ran = JS_ExecutePendingJob(JS_GetRuntime(context), &job);
    if (ran < 0) fail(job, take_exception(job));
  } while (ran != 0);
  if (!restarts) fail_unheard(context);
}

static void call(JSContext *context, JSValueConst function, int count, JSValueConst *arguments) {
  turn_start = clock_used();
  if (JS_IsFunction(context, function)) {
    JSValue result = JS_Call(context, function, JS_UNDEFINED, count, arguments);
    if (JS_IsException(result)) fail(context, take_exception(context));
    JS_FreeValue(context, result);
  }
  run_jobs(context);
}

static uint64_t earlier(uint64_t a, uint64_t b) { return a < b ? a : b; }

static void wait(void) {
  const uint64_t now = clock_now();
  uint64_t deadline = earlier(earlier(timer_deadline, end_deadline), now + WAIT_MAX_NS);
  if (mappings_sweep() > 0) deadline = earlier(deadline, now + SWEEP_INTERVAL_NS);
  if (deadline <= now) return;
  clock_wake_at(deadline);
  events_wait();
}

/* Our console is signalled whenever something was taken from it, too: that is nothing to the script. */
static bool is_news(evtchn_port_t port) {
  if (port != console_port() || console_has_input()) return true;
  events_unmask(port);
  return false;
}

static void serve(JSContext *context) {
  bool is_kept_waiting = false;
  while (!restarts && (holds > 0 || timer_deadline != UINT64_MAX)) {
    const uint64_t now = clock_now();
    if (is_over()) break;
    /* Where both are there, they take turns: neither may hold up the other for good. */
    const bool rings = timer_deadline <= now;
    const long port = rings && is_kept_waiting ? -1 : events_next();
    is_kept_waiting = rings && port >= 0;
    if (port >= 0) {
      if (!is_news(port)) continue;
      JSValue number = JS_NewInt64(context, port);
      call(context, listeners.event, 1, &number);
    } else if (rings) {
      timer_deadline = UINT64_MAX;
      call(context, listeners.timer, 0, NULL);
    } else {
      wait();
    }
  }
}

static void read_options(void) {
  const char *option = strstr(boot_info_command_line(), TURN_LIMIT_OPTION);
  if (option == NULL) return;
  const char *text = option + strlen(TURN_LIMIT_OPTION);
  char *end;
  const uint64_t limit_ms = strtoull(text, &end, 10);
  const bool is_number = end != text && (*end == ' ' || *end == 0);
  if (is_number && limit_ms > 0 && limit_ms <= TURN_LIMIT_MAX_MS) {
    turn_limit_ns = limit_ms * NS_PER_MS;
    return;
  }
  console_printf("unikernel: " TURN_LIMIT_OPTION " takes a number from 1 to %d, and stays %d\n",
                 (uint64_t)TURN_LIMIT_MAX_MS, (uint64_t)TURN_LIMIT_MS);
}

static JSContext *start_engine(void) {
  JSRuntime *runtime = JS_NewRuntime();
  JSContext *context = runtime == NULL ? NULL : JS_NewContext(runtime);
  if (context == NULL) {
    console_printf("unikernel: the engine does not fit into %d KiB of memory\n",
                   (uint64_t)(pages_total() * PAGE_SIZE / 1024));
    domain_crash();
  }
  JS_SetMaxStackSize(runtime, SCRIPT_STACK_BYTES);
  JS_SetInterruptHandler(runtime, is_turn_too_long, NULL);
  unheard_promise = unheard_reason = JS_UNDEFINED;
  listeners = (struct listeners){JS_UNDEFINED, JS_UNDEFINED, JS_UNDEFINED};
  JS_SetHostPromiseRejectionTracker(runtime, track_rejection, NULL);
  random_replace(context);
  return context;
}

/* Ends all that the script has had: pages first, whose ends are told through ports. */
static void stop_engine(JSContext *context) {
  engine_listen(context, JS_UNDEFINED, JS_UNDEFINED);
  engine_on_failure(context, JS_UNDEFINED);
  JS_FreeValue(context, unheard_promise);
  JS_FreeValue(context, unheard_reason);
  JSRuntime *runtime = JS_GetRuntime(context);
  JS_FreeContext(context);
  JS_FreeRuntime(runtime);
  xen_object_close_ports();
  kept_abandon();
  timer_deadline = UINT64_MAX;
  holds = 0;
  holds_console = false;
}

bool engine_run_next(void) {
  restarts = bundle_advance();
  return restarts;
}

/* Runs the script until nothing can happen to it, or until it has to begin anew. */
static void run(void) {
  begun = clock_now();
  restarts = is_interrupted = false;
  JSContext *context = start_engine();
  JSValue global = JS_GetGlobalObject(context);
  JS_SetPropertyStr(context, global, "xen", xen_object_new(context));
  JS_FreeValue(context, global);
  turn_start = clock_used();
  if (bundle_run(context)) {
    if (!restarts) bundle_settle();
    run_jobs(context);
    serve(context);
  } else {
    restarts = bundle_go_back();
    if (!restarts) domain_crash();
  }
  if (restarts) stop_engine(context);
}

int engine_main(void) {
  read_options();
  for (run(); restarts; run()) {
    console_printf("unikernel: a script begins anew, with %d bytes that were kept\n",
                   (uint64_t)kept_length());
  }
  if (end_deadline != UINT64_MAX) domain_crash();
  domain_shutdown(SHUTDOWN_poweroff);
}
