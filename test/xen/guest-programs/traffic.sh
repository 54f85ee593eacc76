# A guest that works without end, and says so when anything is not as it should be: its disk is
# written and read back, and xenstore-traffic talks to xenstore. Both end once /tmp/stop is there.
disk_traffic() {
  until [ -b /dev/xvda ]; do sleep 0.2; done
  mount -t ext4 /dev/xvda /mnt || echo "DISK-ERROR cannot mount"
  round=0
  while [ ! -e /tmp/stop ]; do
    dd if=/dev/urandom of=/tmp/block bs=64k count=16 2>/dev/null
    written=$(sha256sum </tmp/block)
    dd if=/tmp/block of=/mnt/block bs=64k conv=fsync 2>/dev/null || echo "DISK-ERROR cannot write"
    echo 3 >/proc/sys/vm/drop_caches
    found=$(sha256sum </mnt/block)
    [ "$written" = "$found" ] || echo "DISK-ERROR wrote $written, found $found"
    round=$((round + 1))
    echo "DISK $round"
  done
  umount /mnt && echo "DISK-DONE $round rounds"
}
disk_traffic &
xenstore-traffic /tmp/stop &

PS1='guest# '
export PS1
while true; do setsid cttyhack sh; done
