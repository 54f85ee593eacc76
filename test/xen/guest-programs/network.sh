# A guest that keeps one TCP connection busy in each direction with the guest whose address is in
# /tmp/peer, once that is there: numbered lines, which have to come one after the other. Its own address
# it has by DHCP. It sends no more once /tmp/stop is there.
printf '#!/bin/sh\n[ $1 != bound ] || ip address add $ip/$mask dev $interface\n' >/tmp/use
chmod +x /tmp/use
filling=$(printf '%01000d' 0)

# Not by the shell, which reads each byte by itself: that takes an emulated guest minutes.
take_lines() {
  awk -v filling="$filling" '
    $1 == "end" { ended = 1; exit }
    { expected++ }
    $0 != expected " " filling { print "NET-ERROR got " $1 " for " expected }
    expected % 10 == 0 { print "NET " expected; fflush() }
    END {
      if (!ended) print "NET-ERROR the connection is over after " expected " lines"
      print "NET-DONE " expected " lines"
    }'
}

send_lines() {
  number=0
  while [ ! -e /tmp/stop ]; do
    number=$((number + 1))
    echo "$number $filling"
    # The host is emulated and has other work to do, too.
    sleep 0.05
  done
  echo "end"
}

net_traffic() {
  until [ -e /sys/class/net/eth0 ]; do sleep 0.2; done
  ip link set eth0 up
  udhcpc -i eth0 -q -f -t 20 -n -s /tmp/use || echo "NET-ERROR no lease"
  # With nothing more to send it would close its half, and the other nc would end for that.
  tail -f /dev/null | nc -l -p 7000 | take_lines &
  echo "NET-ADDRESS $(ip -4 address show dev eth0 | sed -n 's/.*inet \([0-9.]*\).*/\1/p')"
  until [ -s /tmp/peer ]; do sleep 0.5; done
  send_lines | nc "$(cat /tmp/peer)" 7000
}
net_traffic &
