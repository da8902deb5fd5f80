#!/bin/bash
#
# Builds nginx with our modules linked in, instrumented:
#
#   static.sh asan|coverage|fuzz|tsan OUT
#
# from NGINX_SRC if that has .c files, else from Debian's source package.
# OUT/objs/nginx is the server; OUT/libnginx.a is all of it as a library, for
# the C tests (its main() is called nginx_main); OUT/cflags has the flags that
# those are compiled with.  Run again it compiles what has changed.

set -euo pipefail

variant=$1 out=$2
root=$(cd "$(dirname "$0")/.." && pwd)
src=$("$root/misc/source.sh" "$NGINX_SRC" "$BUILD/src")
jobs=${JOBS:-$(nproc)}


# Our own files are held to more than nginx's: UndefinedBehaviorSanitizer
# finds things in nginx that are known and of no concern here.

case $variant in
asan)
    # a report tells of lines; without the rest it is built in 3/4 of the time
    cc=${CC:-cc}
    flags='-g1 -O1 -fno-omit-frame-pointer -fsanitize=address'
    flags="$flags -DNGX_DEBUG_PALLOC=1"
    ours='-fsanitize=undefined'
    ;;
coverage)
    cc=${CC:-cc}
    flags='-g -O0'
    ours='--coverage'
    ;;
fuzz)
    cc=${CLANG:-clang}
    flags='-g -O1 -fno-omit-frame-pointer -fsanitize=address'
    flags="$flags -DNGX_DEBUG_PALLOC=1"
    ours='-fsanitize=undefined,fuzzer-no-link'
    ;;
tsan)
    cc=${CC:-cc}
    flags='-g1 -O1 -fno-omit-frame-pointer -fsanitize=thread'
    ours=
    ;;
*)
    echo "$0: $variant?" >&2
    exit 2
    ;;
esac

mkdir -p "$out"

# the compiler, as configure is told of it; nginx names the source last
cat >"$out/cc.new" <<END
#!/bin/sh
for last; do :; done
case \$last in
"$root"/*.c) exec $cc "\$@" $ours ;;
*.c) exec $cc "\$@" ;;
*) exec $cc "\$@" $ours ;;
esac
END
chmod +x "$out/cc.new"

inputs="$variant $src $cc $flags $ours
$(cd "$root" && find config src -name '*.[ch]' -o -name config | sort)
$(sum "$root/config" "$root/config.make" "$0" "$root/misc/configure.sh")"

if [ ! -f "$out/objs/Makefile" ] \
   || [ "$(cat "$out/inputs" 2>/dev/null)" != "$inputs" ]
then
    mv "$out/cc.new" "$out/cc"

    # warnings are errors in the usual build; instrumented code has others
    "$root/misc/configure.sh" "$src" "$out" --with-cc="$out/cc" \
        --with-cc-opt="$flags -Wno-error" --with-ld-opt="$flags" \
        --add-module="$root"

    echo "$inputs" >"$out/inputs"
fi

rm -f "$out/cc.new"

make -s -j"$jobs" -C "$out/tree" -f "$out/objs/Makefile" binary

if [ "$out/objs/nginx" -nt "$out/libnginx.a" ]; then
    objcopy --redefine-sym main=nginx_main \
        "$out/objs/src/core/nginx.o" "$out/nginx_main.o"

    rm -f "$out/libnginx.a"
    find "$out/objs" -name '*.o' ! -path '*/src/core/nginx.o' \
        -exec ar rc "$out/libnginx.a" "$out/nginx_main.o" {} +
fi

includes="-I$src/src/core -I$src/src/event -I$src/src/event/modules"
includes="$includes -I$src/src/event/quic -I$src/src/os/unix -I$out/objs"
includes="$includes -I$src/src/http -I$src/src/http/modules"
includes="$includes -I$src/src/http/v2 -I$root/src -I$(pg_config --includedir)"

for dir in "$root"/src/*/; do
    includes="$includes -I${dir%/}"
done

echo "$flags $ours $includes" >"$out/cflags"
grep -m1 -- '-lcrypto' "$out/objs/Makefile" | grep -o -- '-[lL][^ \\]*' \
    | tr '\n' ' ' >"$out/libs"
