#!/bin/sh
# The demo: a live patch that stalls, and lpwatch telling why.
#
# Runs in a guest. Lines that begin with `# ` are this script's; everything
# else is lpwatch's own output. Ends with 0 only if lpwatch saw the story that
# is told here: in transition (10), stalled (11), reversed (12), all well (0).

say() { echo "# $*"; }
show() {
    echo "# \$ $*"
    "$@"
    code=$?
    echo
    return $code
}
fail() {
    say "THE DEMO FAILED: $*"
    say "What the daemon said:"
    cat /tmp/daemon.log
    exit 1
}
# The exit code of `status` says how things stand.
state() { lpwatch status -o json >/tmp/status.json; echo $?; }

say "lpwatch on Linux $(uname -r)"
say "The daemon is started with short thresholds: slow after 3 s, stalled after 6 s"
say "(without these flags: 15 s and 60 s)."
echo '# $ lpwatch daemon --slow-after 3s --stall-after 6s &'
lpwatch daemon --slow-after 3s --stall-after 6s >/tmp/daemon.log 2>&1 &
tries=0
until lpwatch status -o json 2>/dev/null | grep -q '"source": "bpf"'; do
    tries=$((tries + 1))
    [ $tries -lt 300 ] || fail "the daemon did not come up"
    usleep 300000
done

say "A kernel thread is started that never leaves its main function, and 40 programs."
insmod /modules/lpwatch_target.ko || fail "no lpwatch_target"
for _ in $(seq 40); do sleep 1000 & done
show lpwatch status
[ "$(state)" = 0 ] || fail "there should be no transition yet"

say "Now a live patch replaces that very main function:"
echo '# $ insmod lp_stall.ko'
insmod /modules/lp_stall.ko || fail "no lp_stall"

seen=""
before=""
seconds=0
while [ $seconds -lt 30 ]; do
    now=$(state)
    seen="$seen $now"
    # The whole table when something has changed, else its time is spared.
    if [ "$now" != "$before" ] || [ $((seconds % 4)) = 0 ]; then
        say "about $seconds s later (exit code $now):"
        show lpwatch status
    fi
    before=$now
    [ "$now" = 11 ] && break
    sleep 1
    seconds=$((seconds + 1))
done
case $seen in
*10*11) say "It was in transition (10), and then stalled (11)." ;;
*) fail "expected exit code 10 and then 11, saw:$seen" ;;
esac

say "The way out that is always safe is to reverse the transition:"
lpwatch wait --timeout 60s lp_stall >/tmp/wait.out 2>&1 &
waiting=$!
usleep 500000
echo '# $ lpwatch wait lp_stall &'
echo '# $ echo 0 > /sys/kernel/livepatch/lp_stall/enabled'
echo 0 >/sys/kernel/livepatch/lp_stall/enabled || fail "the patch cannot be reversed"
wait $waiting
outcome=$?
cat /tmp/wait.out
echo
[ $outcome = 12 ] || fail "lpwatch wait should have ended with 12 (reversed), not $outcome"

say "And how things stand now:"
show lpwatch status
[ "$(state)" = 0 ] || fail "all should be well again"
say "That was all of it: the stall was seen, explained, and resolved."
