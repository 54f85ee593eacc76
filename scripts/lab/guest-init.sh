#!/bin/busybox sh
# A stock Linux guest starts here: Debian's kernel, its modules and busybox. What the guest is for
# follows this script.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in /modules/*; do
  name=${module##*/???-}
  # As modprobe does it: `name.parameter=value` of the kernel's command line is the module's.
  insmod "$module" $(tr ' ' '\n' </proc/cmdline |
    sed -n "s/^$(echo "${name%.ko}" | tr - _)\.//p")
done
mkdir /sbin
# Linux runs this when the toolstack asks for a shutdown. This shell is init, so force it.
printf '#!/bin/sh\nexec /bin/poweroff -f\n' >/sbin/poweroff
chmod +x /sbin/poweroff
echo "GUEST-UP $(cut -d' ' -f1 /proc/uptime)"
