#!/bin/bash
#
# Drives the demo and says, request by request, what happened and why.  Each
# expectation is checked; one that is not met is marked, and makes the exit
# status 1.
#
#   tour.sh          starts a demo of its own on free ports, and ends it
#   tour.sh DIR      uses the running one whose scratch directory is DIR
#
# BUILD, REDIS and NGINX_BINARY are as in run.sh.

set -u

export LC_ALL=C
demo=$(cd "$(dirname "$0")" && pwd)
month="year=$(date +%Y)&month=$(date +%-m)"
last_year=$(($(date +%Y) - 1))
scratch=
runner=
steps=0
unmet=0


main() {
    trap finish EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP

    scratch=$(mktemp -d) || exit 1
    [ $# -gt 0 ] || start_demo
    . "${1:-$scratch}/state" || exit 1
    echo "In $dir: a gateway at $url, redis $redis"

    two_users
    their_caches
    compressed
    streamed
    limited
    logged_out
    written
    updated

    if [ "$redis" = off ]; then
        say 'REDIS=off: what follows of Redis is left out.'
    else
        redis_gone
        redis_back
    fi

    guessed
    nothing_broke
}


start_demo() {
    PORT=0 STATE=$scratch/state "$demo/run.sh" >"$scratch/run.log" 2>&1 &
    runner=$!
    until [ -s "$scratch/state" ]; do
        kill -0 $runner 2>/dev/null || { cat "$scratch/run.log" >&2; exit 1; }
        sleep 0.1
    done
}


# The steps

two_users() {
    step 'Alice and Bob log in'
    login alice
    login bob
    say 'A backend checked the passwords and signed a token for each.  In this' \
        'demo the backends verify signatures, on every request they see; nginx' \
        'would, with "token_jwt_keys".'
}


their_caches() {
    step 'Alice asks for her savings'
    get alice "/api/v1/allocations?$month"
    expect 'status 200' [ "$status" = 200 ]
    expect 'X-Cache: MISS' [ "$(header X-Cache)" = MISS ]
    expect 'an answer for alice' [ "$(json user)" = alice ]
    expect 'X-RateLimit-Limit: 60' [ "$(header X-RateLimit-Limit)" = 60 ]
    expect 'X-RateLimit-Remaining: 59' \
        [ "$(header X-RateLimit-Remaining)" = 59 ]
    say 'Nobody had asked: a backend took its 300 ms.  The answer says' \
        '"Cache-Control: private"; it' 'is kept, for Alice.'
    local first=$body

    step 'She asks again'
    get alice "/api/v1/allocations?$month"
    expect 'X-Cache: HIT' [ "$(header X-Cache)" = HIT ]
    expect 'the same answer' [ "$body" = "$first" ]
    expect 'X-RateLimit-Remaining: 58' \
        [ "$(header X-RateLimit-Remaining)" = 58 ]
    say 'No backend was asked.  It counted against her limit all the same.'

    step 'Bob asks for the same address'
    get bob "/api/v1/allocations?$month"
    expect 'X-Cache: MISS' [ "$(header X-Cache)" = MISS ]
    expect 'an answer for bob' [ "$(json user)" = bob ]
    expect 'X-RateLimit-Remaining: 59' \
        [ "$(header X-RateLimit-Remaining)" = 59 ]
    say 'His cache is another one, and so is his limit.'
}


compressed() {
    local plain

    step 'Alice takes gzip'
    get alice "/api/v1/allocations?$month"
    plain=$body
    get alice "/api/v1/allocations?$month" -H 'Accept-Encoding: gzip'
    expect 'X-Cache: HIT' [ "$(header X-Cache)" = HIT ]
    expect 'Content-Encoding: gzip' [ "$(header Content-Encoding)" = gzip ]
    expect 'fewer bytes' \
        [ "$(wc -c <"$scratch/body")" -lt "${#plain}" ]
    expect 'the same answer inside' \
        [ "$(gunzip <"$scratch/body" 2>/dev/null)" = "$plain" ]
    say "$(wc -c <"$scratch/body") bytes for $((${#plain} + 1)).  They were" \
        'compressed once, when the answer was' \
        'stored; both forms are one entry.'
}


streamed() {
    step 'Alice chats'
    get alice /api/v1/chat
    expect 'status 200' [ "$status" = 200 ]
    expect 'a stream of events' [ "$(grep -c '^data: ' "$scratch/body")" -gt 3 ]
    expect 'the first word long before the last' earlier "$first_byte" "$seconds"
    expect 'not from a cache' [ "$(header X-Cache)" != HIT ]
    say "The first word was there after $first_byte s, the last after" \
        "$seconds s: it streams through."
}


limited() {
    local codes

    step 'Carol asks 61 times within a minute, her limit is 60'
    login carol
    codes=$(get_times 60 carol /api/v1/profile)
    show "60 times: $(tally "$codes")"
    expect '60 of 60 answered' [ "$(tally "$codes")" = '60 x 200' ]
    get carol /api/v1/profile
    expect 'status 429' [ "$status" = 429 ]
    expect 'X-RateLimit-Remaining: 0' [ "$(header X-RateLimit-Remaining)" = 0 ]
    expect 'Retry-After of up to a minute' \
        within 1 "$(header Retry-After)" 60
    expect 'a problem document' \
        [ "$(header Content-Type)" = application/problem+json ]
    say 'The 61st is refused, and told when to come back:'
    sed 's/^/     /' "$scratch/body"
    [ -z "$(tail -c 1 "$scratch/body")" ] || echo

    step 'Bob is not bothered'
    get bob /api/v1/profile
    expect 'status 200' [ "$status" = 200 ]
}


logged_out() {
    step 'Alice logs out'
    post alice /auth/logout
    expect 'a status of success' within 200 "$status" 299
    say 'The SHA-256 of her token is on the blacklist until the token expires.'

    step 'Somebody uses the old token'
    get alice "/api/v1/allocations?$month"
    expect 'status 401' [ "$status" = 401 ]
    expect 'WWW-Authenticate: Bearer' \
        grep -qi '^WWW-Authenticate: Bearer' "$scratch/head"
    expect 'nothing of the answer' [ -z "$(json allocations)" ]
    say 'The answer is still in the cache, and stays there: the cache is' \
        'looked into after' 'access was granted, never before.'
    revoked=$alice

    step 'She logs in again'
    login alice
    get alice "/api/v1/allocations?$month"
    expect 'status 200' [ "$status" = 200 ]
}


written() {
    step 'Bob changes his name'
    get bob /api/v1/profile
    expect 'X-Cache: HIT' [ "$(header X-Cache)" = HIT ]
    post bob /api/v1/profile -d '{"name":"Robert Baker"}'
    expect 'status 200' [ "$status" = 200 ]
    get bob /api/v1/profile
    expect 'X-Cache: MISS' [ "$(header X-Cache)" = MISS ]
    expect 'the new name' [ "$(json name)" = 'Robert Baker' ]
    say 'A write that succeeds removes what he had been answered from the' \
        'same address.'

    step 'Bob saves some more'
    post bob /api/v1/allocations -d \
        "{\"day\":\"$(date +%F)\",\"goal\":\"bicycle\",\"cents\":2500}"
    expect 'status 201' [ "$status" = 201 ]
    sleep 0.5
    get bob "/api/v1/allocations?$month"
    expect 'status 200' [ "$status" = 200 ]
    expect 'X-Cache: MISS' [ "$(header X-Cache)" = MISS ]
    say 'This month has another address than what he wrote to.  But its answer' \
        'is made of his' 'rows, and says so by a tag; a trigger has told that' \
        'they changed.'
}


updated() {
    step 'Somebody changes the row in PostgreSQL, past the API'
    get bob "/api/v1/allocations?year=$last_year&month=1"
    get bob "/api/v1/allocations?year=$last_year&month=1"
    expect 'X-Cache: HIT' [ "$(header X-Cache)" = HIT ]
    $psql -qc "UPDATE allocations SET cents = cents + 1
               WHERE login = 'bob' AND day = '$last_year-01-01'"
    show "UPDATE allocations SET cents = cents + 1 WHERE login = 'bob' ..."
    sleep 0.5
    get bob "/api/v1/allocations?year=$last_year&month=1"
    expect 'status 200' [ "$status" = 200 ]
    expect 'X-Cache: MISS' [ "$(header X-Cache)" = MISS ]
    say 'The change went from a trigger to the cache, whoever made it.'
}


redis_gone() {
    local codes pid

    # it went with the change

    get_quietly bob "/api/v1/allocations?$month"

    step 'Redis is killed'
    pid=$(cat "$dir/redis.pid")
    kill -KILL "$pid" || exit 1
    show "kill -KILL $pid"

    step 'Bob reads what is cached, and what is not'
    get bob "/api/v1/allocations?$month"
    expect 'status 200' [ "$status" = 200 ]
    expect 'X-Cache: HIT' [ "$(header X-Cache)" = HIT ]
    get bob "/api/v1/allocations?year=$last_year&month=2"
    expect 'status 200' [ "$status" = 200 ]
    expect 'X-Cache: MISS' [ "$(header X-Cache)" = MISS ]
    get bob "/api/v1/allocations?year=$last_year&month=2"
    expect 'X-Cache: HIT' [ "$(header X-Cache)" = HIT ]
    say 'Shared memory goes on alone, on each host for itself.'

    step 'Carol is still refused, and the old token, too'
    get carol /api/v1/profile
    expect 'status 429' [ "$status" = 429 ]
    get revoked /api/v1/profile
    expect 'status 401' [ "$status" = 401 ]
    say 'This host knew of both before.'

    step 'Dave comes in meanwhile, and asks 61 times'
    login dave
    codes=$(get_times 61 dave /api/v1/profile)
    show "61 times: $(tally "$codes")"
    expect '60 answered, then one refused' \
        [ "$(tally "$codes")" = '60 x 200, 1 x 429' ]
    sleep 0.1
    expect 'a log that tells so' \
        [ "$(logged limit_status)" = LOCAL_REJECTED ]
    say "The same rules, counted in shared memory.  The slowest answer took" \
        "$(cut -d' ' -f2 <<<"$codes" | sort -n | tail -1) s."
}


# each worker has a connection for limits and one for the cache, and finds out
# for itself

all_back() {
    [ "$(grep -c 'redis ".*" is down' "$dir/logs/gateway.error.log")" = \
      "$(grep -c 'redis ".*" is back' "$dir/logs/gateway.error.log")" ]
}


redis_back() {
    local left _

    step 'Redis comes back'
    as_user redis-server "$dir/redis.conf" --daemonize yes >/dev/null
    show "redis-server redis.conf"
    for _ in {1..100}; do
        get_quietly bob /api/v1/profile
        [ "$(logged limit_status)" != PASSED ] || ! all_back || break
        sleep 0.2
    done
    expect 'limits are counted in Redis again' \
        [ "$(logged limit_status)" = PASSED ]
    say 'Nobody restarted anything else.'

    step 'A second gateway, as on another host: nothing in its memory'
    start_second
    login alice
    get alice "/api/v1/allocations?year=$last_year&month=3"
    expect 'X-Cache: MISS' [ "$(header X-Cache)" = MISS ]
    left=$(header X-RateLimit-Remaining)
    url=$second get alice "/api/v1/allocations?year=$last_year&month=3"
    expect 'status 200' [ "$status" = 200 ]
    expect 'X-Cache: HIT' [ "$(header X-Cache)" = HIT ]
    expect 'one request less remaining' \
        [ "$(header X-RateLimit-Remaining)" = $((left - 1)) ]
    say 'What the first gateway stored and counted is there for the second.'

    step 'The old token, shown to the second gateway'
    url=$second get revoked "/api/v1/allocations?$month"
    expect 'status 401' [ "$status" = 401 ]
    say 'A logout counts wherever the same Redis is asked.'
}


guessed() {
    local codes

    step 'Somebody guesses passwords: 20 a minute and address'
    codes=$(for _ in {1..20}; do
        curl -sS -o /dev/null -w '%{http_code} 0\n' "$url/auth/login" \
            -d '{"user":"alice","password":"guess"}'
    done)
    show "20 times: $(tally "$codes")"
    expect 'refused sooner or later' [ "${codes##*$'\n'}" = '429 0' ]
    expect 'never let in' [ -z "$(grep -v '^4' <<<"$codes")" ]
    say 'The logins of this tour were counted, too.'
}


nothing_broke() {
    local log

    for log in "$dir"/logs/gateway*.log; do
        ! grep -E '\[(alert|emerg|crit)\]|Sanitizer|runtime error' "$log" \
            || expect "nothing of this in ${log##*/}" false
    done
}


# Requests.  They leave: status, seconds, first_byte, body (without its last
# newlines), and $scratch/head and body.

get() {
    local who=$1 path=$2
    shift 2

    show "curl -H \"Authorization: Bearer \$$who\"${*:+ $(quoted "$@")} '$path'"
    request "$path" -H "Authorization: Bearer ${!who}" "$@"
    verdict
}


post() {
    local who=$1 path=$2
    shift 2

    show "curl -X POST -H \"Authorization: Bearer \$$who\"${*:+ $(quoted "$@")} '$path'"
    request "$path" -X POST -H "Authorization: Bearer ${!who}" "$@"
    verdict
}


login() {
    local data="{\"user\":\"$1\",\"password\":\"demo\"}"

    show "curl -d '$data' /auth/login"
    request /auth/login -d "$data"
    verdict
    if [ "$status" = 429 ]; then
        show "sleep $(header Retry-After)"
        sleep "$(header Retry-After)"
        request /auth/login -d "$data"
        verdict
    fi
    expect 'a token' [ -n "$(json token)" ]
    printf -v "$1" %s "$(json token)"
}


get_quietly() {
    request "$2" -H "Authorization: Bearer ${!1}"
}


request() {
    local path=$1
    shift

    read -r status seconds first_byte < <(
        curl -sS --max-time 20 -D "$scratch/head" -o "$scratch/body" -w \
            '%{http_code} %{time_total} %{time_starttransfer}\n' "$@" "$url$path")
    body=$(tr -d '\0' <"$scratch/body" 2>/dev/null)
}


# get_times N WHO PATH: "status seconds" for each, on one connection

get_times() {
    curl -sS -H "Authorization: Bearer ${!2}" -o /dev/null \
        -w '%{http_code} %{time_total}\n' "$url$3?[1-$1]"
}


# What is said about them

step() {
    printf '\n%d. %s\n' $((++steps)) "$1"
}

show() {
    echo "   \$ $*"
}

say() {
    echo "$*" | fmt -w 72 | sed 's/^/   /'
}

verdict() {
    local name value line

    printf -v line '%s in %.3f s' "$status" "$seconds"

    for name in X-Cache Age Content-Encoding X-RateLimit-Limit \
        X-RateLimit-Remaining X-RateLimit-Reset Retry-After WWW-Authenticate
    do
        value=$(header $name)
        [ -z "$value" ] || line+="  $name: $value"
    done
    [ -z "$(json backend)" ] || line+="  ($(json backend) for $(json user))"
    echo "     $line"
}

expect() {
    local what=$1
    shift

    "$@" && return
    echo "   NOT MET: $what"
    unmet=$((unmet + 1))
}


# Small things

quoted() {
    local arg

    for arg; do
        case $arg in
            *[!A-Za-z0-9/_-]*) printf " '%s'" "$arg" ;;
            *) printf ' %s' "$arg" ;;
        esac
    done | cut -c2-
}

