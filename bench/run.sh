#!/bin/bash
#
# The cache's hit path and the limiter beside what stock nginx and Lua offer:
# one nginx worker on core 0; wrk, Redis and the origin on core 1; the variants in
# turn, several rounds, so that what disturbs the machine disturbs all of them.
# Prints medians: requests per second; CPU time of the worker per request (user
# + system), and of Redis; commands per request, and per read of Redis.  A share
# is the baseline's figure by the variant's in the same round: of CPU time, which
# depends less on the load of the machine than the requests per second do.
#
# Of what the cache is about, the CPU time is then measured once more, by turns
# of 20 ms (turns.c), before each of which 5 ms are not counted: on a machine that
# others use, these tell apart what the rounds do not.
#
#   BUILD=DIR  BENCH_ROUNDS=5  BENCH_SECONDS=2  BENCH_CONNECTIONS=64
#   BENCH_TURNS=100      0: none
#   BENCH_ONLY=REGEX     variants with such a path: /gif is the limiter,
#                        /via what is not in the cache, /two what is in Redis,
#                        /crowd 1,000 clients
#
# A variant that does not do what it says is not measured, and said so.

set -u

export LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin

here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD:-$here/../build}
rounds=${BENCH_ROUNDS:-5}
seconds=${BENCH_SECONDS:-2}
connections=${BENCH_CONNECTIONS:-64}
turns=${BENCH_TURNS:-100}
nginx=${NGINX_BINARY:-nginx}
modules=/usr/lib/nginx/modules
token='Authorization: Bearer bench'
dir=
pids=()


# variant NAME INSTANCE PATH STATUS SHAPE [HEADER]: SHAPE is what its answer's
# status line and header must show; HEADER is z for gzip, t for a signed token, u
# for one of a thousand users, g for both z and u, n for what was never asked for
# before, p for one of ten thousand pages; a name in brackets starts a group,
# whose baseline it is

