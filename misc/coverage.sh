#!/bin/bash
#
# Runs the C tests and these on the coverage build, then tells for each source
# of ours which part of its lines was executed.  gcov's listings are left in
# $BUILD/coverage/gcov.
#
#   coverage.sh TEST [TEST ...]

set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
out=$BUILD/coverage

find "$out/objs" -name '*.gcda' -delete

cd "$root"

units=()

for source in $(find t/unit -name '*.c'); do
    program=$out/${source#t/} program=${program%.c}
    mkdir -p "${program%/*}"
    $CC $(cat "$out/cflags") -o "$program" "$source" "$out/libnginx.a" \
        -lcmocka $(cat "$out/libs")
    units+=("$program")
done

TEST_NGINX_BINARY=$out/objs/nginx OPTCACHE_BUILD=$BUILD \
    CMOCKA_MESSAGE_OUTPUT=TAP prove -It/lib -j"$JOBS" "${units[@]}" "$@" \
    || failed=1

rm -rf "$out/gcov"
mkdir "$out/gcov"
cd "$out/gcov"

find "$out/objs" -name '*.gcda' -exec gcov -p {} + 2>/dev/null \
    | awk -v root="$root/" -v out="$out/" '
        /^File / {
            name = substr($0, 7, length($0) - 7)
            ours = index(name, root) == 1 && index(name, out) != 1
        }
        ours && /^Lines executed:/ {
            split(substr($0, 16), part, "% of ")
            printf "%6.1f%% of %5d  %s\n", part[1], part[2],
                   substr(name, length(root) + 1)
            hit += part[1] * part[2]
            all += part[2]
            ours = 0
        }
        END {
            if (all)
                printf "%6.1f%% of %5d  all\n", hit / all, all
        }' \
    | sort -k4

exit ${failed:-0}
