#!/bin/sh
#
# Prints the path of nginx's sources with their .c files: NGINX_SRC itself if
# it has them, else Debian's source package of the nginx installed here, which
# is fetched into DIR once.
#
#   source.sh NGINX_SRC DIR [SUITE]
#
# SUITE is another release of Debian to take it from ("trixie").

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

codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
other="s/$codename/${3:-$codename}/g"

for list in /etc/apt/sources.list.d/*.sources; do
    [ -f "$list" ] || continue
    sed -e 's/^Types:.*/Types: deb-src/' -e "$other" "$list" \
        >"apt/sources/${list##*/}"
done

cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null \
    | sed -n -e 's/^[[:space:]]*deb[[:space:]]/deb-src /' -e "$other" \
          -e '/^deb-src/p' >apt/sources/all.list

cat >apt/conf <<END
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$PWD/apt/sources";
Dir::State::lists "$PWD/apt/lists";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
APT::Sandbox::User "";
END

export APT_CONFIG=$PWD/apt/conf

# a list of somebody else may fail; that ours came shows in the next step
apt-get -qq update >&2 || true

# the version installed if it is to be had, else the newest that is: mirrors
# list what they do not hold
versions=$(apt-cache showsrc --only-source nginx | sed -n 's/^Version: //p' \
    | sort -ruV)
[ $# -gt 2 ] || versions="$(dpkg-query -W -f '${source:Version}' nginx \
    2>/dev/null || true) $versions"

for version in $versions; do
    rm -f nginx_*
    apt-get -qq --download-only source "nginx=$version" >apt/log 2>&1 || continue
    break
done

ls nginx_*.dsc >/dev/null 2>&1 || {
    cat apt/log >&2
    exit 1
}

dpkg-source --no-check -x nginx_*.dsc >dpkg-source.log || {
    cat dpkg-source.log >&2
    exit 1
}
rm -rf apt

echo "$2"/nginx-*/
