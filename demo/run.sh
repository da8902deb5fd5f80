#!/bin/bash
#
# Starts the demo on loopback: a Redis, a PostgreSQL, three backends and nginx
# with both modules in front, all in one scratch directory; stays in the
# foreground, and leaves no process and no file behind when it ends.
#
#   BUILD=DIR     where both .so are (default build/)
#   REDIS=off     shared memory alone
#   PORT=N        the gateway's port (default 8080, or the next one free);
#                 0 takes any free one
#   STATE=FILE    also write there what the demo consists of, once it serves
#   NGINX_BINARY=PATH
#                 which nginx (default: the one in PATH or /usr/sbin)

set -u

export LC_ALL=C
demo=$(cd "$(dirname "$0")" && pwd)
build=${BUILD:-$demo/../build}
redis=${REDIS:-on}
python=/usr/bin/python3
user=
dir=
declare -A pids=()

PATH=$PATH:/usr/sbin:/sbin


main() {
    trap stop EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP

    find_programs
    make_scratch

    [ "$redis" = off ] || start_redis
    start_postgres
    start_backends
    start_gateway

    write_state
    print_welcome
    watch
}


find_programs() {
    local program

    nginx=$(command -v "${NGINX_BINARY:-nginx}")
    postgres=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
    postgres=${postgres:-$(dirname "$(command -v initdb)")}

    for program in "$nginx" "$postgres/initdb" "$python" curl setpriv; do
        command -v "$program" >/dev/null || fail "no ${program:-nginx} here"
    done
    [ "$redis" = off ] || command -v redis-server >/dev/null \
        || fail 'no redis-server here (REDIS=off does without)'
    "$python" -c 'import psycopg2' 2>/dev/null \
        || fail "$python has no psycopg2 (Debian: python3-psycopg2)"
}


# Everything the servers read is copied: started by root they run as another
# user, who may not be able to look into this tree.

