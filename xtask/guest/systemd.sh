#!/bin/sh
# In a guest with real systemd: installs the package, and looks at the service it
# starts, from its user and its sandbox to the watchdog. Fails at the first thing
# that is not as it should be.
set -u

say() { echo "# $*"; }
fail() {
    echo "systemd.sh: FAILED: $*" >&2
    systemctl status --no-pager --full lpwatch >&2
    journalctl --no-pager -u lpwatch | tail -40 >&2
    exit 1
}
property() { systemctl show --value --property="$1" lpwatch; }
# Tries a command until it holds, for as many seconds.
within() {
    seconds=$1
    shift
    while ! "$@"; do
        [ "$seconds" -gt 0 ] || return 1
        seconds=$((seconds - 1))
        sleep 1
    done
}
active() { [ "$(systemctl is-active lpwatch)" = active ]; }
as() {
    user=$1
    shift
    runuser -u "$user" -- "$@"
}
# What the daemon knows, asked by a member of its group.
status() { as member lpwatch status -o json >/tmp/status 2>/tmp/status.err; }
shows() { status; grep -q "$1" /tmp/status; }
get() { # host port path
    bash -c 'exec 3<>"/dev/tcp/$0/$1" && printf "GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n" "$2" >&3 && cat <&3' "$@"
}
# Programs that trace. systemd's own are of other kinds.
programs() { bpftool prog list | grep -cE '^[0-9]+: (kprobe|tracing|tracepoint|raw_tracepoint|perf_event)'; }

say "$(systemctl --version | head -1), Linux $(uname -r)"
[ "$(programs)" = 0 ] || fail "something traces already"

say "installing the package"
dpkg --install /trial/lpwatch.deb >/tmp/install.log 2>&1 || fail "$(cat /tmp/install.log)"
within 60 active || fail "it is not active after installing"
[ "$(property NRestarts)" = 0 ] || fail "it has been restarted"
useradd --no-create-home --groups lpwatch member || fail "no user"
useradd --no-create-home other || fail "no user"

say "its user, its rights, its sandbox"
pid=$(property MainPID)
about() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$pid/status"; }
lpwatch=$(id -u lpwatch)
[ "$(about Uid | cut -f1)" = "$lpwatch" ] || fail "its user is $(about Uid)"
for set in CapPrm CapEff CapBnd CapAmb; do
    [ "$(about $set)" = "$EXPECTED_CAPABILITIES" ] || fail "$set is $(about $set)"
done
[ "$(about NoNewPrivs)" = 1 ] || fail "it may get new privileges"
[ "$(about Seccomp)" = 2 ] || fail "no filter of system calls"
for file in /etc/x /usr/x /var/x /sys/kernel/livepatch/x /home/x; do
    nsenter --mount --target "$pid" touch "$file" 2>/dev/null && fail "it can write $file"
done
[ "$(stat -c '%a %U %G' /run/lpwatch/lpwatch.sock)" = "660 lpwatch lpwatch" ] ||
    fail "the socket is $(stat -c '%a %U %G' /run/lpwatch/lpwatch.sock)"
[ "$(stat -c '%a' /run/lpwatch)" = 750 ] || fail "/run/lpwatch is $(stat -c '%a' /run/lpwatch)"

say "members of the group may ask it, others may not"
within 60 shows '"source": "bpf"' || fail "a member is not told by BPF: $(cat /tmp/status /tmp/status.err)"
as other lpwatch status -o json >/tmp/other 2>&1
grep -q '"source": "bpf"' /tmp/other && fail "others are told as well"

say "an easy patch"
/trial/busybox insmod /trial/modules/lp_cmdline.ko || fail "no lp_cmdline"
within 30 shows '"outcome": "completed"' || fail "its transition is not seen: $(cat /tmp/status)"
grep -q '"source": "bpf"' /tmp/status || fail "not by BPF"
sleep 3
for _ in 1 2 3 4 5; do cat /proc/cmdline >/dev/null; done
called() {
    as member lpwatch calls -o json >/tmp/calls 2>&1
    grep -q '"new": [1-9]' /tmp/calls
}
within 10 called || fail "calls are not counted: $(cat /tmp/calls)"

say "the recipe's unit waits for a patch"
cp /usr/share/doc/lpwatch/examples/recipes/systemd/lpwatch-wait@.service /run/systemd/system/
systemctl daemon-reload
systemctl start lpwatch-wait@lp_cmdline || fail "$(journalctl --no-pager -u lpwatch-wait@lp_cmdline)"

say "its metrics, on loopback"
get 127.0.0.1 9417 /metrics >/tmp/metrics || fail "no metrics"
grep -q '^lpwatch_patch_enabled{.*lp_cmdline.*} 1' /tmp/metrics || fail "metrics: $(head -20 /tmp/metrics)"

