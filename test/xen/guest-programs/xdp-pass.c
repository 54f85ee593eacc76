/*
 * Attaches an XDP program that lets every frame pass to the interface named by the first argument, in
 * the driver itself, and detaches it when it is ended.
 *
 * Prints "XDP-ATTACHED", or "XDP-ERROR ..." and ends.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int bpf(enum bpf_cmd command, union bpf_attr *attributes) {
  return (int)syscall(SYS_bpf, command, attributes, sizeof(*attributes));
}

static int failed(const char *what) {
  printf("XDP-ERROR %s: %s\n", what, strerror(errno));
  return 1;
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  const unsigned int interface = argc == 2 ? if_nametoindex(argv[1]) : 0;
  if (interface == 0) return failed("find the interface");

  const struct bpf_insn pass[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
      {.code = BPF_JMP | BPF_EXIT},
  };
  union bpf_attr load = {0};
  load.prog_type = BPF_PROG_TYPE_XDP;
  load.insns = (uintptr_t)pass;
  load.insn_cnt = sizeof(pass) / sizeof(pass[0]);
  load.license = (uintptr_t) "GPL";
  const int program = bpf(BPF_PROG_LOAD, &load);
  if (program < 0) return failed("load the program");

  union bpf_attr link = {0};
  link.link_create.prog_fd = (uint32_t)program;
  link.link_create.target_ifindex = interface;
  link.link_create.attach_type = BPF_XDP;
  link.link_create.flags = XDP_FLAGS_DRV_MODE;
  if (bpf(BPF_LINK_CREATE, &link) < 0) return failed("attach the program");

  puts("XDP-ATTACHED");
  pause();
  return 0;
}
