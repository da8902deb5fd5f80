#!/bin/sh
#
# Builds Debian packages of the modules from the tarball of this tree, so that
# nothing is left in it but the packages in $BUILD.

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
out=$BUILD/deb

rm -rf "$out"
mkdir -p "$out"

tarball=$("$root/misc/dist.sh")

tar -xzf "$tarball" -C "$out"
cd "$out"/optcache-*

# flags and folders of the make that called are not meant for this one
unset BUILD CC CFLAGS JOBS MAKEFLAGS MAKELEVEL NGINX_SRC

DEB_BUILD_OPTIONS=noautodbgsym dpkg-buildpackage -b -us -uc >"$out/log" 2>&1 || {
    tail -40 "$out/log" >&2
    exit 1
}

rm -f "$out"/../libnginx-mod-*.deb
mv "$out"/libnginx-mod-*.deb "$out/.."
cd "$out/.."
ls "$PWD"/libnginx-mod-*.deb
rm -rf "$out"
