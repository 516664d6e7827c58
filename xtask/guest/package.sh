#!/bin/sh
# In a throw-away Debian system: installs the package, looks at everything it
# should have brought, installs it again, and purges it. Fails at the first thing
# that is not as it should be; the last line says what was seen.
set -eu
deb=$1
version=$2

fail() {
    echo "package.sh: $*" >&2
    exit 1
}

# What there is, but for what dpkg and others note down about their own work.
listing() {
    find / -xdev \( -path /proc -o -path /run -o -path /mnt -o -path /tmp -o -path /dev \
        -o -path /var/lib/dpkg -o -path /var/log -o -path /var/cache \) -prune \
        -o ! -name 'passwd-' ! -name 'group-' ! -name 'shadow-' ! -name 'gshadow-' \
        ! -path '/etc/*.lock' ! -path '/etc/.pwd.lock' -print | sort
}

listing >/tmp/before
cp /etc/passwd /etc/group /tmp

dpkg --install "$deb" >/tmp/install.log 2>&1 || { cat /tmp/install.log >&2; exit 1; }
grep -iE 'warning|error' /tmp/install.log && fail "dpkg has something to say"

# The user, and the group that may ask the daemon.
IFS=: read -r _ _ uid gid _ home shell <<END
$(getent passwd lpwatch || fail "no user lpwatch")
END
[ "$uid" -lt 1000 ] || fail "lpwatch is not a system user: $uid"
[ "$(getent group lpwatch | cut -d: -f3)" = "$gid" ] || fail "the user is not in its group"
[ "$home" = /nonexistent ] || fail "the user has a home: $home"
case $shell in */nologin) ;; *) fail "the user has a shell: $shell" ;; esac

[ "$(lpwatch --version)" = "lpwatch $version" ] || fail "another version: $(lpwatch --version)"

# The unit, enabled.
[ "$(systemctl is-enabled lpwatch.service)" = enabled ] || fail "the unit is not enabled"
[ -e /etc/systemd/system/multi-user.target.wants/lpwatch.service ] || fail "the unit is not wanted"
dpkg-query --show --showformat='${Conffiles}' lpwatch | grep -q /etc/default/lpwatch ||
    fail "/etc/default/lpwatch is no conffile"

# A page for every command.
pages=0
for command in "" $(lpwatch --help | sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p'); do
    [ "$command" = help ] && continue
    page=lpwatch${command:+-$command}
    man --warnings "$page" >/tmp/page 2>/tmp/warnings </dev/null || fail "no page $page"
    [ -s /tmp/warnings ] && fail "the page $page: $(head -3 /tmp/warnings)"
    grep -q NAME /tmp/page || fail "the page $page is empty"
    pages=$((pages + 1))
done
[ $pages -gt 8 ] || fail "only $pages pages"

bash -c '. /usr/share/bash-completion/completions/lpwatch && complete -p lpwatch' >/dev/null ||
    fail "bash does not take its completions"
grep -q '^#compdef lpwatch' /usr/share/zsh/vendor-completions/_lpwatch || fail "no completions for zsh"
grep -q 'complete .*lpwatch' /usr/share/fish/vendor_completions.d/lpwatch.fish ||
    fail "no completions for fish"
for document in copyright changelog.gz changelog.Debian.gz crates.txt examples/kubernetes/daemonset.yaml \
    examples/recipes/rollout.sh examples/recipes/ansible/rollout.yml; do
    [ -s "/usr/share/doc/lpwatch/$document" ] || fail "no $document"
done
changed=$(dpkg --verify lpwatch)
[ -z "$changed" ] || fail "dpkg --verify: $changed"

# The same again, as an upgrade does it: what the administrator wrote stays.
echo 'LPWATCH_OPTIONS="--stall-after 2m"' >>/etc/default/lpwatch
dpkg --install "$deb" >/dev/null
grep -q 'stall-after 2m' /etc/default/lpwatch || fail "an upgrade undoes the administrator's changes"

dpkg --remove lpwatch >/dev/null
[ ! -e /usr/bin/lpwatch ] || fail "removed, and still there"
[ -e /etc/default/lpwatch ] || fail "removing has taken the configuration"
dpkg --purge lpwatch >/dev/null 2>&1
listing >/tmp/after
diff /tmp/before /tmp/after >/tmp/left || fail "not as before: $(cat /tmp/left)"
for file in passwd group; do
    cmp -s "/tmp/$file" "/etc/$file" || fail "not as before: $(diff "/tmp/$file" "/etc/$file")"
done

echo "lpwatch $version: user $uid, unit enabled, $pages manual pages; purged without a trace"
