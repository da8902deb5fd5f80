#!/bin/bash
#
# Installs, upgrades, removes and purges the packages of "make deb", alone and
# together, beside an nginx that runs: in a copy of this system that is thrown
# away, with processes and a network of its own.  As root, or by sudo.
#
#   deb-test.sh PACKAGE.deb ...

set -euo pipefail

if [ -z "${DEB_TEST_ROOT-}" ]; then
    [ -f "${1-}" ] || { echo "no packages, see 'make deb'" >&2; exit 1; }

    sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo

    exec $sudo env DEB_TEST_ROOT=outside \
        unshare --mount --pid --net --fork "$0" "$@"
fi

if [ "$DEB_TEST_ROOT" = outside ]; then
    mount -t tmpfs none /mnt
    mkdir /mnt/changed /mnt/work /mnt/root
    mount -t overlay overlay /mnt/root \
        -o lowerdir=/,upperdir=/mnt/changed,workdir=/mnt/work
    mount -t proc proc /mnt/root/proc
    mount --rbind /dev /mnt/root/dev
    mkdir -p /mnt/root/deb-test
    cp "$@" "$0" /mnt/root/deb-test
    ip link set lo up

    exec chroot /mnt/root env DEB_TEST_ROOT=inside HOME=/root \
        PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive \
        bash -c 'cd /deb-test && bash deb-test.sh *.deb'
fi

# from here on, inside

enabled=/etc/nginx/modules-enabled
names=(optcache ratelimit-redis)
directives=('optcache_zone a:1m;' 'ratelimit_redis_zone a zone=b:1m rate=1r/s;')
page=http://127.0.0.1/
n=0

ok() {
    n=$((n + 1))
    echo "ok $n - $1"
}

fail() {
    echo "not ok - $1" >&2
    [ ! -f log ] || cat log >&2
    exit 1
}

# check WHAT COMMAND: it succeeds;  refuse WHAT COMMAND: it does not

check() {
    local what=$1; shift
    "$@" >log 2>&1 && ok "$what" || fail "$what"
}

refuse() {
    local what=$1; shift
    "$@" >log 2>&1 && fail "$what" || ok "$what"
}

etc() {
    find /etc -type l -printf '%p %l\n' -o -type f -exec md5sum {} + \
        | grep -v '/etc/ld.so.cache' | sort
}

as_before() {
    diff -u etc.before <(etc)
}

changed() {
    local lines

    lines=$(diff etc.before <(etc) | grep '^[<>]' || true)
    [ "$lines" = "$1" ] || { echo "$lines"; return 1; }
}

link() {
    echo "$enabled/50-mod-http-$1.conf"
}

package() {
    echo "libnginx-mod-http-$1"
}

configure() {
    printf '%s\n' "$@" >/etc/nginx/conf.d/deb-test.conf
}

# The service is what nginx's packages reload: here by its init script.

serves() {
    [ "$(cat /run/nginx.pid)" = "$master" ] || return 1

    curl -sf -o log.page "$page" \
        && [ "$(ps -o comm= -p "$master")" = nginx ]
}

reloaded() {
    local i

    for i in $(seq 50); do
        grep -qs 'ngx_http_optcache_module.so' "/proc/$1/maps" || {
            sleep 0.1
            continue
        }
        return 0
    done
    return 1
}

# services may be reloaded, on a machine without an init system, too
printf '#!/bin/sh\nexit 0\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d

etc >etc.before
check 'nginx is content at first' nginx -t

for i in 0 1; do
    name=${names[i]} p=$(package "$name") l=$(link "$name")

    check "$p is installed" dpkg -i "$p"_*.deb
    check "$p is enabled, and nothing else of /etc changed" changed \
        "> $l /usr/share/nginx/modules-available/mod-http-$name.conf"
    configure "${directives[i]}"
    check "nginx -t knows its directives" nginx -t
    configure
    check "$p is removed" dpkg -r "$p"
    refuse "$p is disabled" test -e "$l"
    check "nginx -t passes" nginx -t
    check "$p is purged" dpkg -P "$p"
    rm /etc/nginx/conf.d/deb-test.conf
    check "and left nothing in /etc" as_before
done

check 'nginx starts' nginx
master=$(cat /run/nginx.pid)
check 'it serves' serves

check 'both are installed while it runs' dpkg -i ./*.deb
check 'nginx -t passes with both' nginx -t
check 'nginx was reloaded' reloaded "$master"
check 'it serves still' serves

configure "${directives[@]}"
check 'nginx -t knows both' nginx -t
check 'it is reloaded' nginx -s reload

# an upgrade: the same files, called later

mkdir later

for deb in libnginx-mod-*.deb; do
    dpkg-deb -R "$deb" tree
    sed -i 's/^Version: .*/&+later/' tree/DEBIAN/control
    dpkg-deb --root-owner-group -b tree "later/$deb" >/dev/null
    rm -rf tree
done

check 'both are upgraded while it runs' dpkg -i later/*.deb
check 'both are enabled still' test -e "$(link optcache)" \
    -a -e "$(link ratelimit-redis)"
check 'nginx -t passes' nginx -t
check 'it serves still' serves

configure "${directives[0]}"
rm "$(link ratelimit-redis)"
check 'upgraded again' dpkg -i later/*.deb
refuse 'what was disabled by hand stays disabled' \
    test -e "$(link ratelimit-redis)"

# a configuration that needs what is removed is not loaded

check 'removed though it is needed' dpkg -r "$(package optcache)"
refuse 'nginx -t fails' nginx -t
check 'nginx goes on with what it has' serves

check 'installed again' dpkg -i later/libnginx-mod-http-optcache_*.deb
check 'nginx -t passes' nginx -t
check 'it serves still' serves

rm /etc/nginx/conf.d/deb-test.conf
check 'both are purged' dpkg -P "$(package optcache)" \
    "$(package ratelimit-redis)"
check 'nothing is left in /etc' as_before
check 'nginx -t passes' nginx -t
check 'it serves still' serves

for p in "${names[@]}"; do
    refuse "nothing is left of $p" test -e "/usr/share/doc/$(package "$p")"
done

nginx -s quit
echo "1..$n"
