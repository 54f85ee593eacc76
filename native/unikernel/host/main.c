/* host [--two-level] [--snapshot] [--peer=FILE] BUNDLE [OPTION...]: runs a bundle as a stub domain would,
 * over the small Xen of this process, which may be one without the FIFO ABI of events, and whose toolstack
 * suspends a domain for a snapshot alone. A peer grants the pages of the file. The options are the
 * domain's command line. The exit status is the reason of its end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boot_info.h"
#include "engine.h"
#include "events.h"
#include "grants.h"
#include "upcall.h"
#include "xen.h"

#define COMMAND_LINE_MAX 1024
#define PEER_FLAG "--peer="

/* There is none in the program itself. */
const uint8_t bundle_start[1], bundle_end[0];

static char command_line[COMMAND_LINE_MAX];
static void *module;
static size_t module_length;

const char *boot_info_command_line(void) { return command_line; }

const void *boot_info_module(size_t *length) {
  *length = module_length;
  return module;
}

static void read_module(const char *path) {
  FILE *file = fopen(path, "rb");
  if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
    perror(path);
    exit(2);
  }
  module_length = ftell(file);
  rewind(file);
  module = malloc(module_length + 1);
  if (module == NULL || fread(module, 1, module_length, file) != module_length) {
    perror(path);
    exit(2);
  }
  fclose(file);
}

int main(int count, char **arguments) {
  for (; count > 1 && arguments[1][0] == '-'; arguments++, count--) {
    if (strcmp(arguments[1], "--two-level") == 0) upcall_refuse_fifo();
    if (strcmp(arguments[1], "--snapshot") == 0) host_take_snapshots();
    if (strncmp(arguments[1], PEER_FLAG, strlen(PEER_FLAG)) == 0) {
      host_open_peer(arguments[1] + strlen(PEER_FLAG));
    }
  }
  if (count < 2) {
    fprintf(stderr, "usage: host [--two-level] [--snapshot] [--peer=FILE] BUNDLE [OPTION...]\n");
    return 2;
  }
  read_module(arguments[1]);
  for (int i = 2; i < count; i++) {
    strncat(command_line, arguments[i], sizeof command_line - strlen(command_line) - 1);
    strncat(command_line, " ", sizeof command_line - strlen(command_line) - 1);
  }
  host_memory_init();
  events_init();
  grants_init();
  return engine_main();
}
