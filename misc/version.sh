#!/bin/sh
#
# Prints the version of both modules, which stands in the header alone, and
# fails if debian/changelog has another one.  A package that is built anew may
# have a "+1" or the like behind it there.

set -eu

cd "$(dirname "$0")/.."

version=$(sed -n 's/^#define NGX_HTTP_API_VERSION  "\(.*\)"$/\1/p' \
    src/api/ngx_http_api_version.h)
debian=$(sed -n '1s/^optcache (\(.*\)) .*/\1/p' debian/changelog)

case $version:$debian in
    :*) ;;
    "$version:$version" | "$version:$version"+?*) echo "$version"; exit ;;
esac

echo "the version is \"$version\" in src/api/ngx_http_api_version.h and" \
    "\"$debian\" in debian/changelog: they have to be the same, but for a" \
    "\"+1\" there" >&2
exit 1
