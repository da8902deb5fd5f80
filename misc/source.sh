#!/bin/sh
#
# Prints the path of nginx's sources with their .c files: NGINX_SRC itself if
# it has them, else Debian's source package of the nginx installed here, which
# is fetched into DIR once.
#
#   source.sh NGINX_SRC DIR

set -eu

if [ -f "$1/src/core/nginx.c" ]; then
    echo "$1"
    exit
fi

mkdir -p "$2"
cd "$2"

if ls -d nginx-*/src/core/nginx.c >/dev/null 2>&1; then
    echo "$2"/nginx-*/
    exit
fi

# The machine's own package lists, asked for sources: they usually have none.

mkdir -p apt/sources apt/lists/partial

for list in /etc/apt/sources.list.d/*.sources; do
    [ -f "$list" ] || continue
    sed 's/^Types:.*/Types: deb-src/' "$list" >"apt/sources/${list##*/}"
done

cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null \
    | sed -n 's/^[[:space:]]*deb[[:space:]]/deb-src /p' >apt/sources/all.list

apt() {
    apt-get -qq -o Dir::Etc::sourcelist=/dev/null \
        -o Dir::Etc::sourceparts="$PWD/apt/sources" \
        -o Dir::State::lists="$PWD/apt/lists" \
        -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
        -o APT::Sandbox::User= "$@" >&2
}

version=$(dpkg-query -W -f '${source:Version}' nginx 2>/dev/null) || version=

# a list of somebody else may fail; that ours came shows in the next step
apt update || true
apt --download-only source "nginx${version:+=$version}" \
    || apt --download-only source nginx

dpkg-source --no-check -x nginx_*.dsc >dpkg-source.log || {
    cat dpkg-source.log >&2
    exit 1
}
rm -rf apt

echo "$2"/nginx-*/
