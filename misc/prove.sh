#!/bin/bash
#
# Runs tests, TEST_JOBS of them at once, by prove.  A few that fail are run
# once more, one by one: what tells an outage from a slow answer by its time
# cannot do so on a machine that is busy with other tests.  All output of both
# runs is shown.  Not forgiven is what has nothing to do with time: an alert, a
# crash, a report of a sanitizer, a process left behind; nor a run that did not
# come to its end, of which nobody knows what would have failed.
#
#   prove.sh TEST [TEST ...]

set -uo pipefail

cd "$(dirname "$0")/.."

export CMOCKA_MESSAGE_OUTPUT=TAP

# a C test ends at a report; those of nginx are read by the test library, which
# has options of its own
export UBSAN_OPTIONS=halt_on_error=1:abort_on_error=1:print_stacktrace=1

state=$BUILD/prove.state
out=$BUILD/prove.out
few=6

rm -f "$state"

prove -It/lib -j"$TEST_JOBS" --state=save --statefile="$state" "$@" 2>&1 \
    | tee "$out"

status=${PIPESTATUS[0]}

if [ "$status" = 0 ] || [ "$TEST_JOBS" = 1 ] \
   || grep -q "Failed test 'nothing left by nginx'" "$out" \
   || ! grep -qx 'Result: FAIL' "$out" \
   || grep -q -e '^FAILED--' -e '(Wstat: .*(Signal: ' "$out" \
   || [ "$(grep -c '(Wstat: ' "$out")" -gt $few ]
then
    exit "$status"
fi

echo
echo "what failed among others, once more and alone:"
grep '(Wstat: ' "$out"
echo

exec prove -It/lib --state=failed --statefile="$state"