variants() {
    variant '[return, 1 KiB]'          a /return/1k           200 .
    variant 'return, fields of a HIT'  a /return/fields/1k    200 'X-Cache: HIT'
    variant 'optcache HIT'             a /optcache/1k         200 'X-Cache: HIT'
    variant 'proxy_cache HIT'          a /proxy_cache/1k      200 'X-Cache: HIT'
    [ "$haproxy" = no ] ||
    variant 'HAProxy HIT'              h /haproxy/1k          200 'X-Cache: HIT'
    [ "$varnish" = no ] ||
    variant 'Varnish HIT'              v /varnish/1k          200 'X-Cache: HIT'
    variant 'optcache HIT, gzip'       a /optcache/1k         200 'Encoding: gzip' z
    variant 'proxy_cache HIT + gzip'   a /proxy_cache/1k      200 'Encoding: gzip' z

    variant '[return, 32 KiB]'         a /return/32k          200 .
    variant 'optcache HIT'             a /optcache/32k        200 'X-Cache: HIT'
    variant 'proxy_cache HIT'          a /proxy_cache/32k     200 'X-Cache: HIT'
    variant 'optcache HIT, gzip'       a /optcache/32k        200 'Encoding: gzip' z
    variant 'proxy_cache HIT + gzip'   a /proxy_cache/32k     200 'Encoding: gzip' z

    variant '[return, 1,000 users]'    a /return/1k           200 . u
    variant 'return, fields of a HIT'  a /return/fields/1k    200 'X-Cache: HIT' u
    variant 'optcache HIT'             a /optcache/1k         200 'X-Cache: HIT' u
    variant 'proxy_cache HIT'          a /proxy_cache/1k      200 'X-Cache: HIT' u
    [ "$haproxy" = no ] ||
    variant 'HAProxy HIT'              h /haproxy/1k          200 'X-Cache: HIT' u
    [ "$varnish" = no ] ||
    variant 'Varnish HIT'              v /varnish/1k          200 'X-Cache: HIT' u
    variant 'optcache HIT, gzip'       a /optcache/1k         200 'Encoding: gzip' g
    variant 'proxy_cache HIT + gzip'   a /proxy_cache/1k      200 'Encoding: gzip' g

    variant '[proxy_pass]'             a /via/plain/1k        200 . n
    variant 'optcache BYPASS'          a /via/avoid/1k        200 'X-Cache: BYPASS' n
    variant 'optcache MISS'            a /via/store/1k        200 'X-Cache: MISS' n
    variant 'proxy_cache MISS'         a /via/cache/1k        200 'X-Cache: MISS' n

    variant '[proxy_pass, as it is]'   a /via/tcp/plain/1k    200 . n
    variant 'optcache BYPASS'          a /via/tcp/avoid/1k    200 'X-Cache: BYPASS' n
    variant 'optcache MISS'            a /via/tcp/store/1k    200 'X-Cache: MISS' n
    variant 'proxy_cache MISS'         a /via/tcp/cache/1k    200 'X-Cache: MISS' n

    [ "$lua" = no ] ||
    variant '[Lua + GET]'              a /two/lua/1k          200 'X-Cache: HIT' p
    variant 'optcache HIT in Redis'    d /two/opt/1k          200 'X-Cache: HIT' p

    variant '[empty_gif]'              a /gif/none            200 .
    variant 'limit_req'                a /gif/lreq            200 .
    variant 'shm: no Redis'            b /gif/pass            200 'X-RateLimit-Remaining'
    variant 'shm: Redis is stopped'    c /gif/pass            200 'X-RateLimit-Remaining'
    variant 'Redis, fixed_window'      a /gif/pass            200 'X-RateLimit-Remaining'
    variant 'Redis, sliding_window'    a /gif/slid            200 'X-RateLimit-Remaining'
    variant 'Redis, gcra'              a /gif/gcra            200 'X-RateLimit-Remaining'
    variant 'Redis, lease=100'         a /gif/leas            200 'X-RateLimit-Remaining'
    [ "$lua" = no ] ||
    variant 'Lua + INCR, one rate'     a /gif/incr            200 'X-RateLimit-Remaining'
    [ "$lua" = no ] ||
    variant 'Lua + EVALSHA'            a /gif/eval            200 'X-RateLimit-Remaining'

    variant '[limit_req, refused]'     a /gif/lref            429 .
    variant 'Redis, refused'           a /gif/refu            429 'Retry-After'
    variant 'shm, refused'             b /gif/refu            429 'Retry-After'

    variant '[empty_gif, a token]'     a /gif/none            200 . t
    variant 'blacklist'                a /gif/blck            200 . t
    variant 'RS256'                    a /gif/rsas            200 . t
    variant 'RS256 + blacklist'        a /gif/rsab            200 . t
    variant 'both, and a lease'        a /gif/rsal            200 . t
}


main() {
    trap stop EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP

    find_programs
    start
    each check

    echo "measuring: $rounds rounds, $seconds s each, $connections connections"
    awk '$1 > 1 { print "load average " $1 ": others are at work here, which" \
                  " spoils the rates\nmore than the CPU times" }' /proc/loadavg
    for ((round = 1; round <= rounds; round++)); do
        measure_all
        echo "round $round of $rounds"
    done
    table
    [ "$turns" = 0 ] || by_turns

    [[ ! /crowd =~ ${BENCH_ONLY:-} ]] || {
        echo
        crowd 'return, 1 KiB' /return/1k
        crowd 'optcache HIT' /optcache/1k
        crowd 'optcache MISS' /via/store/1k never.lua
    }
    [[ ! /gif/many =~ ${BENCH_ONLY:-} ]] || {
        million 'without Redis' b
        million 'through Redis' a
    }
    return 0
}


find_programs() {
    local program

    ulimit -n 8192 2>/dev/null      # a thousand connections

    for program in "$nginx" redis-server redis-cli wrk curl taskset; do
        command -v "$program" >/dev/null || fail "no $program here"
    done

    lua=yes
    [ -e $modules/ngx_http_lua_module.so ] || lua=no
    [ -e /usr/share/lua/5.1/nginx/redis.lua ] || lua=no
    [ $lua = yes ] || echo 'no lua-nginx-redis: without Lua'

    haproxy=yes varnish=yes
    command -v haproxy >/dev/null || { haproxy=no; echo 'without HAProxy'; }
    command -v varnishd >/dev/null || { varnish=no; echo 'without Varnish'; }

    cores=0
    [ "$(nproc)" = 1 ] || cores=1
}


