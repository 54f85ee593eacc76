/* Time as Xen keeps it for us. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

/* Takes the virtual interrupt that ends clock_wake_at(). */
void clock_init(void);

/* The same after a pause: the time before it goes on. */
void clock_resume(void);

/* Nanoseconds since Xen started; a pause takes no time, and it never goes back. */
uint64_t clock_now(void);

/* Nanoseconds for which we have had a processor; never goes back. */
uint64_t clock_used(void);

/* Nanoseconds since 1970. */
uint64_t clock_wallclock(void);

/* Has Xen wake us, by an event that events_next() swallows, once clock_now() is at `deadline`. */
void clock_wake_at(uint64_t deadline);

#endif
