#!/bin/bash
#
# Configures nginx with our modules.  configure writes beside the sources,
# which may be read-only or somebody else's: it runs in a tree of links.
#
#   configure.sh NGINX_SRC OUT [ARGUMENTS]
#
# makes OUT/tree and OUT/objs/Makefile.

set -eu

src=$(readlink -f "$1") && [ -d "$src/auto" ] || {
    echo "no nginx sources at $1 (Debian: nginx-dev; 'make setup' gets it)" >&2
    exit 1
}
out=$2
shift 2

# what our modules can use, for sources that do not tell how nginx was built
NGX_CONF_FLAGS=(--with-compat --with-debug --with-threads)

for module in ssl v2 realip auth_request stub_status slice addition sub \
              gunzip gzip_static dav secure_link random_index
do
    NGX_CONF_FLAGS+=("--with-http_${module}_module")
done

rm -rf "$out/tree" "$out/objs"
mkdir -p "$out"
cp -as "$src" "$out/tree"
cd "$out/tree"

[ ! -f conf_flags ] || . ./conf_flags

configure=./configure
[ -f $configure ] || configure=auto/configure

bash $configure "${NGX_CONF_FLAGS[@]}" --builddir="$out/objs" "$@" \
    >"$out/configure.log" 2>&1 \
    || { tail -20 "$out/configure.log" >&2; exit 1; }
