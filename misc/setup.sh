#!/bin/bash
#
# Installs the Debian packages that are missing for: build, run, test, deb,
# deb-test, bench, fuzz, conformance.  Calls apt only if something is missing;
# as root, or by sudo.
#
#   setup.sh GOAL [GOAL ...]

set -euo pipefail

# provides PROGRAM PACKAGE: the package, unless the program is there already,
# from whatever source

provides() {
    command -v "$1" >/dev/null || echo "$2"
}


build='nginx nginx-dev libhiredis-dev libcjson-dev
       libpq-dev libxxhash-dev'
run="$build redis-server postgresql python3 python3-psycopg2 curl openssl"
declare -A packages=(
    [build]=$build
    [run]=$run
    [test]="$run perl libcmocka-dev dpkg-dev
            python3-jwt python3-cryptography libcrypt-jwt-perl
            $(provides chromium chromium)"
    [deb]="$build build-essential debhelper fakeroot"
    [deb-test]="nginx curl iproute2 procps"
    [bench]="$build redis-server python3 curl wrk libnginx-mod-http-lua
             lua-resty-core lua-nginx-redis haproxy varnish"
    [fuzz]="$build clang dpkg-dev"
    [conformance]="$build $(provides node nodejs) $(provides npm npm)"
)

missing=()

for goal; do
    for name in ${packages[$goal]}; do
        case $(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) in
        installed) ;;
        *) missing+=("$name") ;;
        esac
    done
done

[ ${#missing[@]} -gt 0 ] || exit 0

command -v apt-get >/dev/null || {
    echo "no apt here; please install: ${missing[*]}" >&2
    exit 1
}

sudo=
[ "$(id -u)" = 0 ] || sudo=sudo

echo "installing ${missing[*]}"

# Debian starts the services that it installs; here nothing is to listen that
# was not asked for.

policy=/usr/sbin/policy-rc.d

if [ ! -e $policy ]; then
    trap '$sudo rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
    $sudo chmod 755 $policy
fi

log=$(mktemp)

install() {
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qy \
        -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
        --no-install-recommends install "${missing[@]}" \
        </dev/null >>"$log" 2>&1
}

# an old list may name packages that are no longer there

if ! install; then
    $sudo apt-get -qq -o DPkg::Lock::Timeout=300 update </dev/null \
        >>"$log" 2>&1 || true
    install || { tail -30 "$log" >&2; exit 1; }
fi

rm -f "$log"