header() {
    tr -d '\r' <"$scratch/head" | sed -n "s/^$1: //Ip" | head -1
}

json() {
    sed -n "s/^{.*\"$1\": \[*[{\"]*\([^\",}]*\).*/\1/p" <<<"$body"
}

# "60 x 200, 1 x 429" of lines that begin with a status, in order

tally() {
    cut -d' ' -f1 <<<"$1" | uniq -c | sed 's/^ *//; s/ / x /' | paste -sd, \
        | sed 's/,/, /g'
}

within() {
    [ "$2" -ge "$1" ] 2>/dev/null && [ "$2" -le "$3" ]
}

earlier() {
    awk "BEGIN { exit !($1 < $2 / 2) }"
}

# logged FIELD: what the access log says of the last request

logged() {
    tail -n 1 "$dir/logs/access.log" | sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"
}

as_user() {
    (cd "$dir" && exec setpriv ${user:+--reuid=$user \
        --regid="$(id -g $user)" --clear-groups} "$@")
}


start_second() {
    local _ port

    port=$(/usr/bin/python3 -c 'import socket
s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
    second=http://127.0.0.1:$port

    sed -e "s/listen 127.0.0.1:[0-9]*/listen 127.0.0.1:$port/" \
        -e 's/gateway\.pid/gateway2.pid/' -e 's/access\.log/access2.log/' \
        -e 's/gateway\.error/gateway2.error/' \
        "$dir/gateway.conf" >"$dir/gateway2.conf"
    as_user "$nginx" -p "$dir" -c "$dir/gateway2.conf" \
        -e "$dir/logs/gateway2.error.log"
    for _ in {1..100}; do
        curl -so /dev/null "$second/" && break
        sleep 0.1
    done
    show "nginx -c gateway2.conf, at $second"
}


finish() {
    local rc=$?

    trap '' INT TERM HUP
    trap - EXIT

    [ ! -s "${dir:-}/gateway2.pid" ] || kill "$(cat "$dir/gateway2.pid")"
    [ -z "$runner" ] || { kill -TERM $runner; wait $runner; } 2>/dev/null
    [ -z "$scratch" ] || rm -rf "$scratch"

    if [ $rc = 0 ]; then
        printf '\n%d steps, %d expectations not met\n' $steps $unmet
        [ $unmet = 0 ] || rc=1
    fi
    exit $rc
}


main "$@"
