#!/bin/bash
#
# Is a subject found as fast among a million as among a thousand?  Builds
# subjects.c with the table and the arithmetic of the limiter, and counts the
# instructions of a check with valgrind, if there is one: at most 120 % of the
# first line is what is asked for.  Times are of the processor's caches, too,
# and of whatever else the machine does.
#
#   BUILD=DIR  NGINX_SRC=DIR

set -eu

export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD:-$here/../build}
nginx=${NGINX_SRC:-/usr/share/nginx/src}/src
checks=50000
dir=$(mktemp -d /tmp/optcache-bench.XXXXXX)

trap 'rm -rf "$dir"' EXIT

${CC:-cc} -g -O2 -I "$nginx/core" -I "$nginx/event" -I "$nginx/event/modules" \
    -I "$nginx/event/quic" -I "$nginx/os/unix" -I "$build/objs" \
    -I "$here/../src" -I "$here/../src/limiter" -o "$dir/subjects" "$here/subjects.c" \
    "$here"/../src/limiter/ngx_limiter_{table,local,rate,state}*.c -lcrypto

# count N FUNCTION

count() {
    valgrind --tool=callgrind --callgrind-out-file="$dir/out" \
        --toggle-collect="$2" "$dir/subjects" "$1" $checks >/dev/null 2>&1
    awk -v n=$(($2_checks)) '/^totals: / { print int($2 / n) }' "$dir/out"
}


printf '%-10s %8s   %-31s   %-31s\n%-10s %8s  %9s %13s %7s  %9s %13s %7s\n' \
    '' '' 'a check of a known one' 'of a new one' \
    subjects held ns instructions share ns instructions share

for n in 1000 10000 100000 1000000; do
    read -r held known_ns others_ns < <("$dir/subjects" $n 1000000)
    known=- others=- known_share=- others_share=-

    if command -v valgrind >/dev/null; then
        known_checks=$checks
        others_checks=$((n < checks ? n : checks))
        known=$(count $n known)
        others=$(count $n others)
        : "${known_first:=$known}" "${others_first:=$others}"
        known_share=$((100 * known / known_first))%
        others_share=$((100 * others / others_first))%
    fi

    printf '%-10s %8s  %9s %13s %7s  %9s %13s %7s\n' $n "$held" \
        "$known_ns" "$known" "$known_share" \
        "$others_ns" "$others" "$others_share"
done
