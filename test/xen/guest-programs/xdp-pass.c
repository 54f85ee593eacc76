/*
 * Attaches an XDP program to the interface named by the first argument, in the driver itself, and
 * detaches it when it is ended. Frames of ARP and IP pass. Where frames do not lie where the driver
 * says, after the headroom, the program sees something else, and nothing passes.
 *
 * Prints "XDP-ATTACHED", or "XDP-ERROR ..." and ends.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stddef.h>
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
      /* From the first byte of the frame up to the last. */
      {BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1, offsetof(struct xdp_md, data), 0},
      {BPF_LDX | BPF_MEM | BPF_W, BPF_REG_3, BPF_REG_1, offsetof(struct xdp_md, data_end), 0},
      {BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_4, BPF_REG_2, 0, 0},
      {BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_4, 0, 0, sizeof(struct ethhdr)},
      {BPF_JMP | BPF_JGT | BPF_X, BPF_REG_4, BPF_REG_3, 4, 0},
      {BPF_LDX | BPF_MEM | BPF_H, BPF_REG_5, BPF_REG_2, offsetof(struct ethhdr, h_proto), 0},
      {BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_5, 0, 4, htons(ETH_P_ARP)},
      {BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_5, 0, 3, htons(ETH_P_IP)},
      {BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_5, 0, 2, htons(ETH_P_IPV6)},
      {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, XDP_DROP},
      {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
      {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, XDP_PASS},
      {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
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
