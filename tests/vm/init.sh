#!/bin/bash
#
# Process 1 of a virtual machine without systemd (short.sh): mounts what tests need, runs them, and ends the machine.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
mount -t tmpfs tmp /tmp
ln -s /proc/self/fd /dev/fd
/tmbridge/tests/vm/inside.sh </dev/null >/dev/console 2>&1
sync
echo o >/proc/sysrq-trigger # off; qemu would also end if this process did, as the kernel can't go on then
sleep 10
