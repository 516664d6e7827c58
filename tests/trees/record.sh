# Runs in a guest: writes a tree as tar to standard output. See README.md.
tree=/tmp/tree
insmod /modules/lpwatch_target.ko
insmod /modules/lp_two_objects.ko
sleep 3
insmod /modules/lp_stall.ko
sleep 3

mkdir -p $tree/proc/sys/kernel
cp /proc/sys/kernel/hostname /proc/sys/kernel/osrelease $tree/proc/sys/kernel/
target=$(grep -l '^lpwatch_target$' /proc/[0-9]*/comm | head -1 | cut -d/ -f3)
for pid in 1 2 "$target"; do
    mkdir -p $tree/proc/$pid/task/$pid
    for file in patch_state stat stack; do
        cat /proc/$pid/task/$pid/$file > $tree/proc/$pid/task/$pid/$file
    done
done

cd /sys/kernel/livepatch || exit 1
find . -type d | while read -r directory; do
    mkdir -p "$tree/sys/kernel/livepatch/$directory"
done
find . -type f ! -name force | while read -r file; do
    cat "$file" > "$tree/sys/kernel/livepatch/$file"
done
for module in lpwatch_target lp_stall lp_two_objects; do
    mkdir -p $tree/sys/module/$module
    cat /sys/module/$module/initstate > $tree/sys/module/$module/initstate
done

cd $tree || exit 1
find sys/kernel -type d -name '*,*' -exec touch {}/.gitkeep \;
tar c .
echo 0 > /sys/kernel/livepatch/lp_stall/enabled
