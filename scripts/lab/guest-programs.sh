# What a test guest does that has programs of this machine on its disk: it makes them visible at the
# paths that they have here, and leaves a shell at its console.
mkdir /run
ip link set lo up

until [ -b /dev/xvda ]; do sleep 0.2; done
mount -t ext4 -o ro /dev/xvda /mnt
for entry in /mnt/*; do
  # Of what is in the initramfs, too, what that lacks.
  [ -e "/${entry#/mnt/}" ] && entries=$entry/* || entries=$entry
  for missing in $entries; do
    [ -e "/${missing#/mnt/}" ] || ln -s "$missing" "/${missing#/mnt/}"
  done
done
echo GUEST-PROGRAMS-READY

PS1='guest# '
export PS1
while true; do setsid cttyhack sh; done