say "a flag in /etc/default/lpwatch, and a patch that stalls"
echo 'LPWATCH_OPTIONS="--stall-after 5s"' >/etc/default/lpwatch
systemctl restart lpwatch || fail "it does not restart"
within 30 active || fail "it is not active"
/trial/busybox insmod /trial/modules/lpwatch_target.ko || fail "no target"
/trial/busybox insmod /trial/modules/lp_stall.ko || fail "no lp_stall"
within 60 shows '"phase": "stalled"' || fail "the stall is not seen: $(cat /tmp/status)"
grep -q '"reason": "sleeping_on_function"' /tmp/status || fail "not why: $(cat /tmp/status)"
systemctl --no-block start lpwatch-wait@lp_stall
# What ended before it waits does not count. Nothing outside shows that it waits.
sleep 15
echo 0 >/sys/kernel/livepatch/lp_stall/enabled
within 60 shows '"outcome": "reversed"' || fail "the reversal is not seen: $(cat /tmp/status)"
waited() { [ "$(systemctl show -P ExecMainStatus lpwatch-wait@lp_stall)" = 12 ]; }
within 30 waited || fail "the unit does not fail: $(journalctl --no-pager -u lpwatch-wait@lp_stall)"

say "systemd listens for it, and it has no network of its own"
examples=/usr/share/doc/lpwatch/examples/systemd/socket
mkdir -p /run/systemd/system/lpwatch.service.d
cp $examples/lpwatch.socket /run/systemd/system/
cp $examples/20-socket.conf /run/systemd/system/lpwatch.service.d/
systemctl daemon-reload
systemctl stop lpwatch
systemctl start lpwatch.socket || fail "systemd does not listen"
systemctl start lpwatch || fail "it does not start with a socket"
get 127.0.0.1 9417 /metrics | grep -q '^lpwatch_build_info' || fail "no metrics by a socket of systemd's"
nsenter --net --target "$(property MainPID)" ss -Htln 2>/dev/null | grep -q . && fail "it has a network"
within 60 shows '"source": "bpf"' || fail "it does not answer: $(cat /tmp/status.err)"
systemctl stop lpwatch.socket lpwatch
rm /run/systemd/system/lpwatch.socket /run/systemd/system/lpwatch.service.d/20-socket.conf
systemctl daemon-reload
systemctl start lpwatch || fail "it does not start again"

say "the watchdog: quiet while it works, and there when it does not"
mkdir -p /run/systemd/system/lpwatch.service.d
printf '[Service]\nWatchdogSec=20s\n' >/run/systemd/system/lpwatch.service.d/trial.conf
systemctl daemon-reload
systemctl restart lpwatch || fail "it does not restart"
sleep 50
active || fail "it did not stay"
[ "$(property NRestarts)" = 0 ] || fail "the watchdog fired though it works"
pid=$(property MainPID)
kill -STOP "$pid"
restarted() { active && [ "$(property NRestarts)" -gt 0 ] && [ "$(property MainPID)" != "$pid" ]; }
within 120 restarted || fail "the watchdog did not restart it"
journalctl --no-pager -u lpwatch | grep -q 'Watchdog timeout' || fail "and not for its watchdog"
within 30 within 60 shows '"source": "bpf"' || fail "it does not answer after that"
[ "$(programs)" -gt 0 ] || fail "bpftool sees no program of a running daemon: this test proves nothing"

say "stopped, it leaves nothing"
systemctl stop lpwatch || fail "it does not stop"
[ "$(property Result)" = success ] || fail "it ended with $(property Result)"
[ "$(programs)" = 0 ] || fail "programs are left: $(bpftool prog list)"
[ -e /run/lpwatch ] && fail "/run/lpwatch is left"
if [ -r /sys/kernel/debug/kprobes/list ]; then
    grep -v FTRACE /sys/kernel/debug/kprobes/list | grep -q klp_ && fail "kprobes are left"
fi

say "the container's image, with the capabilities of the DaemonSet"
mkdir /trial/image
tar -xf /trial/layer.tar -C /trial/image || fail "no image"
systemd-run --quiet --unit=lpwatch-image --property=RootDirectory=/trial/image \
    --property=MountAPIVFS=yes --property=BindReadOnlyPaths=/sys \
    --property=ReadOnlyPaths=/ --property=TemporaryFileSystem=/run/lpwatch \
    --property="CapabilityBoundingSet=$IMAGE_CAPABILITIES" --property=NoNewPrivileges=yes \
    /usr/bin/lpwatch daemon --web.listen-address 127.0.0.1:9418 || fail "the image does not run"
answers() { get 127.0.0.1 9418 "$1" 2>/dev/null | head -1 | grep -q ' 200 '; }
within 60 answers /-/ready || fail "the image is not ready: $(journalctl --no-pager -u lpwatch-image | tail -20)"
answers /-/healthy || fail "the image is not healthy"
get 127.0.0.1 9418 /metrics | grep -q 'lpwatch_host_info{.*source="bpf"' || fail "the image does not use BPF"
systemctl stop lpwatch-image

say "purging the package"
systemctl start lpwatch || fail "it does not start again"
dpkg --purge lpwatch >/tmp/purge.log 2>&1 || fail "$(cat /tmp/purge.log)"
[ "$(programs)" = 0 ] || fail "programs are left after purging"
getent passwd lpwatch && fail "the user is left"
systemctl list-unit-files --no-legend lpwatch.service | grep -q . && fail "the unit is left"
say "all well"
