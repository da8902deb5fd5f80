#!/bin/sh
#
# The public tests of HTTP caches against nginx with our module.  They come
# from npm, into the build directory, unless SUITE says where newer ones are.
#
#   run.sh [TEST-ID ...]      all tests, or these
#
#   BUILD=DIR              where both .so are, and the tests go (default build)
#   SUITE=DIR              a checkout of the tests, after "npm install" in it
#   NGINX_BINARY=PATH      which nginx (default: the one in PATH or /usr/sbin)
#
# Fails when a required test fails that allow.txt does not name.

set -eu

version=0.4.5
here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD:-$here/../../build}
PATH=$PATH:/usr/sbin:/sbin

if [ -n "${SUITE:-}" ]; then
    exec node --no-warnings "$here/run.mjs" "$(cd "$SUITE" && pwd)" \
        "$(cd "$build" && pwd)" "$@"
fi

mkdir -p "$build/conformance"
cd "$build/conformance"

[ "$(cat installed 2>/dev/null)" = $version ] || {
    echo '{ "private": true }' >package.json
    npm install --no-audit --no-fund --no-package-lock --ignore-scripts \
        --loglevel=error http-cache-tests@$version
    echo $version >installed
}

exec node --no-warnings "$here/run.mjs" "$PWD/node_modules/http-cache-tests" \
    "$(dirname "$PWD")" "$@"
