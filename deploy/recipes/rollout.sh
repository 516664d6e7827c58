#!/bin/sh
# Rolls one live patch out on this host, as root: check, load, wait, verify. If the
# transition stalls, it is reversed, which disables the patch again.
#
#     rollout.sh PATCH.ko
#
# Exit codes, those of lpwatch:
#   0  the patch is enabled and its new code runs
#   1  usage, or lpwatch cannot read the host or the file
#  11  stalled, and the reversal has not completed within LIMIT either
#  12  not enabled: refused, reversed, or reversed by this script because it stalled
#  13  not loaded, because the check found a danger; or loaded, and new code does not run
#  15  the patch is enabled; nothing called its functions, so nothing is proved
#
# Change these in the environment:
: "${LPWATCH:=lpwatch}"   # the program, with options if need be
: "${LOAD:=insmod}"       # loads the file
: "${APPEARS:=1m}"        # until the patch is there
: "${PATIENCE:=2m}"       # no task has switched for so long: stalled
: "${LIMIT:=15m}"         # for the transition, and for its reversal
: "${CALLS:=1m}"          # for a call of the new code
: "${REPORT:=}"           # of a stall, as HTML: a file
set -u

say() { echo "rollout: $*"; }

if [ $# -ne 1 ]; then
    echo "usage: $0 PATCH.ko" >&2
    exit 1
fi
file=$1

# Check. The document has a key on each line, so that sed can pick one.
checked=$($LPWATCH check "$file" -o json)
code=$?
picked() { printf '%s\n' "$checked" | sed -n "s/^ *\"$1\": \"\(.*\)\",*\$/\1/p"; }
patch=$(picked patch | head -n 1)
case $code in
0) say "check: $(picked verdict | head -n 1)" ;;
13)
    say "not loaded, because the check found a danger:"
    $LPWATCH check "$file"
    exit 13
    ;;
*) exit "$code" ;;
esac
[ -n "$patch" ] || exit 1

# Wait from before the patch is loaded, so that nothing is missed.
$LPWATCH wait "$patch" --or-appear "$APPEARS" --stall-after "$PATIENCE" --timeout "$LIMIT" &
waiting=$!
trap 'kill "$waiting" 2>/dev/null' EXIT

# Load.
if ! $LOAD "$file"; then
    say "the kernel refused $patch; its log has the reason"
    exit 12
fi
wait "$waiting"
code=$?

# Decide.
case $code in
0) ;;
11 | 124)
    say "$patch does not complete: reversing it"
    [ -z "$REPORT" ] || $LPWATCH report --patch "$patch" --html "$REPORT"
    echo 0 >"/sys/kernel/livepatch/$patch/enabled" || exit 11
    $LPWATCH wait "$patch" --timeout "$LIMIT"
    case $? in
    0 | 1 | 12) exit 12 ;;
    *) exit 11 ;;
    esac
    ;;
*) exit "$code" ;;
esac

# Verify.
$LPWATCH verify "$patch" --wait "$CALLS"
