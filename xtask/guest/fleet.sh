#!/bin/sh
# A host of a fleet: lpwatch's daemon, reached from outside, and a patch that
# stalls. Does what is told to it on ttyS1, word by word.

fail() {
    echo "$*" >&2
    cat /tmp/daemon.log >&2
    exit 1
}

for driver in failover net_failover virtio_net; do
    insmod /root/drivers/$driver.ko || fail "no $driver"
done
tries=0
until ip link set eth0 up 2>/dev/null; do
    tries=$((tries + 1))
    [ $tries -lt 50 ] || fail "no eth0"
    usleep 100000
done
ip addr add 10.0.2.15/24 dev eth0 || fail "no address"

insmod /modules/lpwatch_target.ko || fail "no lpwatch_target"
# Short thresholds, so that the test is short.
lpwatch daemon --slow-after 2s --stall-after 4s --web.listen-address :9417 \
    >/tmp/daemon.log 2>&1 &
daemon=$!

while read -r word; do
    kill -0 $daemon || fail "the daemon has gone"
    case $word in
    load) insmod /modules/lp_stall.ko || fail "no lp_stall" ;;
    reverse) echo 0 >/sys/kernel/livepatch/lp_stall/enabled || fail "no way back" ;;
    end) break ;;
    *) fail "what is $word?" ;;
    esac
    echo "did $word"
done </dev/ttyS1
kill -0 $daemon || fail "the daemon has gone"
cat /tmp/daemon.log >&2
