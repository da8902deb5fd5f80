#!/bin/sh
#
# Runs fuzz targets, each for so many seconds, and fails if one finds
# something; the input is then left in $BUILD/fuzz-found.
#
#   fuzz.sh SECONDS TARGET [TARGET ...]

set -eu

seconds=$1
shift

[ $# -gt 0 ] || {
    echo 'no targets in t/fuzz'
    exit
}

root=$(cd "$(dirname "$0")/.." && pwd)
found=$BUILD/fuzz-found
failed=

mkdir -p "$found"

# pools that outlive an input are nginx's way, not leaks
export ASAN_OPTIONS=detect_leaks=0:strict_string_checks=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1

for target; do
    name=${target##*/}
    corpus=$BUILD/fuzz-corpus/$name
    seeds=$root/t/fuzz/corpus/$name

    mkdir -p "$corpus"
    [ -d "$seeds" ] || seeds=

    echo "fuzzing $name for $seconds s"

    if "$target" -max_total_time="$seconds" -timeout=5 -rss_limit_mb=2048 \
        -artifact_prefix="$found/$name-" -print_final_stats=1 \
        "$corpus" $seeds >"$found/$name.log" 2>&1
    then
        grep -E 'number_of_executed_units|slowest_unit' "$found/$name.log"
    else
        grep -E -A30 'ERROR|runtime error|SUMMARY' "$found/$name.log" || \
            tail -30 "$found/$name.log"
        failed="$failed $name"
    fi
done

[ -z "$failed" ] || {
    echo "found something:$failed; inputs are in $found"
    exit 1
}
