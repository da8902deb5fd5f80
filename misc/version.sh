#!/bin/sh
#
# Prints the version of both modules, which stands in the header alone, and
# fails if debian/changelog has another one.

set -eu

cd "$(dirname "$0")/.."

version=$(sed -n 's/^#define NGX_HTTP_API_VERSION  "\(.*\)"$/\1/p' \
    src/api/ngx_http_api_version.h)
debian=$(sed -n '1s/^optcache (\(.*\)) .*/\1/p' debian/changelog)

[ -n "$version" ] && [ "$version" = "$debian" ] || {
    echo "the version is \"$version\" in src/api/ngx_http_api_version.h" \
        "and \"$debian\" in debian/changelog" >&2
    exit 1
}

echo "$version"
