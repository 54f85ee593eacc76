# A guest that works at its disks by commands from its console: xvda holds Debian's programs.
mkdir /tools
until [ -b /dev/xvda ]; do sleep 0.2; done
mount -t ext4 -o ro /dev/xvda /tools
mount -t tmpfs tmpfs /tools/tmp
mount -t tmpfs tmpfs /tools/mnt
for directory in dev proc sys; do mount -o bind /$directory /tools/$directory; done
# `tool PROGRAM …` runs one of Debian's.
printf '#!/bin/sh\nPATH=/usr/sbin:/usr/bin exec /bin/busybox chroot /tools "$@"\n' >/bin/tool
chmod +x /bin/tool
echo GUEST-TOOLS-READY

PS1='guest# '
export PS1
while true; do setsid cttyhack sh; done