start() {
    dir=$(mktemp -d /tmp/optcache-bench.XXXXXX) || exit 1
    mkdir "$dir"/{temp,data}
    cp "$here"/*.lua "$dir"
    cd "$dir" || exit 1

    json 1024 >data/1k
    json 32768 >data/32k
    sign

    spawn $cores redis-server --port 0 --unixsocket "$dir/redis.sock" \
        --save '' --dir "$dir"
    redis=$!
    await redis-cli -s redis.sock ping
    sed -i "s/@SHA@/$(redis-cli -s redis.sock -x script load \
                          <windows.lua)/" script.lua
    start_nginx o "$cores"
    start_nginx a 0
    start_nginx b 0
    start_nginx c 0
    start_nginx d 0
    [ $haproxy = no ] || start_haproxy
    [ $varnish = no ] || start_varnish
    pages
}


# What Lua is to find; the cache stores its own when it is checked.

pages() {
    redis-cli -s redis.sock -x eval "for k = 1, 10000 do
        redis.call('SET', 'page:' .. k, ARGV[1]) end" 0 <data/1k >/dev/null
}


# start_nginx INSTANCE CORE.  o: the origin; a: everything; b: no Redis; c: a
# Redis that is not there; d: a cache that has a second level

start_nginx() {
    local child port user= socket=$dir/redis.sock

    port=$(free_port)
    [ "$(id -u)" != 0 ] || user='user root;'
    [ "$1" != c ] || socket=$dir/stopped.sock

    sed -e "s|@BUILD@|$(cd "$build" && pwd)|; s|@MODULES@|$modules|" \
        -e "s|@USER@|$user|; s|@CPU@|$((10 ** $2))|; s|@NAME@|$1|; s|@DIR@|$dir|" \
        -e "s|@REDIS@|$socket|; s|@PORT@|$port|; s|@1K@|$(tr -d '\n' <data/1k)|" \
        -e "s|@ORIGIN@|${url_o:-http://127.0.0.1:$port}|" \
        "$here/nginx.conf" >"$1.conf"
    [ $lua = yes ] || sed -i '/# lua$/d' "$1.conf"
    sed -i "s/ cache levels=/ cache-$1 levels=/" "$1.conf"
    [[ $1 != [bo] ]] || sed -i '/# redis$/d' "$1.conf"
    [ "$1" = d ] || sed -i '/# second$/d' "$1.conf"

    spawn "$2" "$nginx" -p "$dir" -e "$1.error.log" -c "$dir/$1.conf" \
        -g 'daemon off;'
    master=$!
    await curl -so /dev/null "http://127.0.0.1:$port/gif/none"

    declare -g "url_$1=http://127.0.0.1:$port"
    for child in $(cat /proc/$master/task/$master/children); do
        ! grep -q 'worker process' "/proc/$child/cmdline" \
            || declare -g "worker_$1=$child"
    done
}


start_haproxy() {
    url_h=http://127.0.0.1:$(free_port)

    sed -e "s|@PORT@|${url_h##*:}|; s|@DIR@|$dir|" "$here/haproxy.cfg" \
        >haproxy.cfg
    spawn 0 haproxy -db -f haproxy.cfg
    worker_h=$!
    await curl -so /dev/null "$url_h/haproxy/1k"
}


# its threads are those of a child process

start_varnish() {
    url_v=http://127.0.0.1:$(free_port)

    sed "s|@DIR@|$dir|" "$here/varnish.vcl" >varnish.vcl
    spawn 0 varnishd -F -j none -n "$dir/varnish" -f "$dir/varnish.vcl" \
        -a "127.0.0.1:${url_v##*:}" -s malloc,64m
    master=$!
    await curl -so /dev/null "$url_v/varnish/1k"
    worker_v=$(cat /proc/$master/task/$master/children)
    worker_v=${worker_v% }
}


free_port() {
    /usr/bin/python3 -c 'import socket
s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'
}


spawn() {
    local core=$1
    shift

    taskset -c "$core" "$@" >>log 2>&1 </dev/null &
    pids+=($!)
}


await() {
    local _

    for _ in {1..100}; do
        "$@" >/dev/null 2>&1 && return
        sleep 0.1
    done
    fail "no answer: $*"
}


# A key, and a token as servers of identities issue them.

sign() {
    local text

    openssl genrsa -out key.pem 2048 2>/dev/null \
        && openssl rsa -in key.pem -pubout -out public.pem 2>/dev/null \
        || fail 'no key'
    text=$(base64url <<<'{"alg":"RS256","typ":"JWT","kid":"bench"}').$(
        base64url <<<"{\"iss\":\"https://id.example\",\"sub\":\"user-1234\",\
\"aud\":\"api\",\"iat\":$(date +%s),\"exp\":$(($(date +%s) + 86400)),\
\"jti\":\"9f2c61d0-6a0e-4c39-9a5e-6d6d8e8a3b1f\",\"plan\":\"pro\",\
\"scope\":\"read write\"}")
    signed="Authorization: Bearer $text.$(printf %s "$text" \
        | openssl dgst -sha256 -sign key.pem | base64url)"
}


base64url() {
    base64 -w0 | tr '+/' '-_' | tr -d '='
}


# json BYTES: compressible as JSON is

json() {
    local i text='{"allocations":['

    for ((i = 1; ${#text} < $1 - 64; i++)); do
        text+="{\"day\":$((i % 31)),\"goal\":\"bicycle\",\"cents\":$((i * 7919 % 9973))},"
    done
    printf "%-$(($1 - 2))s]}" "${text%,}"
}


each() {
    group=
    number=0
    variant() {
        number=$((number + 1))
        [[ ! $3 =~ ${BENCH_ONLY:-} || ${only:-$number} != "$number" ]] \
            || "$each" "$@"
    }
    each=$1
    variants
}


# Every other round backwards: a machine gets slower and faster, and what was
# measured before has left its mark.

measure_all() {
    ((round % 2 == 0)) || {
        each measure
        return
    }

    for ((only = number; only > 0; only--)); do
        each measure
    done
    only=
}


# Is it what it says?  Asked twice: a cache has stored it by then.

check() {
    local name=$1 url=url_$2 head=(-H "$token") query=k=1

    [ "${6:-}" != n ] || query=n=check
    [ "${6:-}" != p ] || query=n=1
    [[ ${6:-} != [zg] ]] || head+=(-H 'Accept-Encoding: gzip')
    [ "${6:-}" != t ] || head=(-H "$signed")
    curl -s -o /dev/null "${head[@]}" "${!url}$3?$query"
    [ "${6:-}" != n ] || query+=-again
    curl -s -o answer -D head "${head[@]}" "${!url}$3?$query"
    [[ ${6:-} != [ug] ]] || wrk -t1 -c8 -d1s -s users.lua "${!url}$3" >wrk.out
    [ "${6:-}" != p ] || wrk -t1 -c8 -d3s "${head[@]}" -s pages.lua \
        "${!url}$3" >wrk.out

    if head -1 head | grep -q " $4 " && grep -qi "$5" head; then
        : >"samples.$number"
    else
        echo "not measured, answers otherwise: $name, $3: $(head -1 head)"
    fi
}


# A sample: requests per second, microseconds of the worker and of Redis for
# each, commands for each, and commands to a read.

measure() {
    local url=url_$2 worker=worker_$2 head=(-H "$token")
    local before after redis_before redis_after asked_before asked_after

    [ -e "samples.$number" ] || return
    [[ ${6:-} != [zg] ]] || head+=(-H 'Accept-Encoding: gzip')
    [ "${6:-}" != t ] || head=(-H "$signed")
    [[ $3 != /gif* ]] || head+=(-s keys.lua)
    [[ ${6:-} != [ug] ]] || head+=(-s users.lua)
    [ "${6:-}" != n ] || head+=(-s never.lua)
    [ "${6:-}" != p ] || head+=(-s pages.lua)

    asked_before=$(asked)
    before=$(cpu "${!worker}")
    redis_before=$(cpu "$redis")
    taskset -c $cores wrk -t1 -c"$connections" -d"${seconds}s" "${head[@]}" \
        "${!url}$3" >wrk.out || return
    after=$(cpu "${!worker}")
    redis_after=$(cpu "$redis")
    asked_after=$(asked)

    awk -v cpu=$((after - before)) -v status="$4" \
        -v redis=$((redis_after - redis_before)) -v round="$round" \
        -v asked="$asked_before $asked_after" '
        BEGIN {
            split(asked, v)
            asked = v[4] - v[1]
            reads = v[6] - v[3]

            # those of scripts are not asked for by anybody
            if (asked * 10 < v[5] - v[2])
                asked = v[5] - v[2]
        }
        /requests in/     { n = $1 }
        /^Requests\/sec:/ { rate = $2 }
        /Non-2xx/         { other = $NF }
        END {
            if (n > 0 && (status == 200 ? other == 0 : other >= n - 1000))
                print rate, cpu / n / 1000, redis / n / 1000, asked / n,
                    asked / reads, round
        }' wrk.out >>"samples.$number"
}


# What a request costs the worker, by turns: medians, and beside the baseline in
# its turn next to it, with quartiles.

by_turns() {
    ${CC:-cc} -O2 -o turns "$here/turns.c" || return
    printf '\n%-24s %10s %10s %10s   %s\n' "$turns turns of 20 ms" \
        'worker us' '+ baseline' 'x baseline' 'quartiles'
    names=() kinds=()
    each gather
    together
}


gather() {
    local url=url_$2 worker=worker_$2

    [ -e "samples.$number" ] || return
    [[ $3 =~ ^/(return|optcache|proxy_cache|haproxy|varnish|via)/ ]] || return
    [[ $1 != \[* ]] || together
    names+=("$1")
    kinds+=("${!worker}" "${!url##*:}" "${6:--}" "$3")
}


together() {
    [ ${#names[@]} != 0 ] || return
    taskset -c $cores ./turns 20 "$turns" "$token" "${kinds[@]}" >turns.out \
        || return
    echo
    for ((i = 0; i < ${#names[@]}; i++)); do
        read -r cpu more share low high
        printf '%-24s %10s %10s %10s   %s to %s\n' "${names[i]}" "$cpu" \
            "$more" "$share" "$low" "$high"
    done <turns.out
    names=() kinds=()
}


# So far: scripts run, without the signs of life of hosts; commands as Lua sends
# them; reads.

asked() {
    redis-cli -s redis.sock info everything | tr -d '\r' | awk -F '[:=,]' '
        /^cmdstat_(evalsha|eval|zadd):/  { n[$1] = $3 }
        /^cmdstat_(incr|expire|exists|get|getrange):/ { plain += $3 }
        /^total_reads_processed:/        { reads = $2 }
        END {
            print n["cmdstat_evalsha"] + n["cmdstat_eval"] \
                  - n["cmdstat_zadd"], plain + 0, reads
        }'
}


# crowd NAME PATH [SCRIPT]: a thousand connections at once, none of which may
# fail.

crowd() {
    local script=()

    [ -z "${3:-}" ] || script=(-s "$3")
    taskset -c $cores wrk -t1 -c1000 -d"${seconds}s" --timeout 5s \
        -H "$token" "${script[@]}" "$url_a$2" >wrk.out || return
    awk -v name="$1" '
        /requests in/     { n = $1 }
        /^Requests\/sec:/ { rate = $2 }
        /Non-2xx/         { bad += $NF }
        /Socket errors/   { bad += $4 + $6 + $8 + $10 }
        END {
            printf "1,000 connections, %-16s %9d answers, %7d a second, " \
                "%d failed\n", name ":", n, rate, bad
        }' wrk.out
}


# million NAME INSTANCE: so many subjects, each asking once, through a zone of
# 16 megabytes.  None may fail, and the last be no dearer than the first.

million() {
    local url=url_$2 worker=worker_$2 from=1000000 n=0 rows= before row
    local bad=0 cpu failed alarms

    alarms=$(alarms "$2")

    while ((n < 1000000)); do
        before=$(cpu "${!worker}")
        taskset -c $cores wrk -t1 -c"$connections" -d2s -s million.lua \
            "${!url}/gif/many" -- $((from + n)) >wrk.out || return
        row=$(awk -v cpu=$(($(cpu "${!worker}") - before)) '
            /requests in/  { n = $1 }
            /Non-2xx/      { bad += $NF }
            /Socket errors/ { bad += $4 + $6 + $8 + $10 }
            END            { printf "%d %.2f %d", n, cpu / n / 1000, bad }
            ' wrk.out)
        read -r row cpu failed <<<"$row"
        ((n += row, bad += failed))
        rows+=" $cpu"
    done

    printf '\n%s subjects, %s: %d failed, %d alarms\n' $n "$1" $bad \
        $(($(alarms "$2") - alarms))
    echo "worker us of a request, every two seconds:$rows"
}


# alarms INSTANCE: how many it has logged, also of what was measured before

alarms() {
    grep -cE '\[(alert|crit|emerg)\]' "$1.error.log"
}


# cpu PID: nanoseconds on a core, of all threads; the scheduler's count if it is
# kept, else user and system time in ticks

cpu() {
    local stat

    stat=$(cat "/proc/$1/task"/*/schedstat 2>/dev/null \
               | awk '{ n += $1 } END { printf "%.0f", n }')

    if [ "${stat:-0}" != 0 ]; then
        echo "$stat"
    else
        stat=$(<"/proc/$1/stat")
        set -- ${stat##*) }
        echo $((($12 + $13) * 10000000))
    fi
}