make_scratch() {
    local so

    dir=$(mktemp -d /tmp/optcache-demo.XXXXXX) || fail 'no scratch directory'
    mkdir "$dir"/{logs,modules,temp}

    for so in ngx_http_ratelimit_redis_module.so ngx_http_optcache_module.so
    do
        ! built_in || break
        cp "$build/$so" "$dir/modules/" || fail "no $build/$so: make first"
    done
    cp "$demo/backend.py" "$demo/schema.sql" "$demo/../docs/optcache.sql" "$dir"
    [ -z "${NGINX_BINARY:-}" ] \
        || { cp "$nginx" "$dir" && nginx=$dir/${nginx##*/}; }
    head -c 32 /dev/urandom >"$dir/secret"

    if [ "$(id -u)" = 0 ]; then
        user=nobody
        chown -R "$user" "$dir"
    fi
    cd "$dir" || fail "cannot enter $dir"
}


# an nginx that has our modules linked in, as instrumented builds do

built_in() {
    "$nginx" -V 2>&1 | grep -q -- --add-module
}


# spawn NAME COMMAND: in the background, as the unprivileged user, and never
# outliving this script, whatever ends it.  A session of its own keeps Ctrl-C
# for us: who stops first is decided in stop().

spawn() {
    local name=$1
    shift

    setsid setpriv --pdeathsig TERM \
        ${user:+--reuid=$user --regid="$(id -g $user)" --clear-groups} \
        "$@" >>"$dir/logs/$name.log" 2>&1 </dev/null &
    pids[$name]=$!
}


# await NAME COMMAND: until the command succeeds; a server that has ended, or
# is not ready in 30 seconds, is the end of the demo.

await() {
    local name=$1 _
    shift

    for _ in {1..300}; do
        "$@" >/dev/null 2>&1 && return
        kill -0 "${pids[$name]}" 2>/dev/null || break
        sleep 0.1
    done
    fail "$name did not start" "$dir/logs/$name"
}


start_redis() {
    # a logout must survive a restart, hence the append-only file

    cat >redis.conf <<END
port 0
unixsocket $dir/redis.sock
unixsocketperm 700
dir $dir
pidfile $dir/redis.pid
appendonly yes
save ""
END
    spawn redis redis-server redis.conf
    await redis redis-cli -s redis.sock ping
}


start_postgres() {
    local psql="$postgres/psql -h $dir -U demo"

    spawn postgres "$postgres/initdb" -D "$dir/postgres" -U demo -A trust \
        -E UTF8 --locale=C.UTF-8 --no-sync --no-instructions
    wait "${pids[postgres]}" || fail 'initdb failed' "$dir/logs/postgres"

    spawn postgres "$postgres/postgres" -D "$dir/postgres" \
        -c listen_addresses= -c unix_socket_directories="$dir" \
        -c fsync=off -c shared_buffers=16MB -c max_connections=40
    await postgres $psql -d postgres -c 'SELECT 1'

    $psql -d postgres -qc 'CREATE DATABASE demo' >>logs/postgres.log 2>&1 \
        && $psql -d demo -q -v ON_ERROR_STOP=1 -f schema.sql \
            -f optcache.sql -c "SELECT optcache.watch('public.allocations',
                                    tag => 'allocations:{login}')" \
            >>logs/postgres.log 2>&1 \
        || fail 'no database' "$dir/logs/postgres"
}


start_backends() {
    local n

    for n in 1 2 3; do
        spawn backend-$n "$python" "$dir/backend.py" backend-$n secret \
            "host=$dir user=demo dbname=demo" "$dir/backend-$n.port"
    done
    for n in 1 2 3; do
        await backend-$n test -s backend-$n.port
    done
}


start_gateway() {
    choose_port
    write_conf
    spawn gateway "$nginx" -p "$dir" -c "$dir/gateway.conf" \
        -e "$dir/logs/gateway.error.log" -g 'daemon off;'
    await gateway curl -so /dev/null "http://127.0.0.1:$port/cache/"
}


write_conf() {
    local without=()

    [ "$redis" != off ] || without+=(-e '/_redis_server /d')
    ! built_in || without+=(-e '/^load_module /d')

    sed "${without[@]}" -e "s|@DIR@|$dir|g" -e "s|@PORT@|$port|g" \
        -e "s|@BACKEND1@|$(cat backend-1.port)|g" \
        -e "s|@BACKEND2@|$(cat backend-2.port)|g" \
        -e "s|@BACKEND3@|$(cat backend-3.port)|g" \
        "$demo/nginx.conf" >gateway.conf
}


choose_port() {
    local candidates=${PORT:-$(seq 8080 8099)}

    port=$("$python" - $candidates <<'END'
import socket, sys
for port in map(int, sys.argv[1:]):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
            s.listen()
        except OSError:
            continue
        print(s.getsockname()[1])
        break
END
)
    [ -n "$port" ] || fail "port taken: $(echo $candidates)"
}


write_state() {
    {
        echo "dir=$dir"
        echo "url=http://127.0.0.1:$port"
        echo "redis=$redis"
        echo "user=$user"
        echo "nginx=$nginx"
        echo "psql='$postgres/psql -h $dir -U demo -d demo'"
    } >state.new
    mv state.new state
    [ -z "${STATE:-}" ] || { cp state "$STATE.new" && mv "$STATE.new" "$STATE"; }
}


print_welcome() {
    local url=http://127.0.0.1:$port

    cat <<END

The gateway is at $url, three backends behind it, $(
    [ "$redis" = off ] && echo "on shared memory alone" || echo "with Redis").
Users: alice, bob, carol, dave; everybody's password is "demo".  To try:

  # log in
  T=\$(curl -s $url/auth/login -d '{"user":"alice","password":"demo"}' | sed 's/.*"token": "\([^"]*\)".*/\1/')

  # twice: the second answer is not computed again (X-Cache), and counted (X-RateLimit-Remaining)
  curl -i -H "Authorization: Bearer \$T" '$url/api/v1/allocations?year=$(date +%Y)&month=$(date +%-m)'

  # compressed when it was stored, not now
  curl -sD- -o /dev/null --compressed -H "Authorization: Bearer \$T" '$url/api/v1/allocations?year=$(date +%Y)&month=$(date +%-m)'

  # streams through, a word every 200 ms
  curl -N -H "Authorization: Bearer \$T" $url/api/v1/chat

  # log out; after that the token is refused, for what was cached too
  curl -i -X POST -H "Authorization: Bearer \$T" $url/auth/logout

Watch it:  $url/cache/ in a browser, or tail -f $dir/logs/access.log
Tour:      demo/tour.sh $dir
Ctrl-C ends it and removes $dir

END
}


# Redis may come and go, that is what the demo shows; the rest may not.

watch() {
    local gone name

    while [ ${#pids[@]} -gt 0 ]; do
        wait -n -p gone "${pids[@]}" 2>/dev/null
        [ -n "${gone:-}" ] || sleep 1
        for name in "${!pids[@]}"; do
            [ "${pids[$name]}" = "${gone:-}" ] || continue
            unset "pids[$name]"
            [ "$name" = redis ] || fail "$name has ended" "$dir/logs/$name"
            echo 'redis has ended; limits and cache go on in shared memory'
        done
    done
}


fail() {
    local log

    echo "demo: $1" >&2
    for log in ${2:+"$2.log" "$2.error.log"}; do
        [ ! -s "$log" ] || { echo "--- $log"; tail -n 20 "$log"; } >&2
    done
    exit 1
}


# Clients before servers, so that nobody logs a lost connection.

stop() {
    trap '' INT TERM HUP
    trap - EXIT
    [ -n "$dir" ] || return

    end TERM "${pids[gateway]:-}" $(written_in "$dir"/gateway*.pid)
    end TERM "${pids[backend-1]:-}" "${pids[backend-2]:-}" \
        "${pids[backend-3]:-}"
    end INT "${pids[postgres]:-}"
    end TERM "${pids[redis]:-}" $(written_in "$dir"/redis.pid)

    cd / && rm -rf "$dir"
}


# written_in FILE...: the processes named there, if they are still the ones
# that work in the scratch directory; others may have joined since the start,
# such as a restarted Redis

written_in() {
    local file pid

    for file; do
        [ -s "$file" ] && pid=$(cat "$file") || continue
        case $(readlink "/proc/$pid/cwd") in
            "$dir"|"$dir"/*) echo "$pid" ;;
        esac
    done
}


# end SIGNAL PID...: ask, wait up to 5 seconds, then insist; each leads a
# process group of its own

end() {
    local signal=$1 pid _

    shift
    for pid; do
        [ -z "$pid" ] || kill -"$signal" "$pid" 2>/dev/null || continue
        for _ in {1..100}; do
            kill -0 "${pid:-x}" 2>/dev/null || continue 2
            sleep 0.05
        done
        kill -KILL -- "-$pid" "$pid" 2>/dev/null
    done
}


main
