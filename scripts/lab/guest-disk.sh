# What the test guest does once it is up: it proves its disk, in lines that are easy to find, and
# then leaves a shell at its console.
# In the background, so that the shell is there also while the disk is not.
prove_disk() {
  until [ -b /dev/xvda ]; do sleep 0.2; done
  mount -t ext4 /dev/xvda /mnt || return
  cd /mnt
  sha256sum -c given.sha256 && echo GUEST-READ-OK
  dd if=/dev/urandom of=written bs=1M count=64 2>/dev/null && sync
  echo "GUEST-WROTE $(sha256sum <written)"
  cd /
  # Read once more, from the disk and not from memory; and a clean file system for dom0 to look at.
  umount /mnt && mount -t ext4 -o ro /dev/xvda /mnt
  echo "GUEST-READ-BACK $(sha256sum </mnt/written)"
  umount /mnt && echo GUEST-DISK-DONE
}
prove_disk &

PS1='guest# '
export PS1
while true; do setsid cttyhack sh; done