table() {
    printf '\n%-24s %10s %6s %10s %10s %10s %9s %9s\n' \
        '' requests/s share 'worker us' '+ baseline' 'Redis us' \
        'commands' 'a read'
    each row
}


row() {
    local rate cpu redis asked packed share more

    [ -e "samples.$number" ] || return
    read -r rate cpu redis asked packed < <(for column in 1 2 3 4 5; do
        cut -d' ' -f$column "samples.$number" | sort -n \
            | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
    done | paste -sd' ')
    [ -n "$rate" ] || { echo "$1: no sample"; return; }

    [[ $1 != \[* ]] || { baseline=samples.$number; echo; }
    share=$(beside '$2 ? base[$6] / $2 : 0')
    more=$(beside '$2 - base[$6]')
    awk -v name="$1" -v rate="$rate" -v cpu="$cpu" -v redis="$redis" \
        -v share="$share" -v more="$more" -v asked="$asked" \
        -v packed="$packed" 'BEGIN {
        printf "%-24s %10d %6.2f %10.2f %+10.2f %10s %9s %9s\n", name, rate,
            share, cpu, more,
            redis < 0.05 ? "" : sprintf("%.2f", redis),
            asked < 0.001 ? "" : sprintf("%.3f", asked),
            asked < 0.001 ? "" : sprintf("%.1f", packed)
    }'
}


# The median, over the rounds, of an expression of $2, the CPU time of this
# variant, and base[$6], that of the baseline in the same round: both have met
# the machine as it was then.

beside() {
    awk "NR == FNR { base[\$6] = \$2; next } \$6 in base { print $1 }" \
        "$baseline" "samples.$number" | sort -g \
        | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}


fail() {
    echo "bench: $1" >&2
    [ -z "$dir" ] || tail -n 5 "$dir"/log "$dir"/*.error.log >&2
    exit 1
}


stop() {
    trap '' INT TERM HUP
    [ ${#pids[@]} = 0 ] || { kill "${pids[@]}"; wait "${pids[@]}"; } 2>/dev/null
    [ -z "$dir" ] || { cd / && rm -rf "$dir"; }
}


main
