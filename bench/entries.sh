#!/bin/bash
#
# The store of the cache taken out of nginx: is an entry found as fast among a
# million as among a thousand, what does a zone hold, and how often is it asked
# for what it holds?  Builds entries.c and counts the instructions of a lookup
# with valgrind, if there is one: at most 120 % of the first line is what is
# asked for.  Times are of the processor's caches, too: where entries are found
# all over a large zone, each costs the memory some visits.
#
#   entries.sh [find] [space] [hits]
#
#   BUILD=DIR  NGINX_SRC=DIR

set -eu

export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD:-$here/../build}
nginx=${NGINX_SRC:-/usr/share/nginx/src}/src
lookups=100000
dir=$(mktemp -d /tmp/optcache-bench.XXXXXX)

trap 'rm -rf "$dir"' EXIT

${CC:-cc} -g -O2 -I "$nginx/core" -I "$nginx/event" -I "$nginx/event/modules" \
    -I "$nginx/event/quic" -I "$nginx/os/unix" -I "$build/objs" \
    -I "$here/../src" -I "$here/../src/store" -I "$here/../src/invalidation" \
    -I "$here/../src/http" -I "$here/../src/metrics" \
    -o "$dir/entries" "$here/entries.c" \
    "$here"/../src/store/ngx_optcache_l1*.c -lcrypto -lm

# count N AMONG: instructions of a lookup

count() {
    valgrind --tool=callgrind --callgrind-out-file="$dir/out" \
        --toggle-collect=every "$dir/entries" find "$1" $lookups "$2" \
        >/dev/null 2>&1
    awk -v n=$lookups '/^totals: / { print int($2 / n) }' "$dir/out"
}


find() {
    printf '%-10s   %-27s   %s\n%-10s   %5s %13s %7s   %5s %13s %7s\n' \
        '' 'a lookup of any' 'of always the same 1000' \
        entries ns instructions share ns instructions share

    for n in 1000 30000 1000000; do
        any_ns=$("$dir/entries" find $n 2000000 $n)
        same_ns=$("$dir/entries" find $n 2000000 1000)
        any=- same=- any_share=- same_share=-

        if command -v valgrind >/dev/null; then
            any=$(count $n $n)
            same=$(count $n 1000)
            : "${any_first:=$any}" "${same_first:=$same}"
            any_share=$((100 * any / any_first))%
            same_share=$((100 * same / same_first))%
        fi

        printf '%-10s   %5s %13s %7s   %5s %13s %7s\n' $n \
            "$any_ns" "$any" "$any_share" "$same_ns" "$same" "$same_share"
    done
}


space() {
    printf 'A full zone of 64 megabytes; heads of 150 bytes, keys of 40\n'

    for body in 100 1024 4096 10000 100000; do
        printf '%6d bytes: ' $body
        "$dir/entries" space $body 150
    done

    for rounds in 10 40 160; do
        printf 'all sizes, after %d changes: ' $((rounds * 50000))
        "$dir/entries" mixed $rounds
    done
}


hits() {
    printf '3,000,000 requests for 200,000 responses, zone of 24 megabytes\n'
    printf '%-10s %-20s %8s %10s %7s\n' skew 'requests of scans' entries \
        'hit ratio' LRU

    for skew in 0.7 0.9 1.1; do
        for scans in 0 10 30; do
            read -r entries ours lru < <("$dir/entries" hits $skew $scans)
            printf '%-10s %-20s %8s %10s %7s\n' $skew "$scans %" "$entries" \
                "$ours" "$lru"
        done
    done
}


[ $# -gt 0 ] || set -- find space hits

for what; do
    $what
    echo
done
