/* A pause in the life of the domain, after which it may be another one: `xl save` and `xl restore`. */
#ifndef SUSPEND_H
#define SUSPEND_H

/* Suspends the domain until the toolstack lets it run again. 1: as it was, after a snapshot. 0: in
 * another domain, with all memory, but without ports, and with nobody who could use our grants; the
 * console is there again. -XEN_EBUSY, and nothing happens: a page of another domain is mapped, which
 * would not be there after. */
long suspend(void);

#endif
