#!/bin/busybox sh
# The lab's dom0 starts here: it makes the machine that runs QEMU visible, at the same paths and
# with a throw-away layer on top, and hands over to the agent that takes commands from there.
# LAB_NODE, LAB_AGENT, LAB_IS_SHARED and LAB_PVH_CPUS come from the kernel's command line.
set -e
/bin/busybox --install -s /bin
# Whatever fails or ends here, the machine ends too: nobody could use what is left of it.
trap 'sync; poweroff -f' EXIT
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in /modules/*; do insmod "$module"; done

echo "lab: modules are loaded"
mkdir /ro /rw /new
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,ro,cache=loose root /ro
mount -t tmpfs tmpfs /rw
mkdir /rw/upper /rw/work
mount -t overlay -o lowerdir=/ro,upperdir=/rw/upper,workdir=/rw/work overlay /new

mkdir -p /new/proc /new/sys /new/dev /new/run /new/tmp /new/lab
mount -t proc proc /new/proc
mount -t sysfs sys /new/sys
mount -t devtmpfs dev /new/dev
mkdir -p /new/dev/pts /new/dev/shm
mount -t tmpfs tmpfs /new/run
mount -t tmpfs tmpfs /new/dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /new/dev/pts
mount -t xenfs xenfs /new/proc/xen
if [ -n "$LAB_IS_SHARED" ]; then
  # Not cached, so that either side sees at once what the other writes.
  mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,cache=none lab /new/lab
fi
ln -s /proc/self/fd /new/dev/fd
ln -s fd/0 /new/dev/stdin
ln -s fd/1 /new/dev/stdout
ln -s fd/2 /new/dev/stderr

# What Debian's init scripts would have made for the Xen tools. The logs of the machine outside
# are not ours to go on with.
rm -rf /new/var/lib/xenstored /new/var/log/xen
mkdir -p /new/run/xen /new/run/xenstored /new/run/xen-hotplug /new/run/lock \
  /new/var/lib/xen /new/var/lib/xenstored /new/var/log/xen/console
if [ -n "$LAB_PVH_CPUS" ]; then
  echo "vm.hvm.cpumask=\"$LAB_PVH_CPUS\"" >>/new/etc/xen/xl.conf
fi
ip link set lo up
hostname dom0

echo "lab: file systems are mounted"
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/xen-4.17/bin
export HOME=/root
# The agent's input and output are the only virtio-serial port (0 is reserved for a console), which
# can be opened once, for both ways.
port=$(echo /dev/vport*p1)
exec 3<>"$port"
mkfifo /input
cat <&3 >/input &
chroot /new "$LAB_NODE" "$LAB_AGENT" </input | cat >&3
poweroff -f
