/* The JavaScript engine inside the kernel: one runtime, one script, one event loop. */
#ifndef ENGINE_H
#define ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quickjs.h"

/* -- The object `xen` of the script; src/hypervisor/unikernel/xen-object.ts describes it -- */

JSValue xen_object_new(JSContext *context);
/* What the files of the object add to it. */
void xen_object_add_events(JSContext *context, JSValue object);
void xen_object_add_memory(JSContext *context, JSValue object);
void xen_object_add_control(JSContext *context, JSValue object);
void xen_object_add_kept(JSContext *context, JSValue object);

/* Closes all ports that the script has opened, but for those that were there before it. */
void xen_object_close_ports(void);
/* None of its ports is there any more. */
void xen_object_lose_ports(void);

/* -- The event loop -- */

/* Functions of the script; JS_UNDEFINED where it gave none. */
struct listeners {
  JSValue event, timer, failure;
};

void engine_listen(JSContext *context, JSValueConst event, JSValueConst timer);

/* The function that is told of an error that nobody has caught, once, before the domain ends. */
void engine_on_failure(JSContext *context, JSValueConst failure);

/* When the timer function is to run, in nanoseconds of clock_now(); UINT64_MAX: never. */
void engine_wake_at(uint64_t deadline);

/* Something can still happen to the script while this is positive, as by an open port. */
void engine_hold(int change);
/* So can what is typed. */
void engine_hold_console(bool hold);

/* Ends this script with its turn, and runs the bundle that was prepared. False: there is none. */
bool engine_run_next(void);

/* -- Arguments -- */

/* Each throws TypeError or RangeError, naming `name`, and returns false. */
bool integer_argument(JSContext *context, JSValueConst value, const char *name, uint32_t max,
                      uint32_t *result);
bool bytes_argument(JSContext *context, JSValueConst value, const char *name, uint8_t **bytes,
                    size_t *length);

/* Runs the script until nothing can happen to it any more; the domain ends here. */
int engine_main(void);

/* Has Math.random() take what nobody can foresee. */
void random_replace(JSContext *context);

/* -- Words -- */

/* Says on the console what the script has failed with, and its stack. */
void report_error(JSContext *context, JSValueConst error);
/* What `context` has thrown, and no longer has; the caller frees it. */
JSValue take_exception(JSContext *context);

/* -- The script -- */

/* Runs the bundle. False: it is missing, broken or has thrown, and the console says so. */
bool bundle_run(JSContext *context);

/* Keeps the bundle that is in an image, to be run in place of the present one. A negative errno: there is
 * none that is whole, or no room. */
long bundle_prepare(const uint8_t *image, size_t length);
/* Makes it the one that runs. False: there is none. */
bool bundle_advance(void);
/* Makes the one before that the one that runs. False: there is none, or the new one has settled. */
bool bundle_go_back(void);
/* The one that runs now has begun well. */
void bundle_settle(void);

#endif
