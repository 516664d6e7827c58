#!/bin/sh
# Runs the trial under systemd, with its output on the serial ports that xtask
# listens to (see `init`), and tells how it ended.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
for port in 1 2 3; do stty -F /dev/ttyS$port 115200 raw -echo; done
echo booted >/dev/ttyS3
sh /trial/systemd.sh >/dev/ttyS1 2>/dev/ttyS2
code=$?
# Changing a port's settings waits until all of its output has gone out.
stty -F /dev/ttyS1 raw
stty -F /dev/ttyS2 raw
echo "exit $code" >/dev/ttyS3
stty -F /dev/ttyS3 raw
systemctl poweroff --force --force
