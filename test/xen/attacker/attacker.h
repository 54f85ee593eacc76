/* A guest that means ill: what its parts give each other. */
#ifndef ATTACKER_H
#define ATTACKER_H
#include <stdarg.h>
#include <stdint.h>

#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__

#include <xen/xen.h>
#include <xen/event_channel.h>
#include <xen/io/xs_wire.h>

/* guest.c: the domain itself. */

#define TEXT_MAX 8192

/* Brings up hypercalls, console and the xenstore ring; `start_info` is Xen's, from %ebx. */
void guest_start(uint32_t start_info);
/* The value of `name=` on the command line, up to the next blank; empty when it is not there. */
const char *option(const char *name);
/* Writes to the console: %s, %d (int), %c and nothing else. */
void say(const char *format, ...);
/* As `say`, into `text` of TEXT_MAX bytes; returns the length. Every `|` becomes a NUL. */
unsigned format_request(char *text, const char *format, va_list arguments);
/* Sleeps until the event channel has something to tell. */
void wait_for(evtchn_port_t port);
void notify(evtchn_port_t port);
/* Lets other domains run. */
void yield(void);
/* Ends the domain, SHUTDOWN_…; does not return. */
void shut_down(unsigned reason);

/* ring.c: xenstore, spoken raw. */

extern struct xenstore_domain_interface *ring;
extern evtchn_port_t ring_port;

struct message {
  struct xsd_sockmsg header;
  /* Ends in a NUL that is not part of it. */
  char body[XENSTORE_PAYLOAD_MAX + 1];
};

/* Watch events that `ask` passed over. */
extern unsigned events_heard;
/* The last of them, its NULs as `|`. */
extern char last_event[XENSTORE_PAYLOAD_MAX + 1];

/* Puts bytes into the ring as room comes up. */
void put(const void *data, unsigned length);
/* Puts in one request, whatever its header says, and leaves the reply for later. */
void send_bytes(unsigned type, uint32_t transaction, const void *body, unsigned length);
void send(unsigned type, uint32_t transaction, const char *format, ...);
/* As `send_bytes` if there is room for all of it; tells whether there was. */
int send_if_room(unsigned type, uint32_t transaction, const void *body, unsigned length);
/* Waits for the next reply or event. */
void receive(struct message *message);
/* Waits for so many replies, whatever events come between; returns how many of them are errors. */
unsigned receive_replies(unsigned count);
/* Sends a request and waits for its reply: an error's name, or the body with its NULs as `|`. */
const char *ask(unsigned type, uint32_t transaction, const char *format, ...);
const char *ask_bytes(unsigned type, uint32_t transaction, const void *body, unsigned length);
/* Starts a transaction; 0 when there is none to be had. */
uint32_t start_transaction(void);
const char *end_transaction(uint32_t transaction, int commit);
int is_ok(const char *reply);

/* attacks.c */

struct attack {
  const char *name;
  /* What is done once, and told on the console. */
  void (*begin)(void);
  /* What is done again and again until the domain is destroyed; absent for one that then waits. */
  void (*round)(void);
};

extern const struct attack attacks[];
extern const unsigned attack_count;

void *memcpy(void *to, const void *from, unsigned long length);
void *memset(void *to, int value, unsigned long length);
int strings_equal(const char *one, const char *other);
unsigned string_length(const char *text);
#endif
