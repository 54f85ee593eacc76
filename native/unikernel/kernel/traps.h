/* Exceptions and the tables of the processor. */
#ifndef TRAPS_H
#define TRAPS_H

/* The vector on which Xen tells of events. */
#define EVENT_VECTOR 0x30

void traps_init(void);

#endif
