# Bytes through an end of a vchan that is a command with standard input and output, in dom0 or a guest:
#
#   sh vchan-flow.sh whole COMMAND BYTES   sends random bytes to who sends them back, and compares
#   sh vchan-flow.sh endless TAG COMMAND   sends and receives until the command ends; says how that goes
cd "$(mktemp -d)" || exit 1

whole() {
  mkfifo copy hold
  sha256sum <copy >sent &
  # The command's input must not end, or it would end the connection.
  { head -c "$2" /dev/urandom | tee copy; cat hold; } | $1 | {
    head -c "$2" | sha256sum >came
    : >hold
    cat >/dev/null
  }
  wait
  cmp sent came && echo "whole $2"
}

endless() {
  exec 3>&1
  sh -c "echo $1 is \$\$ >&3; exec $2" </dev/zero | {
    [ "$(head -c 1 | wc -c)" -eq 1 ] && echo "$1 flows"
    cat >/dev/null
  }
  echo "$1 has ended"
}

"$@"
