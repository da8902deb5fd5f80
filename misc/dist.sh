#!/bin/sh
#
# Makes $BUILD/optcache-VERSION.tar.gz, to be built elsewhere: of what git
# does not ignore, as it is now, or, where there is no git, of all but $BUILD.
# The same files make the same bytes.

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"

name=optcache-$(misc/version.sh)

files() {
    if [ "$(git rev-parse --show-toplevel 2>/dev/null)" = "$root" ]; then
        git ls-files --cached --others --exclude-standard
    else
        find . \( -path "./${BUILD#"$root"/}" -o -path ./build \
                  -o -name .git -o -name .run \) -prune \
            -o \( -type f -o -type l \) -print
    fi
}

# a file that git knows may have been removed

mkdir -p "$BUILD"

files | LC_ALL=C sort -u | while IFS= read -r file; do
    [ ! -e "$file" ] || printf '%s\n' "${file#./}"
done | tar -c --no-recursion -T - --transform "s,^,$name/,S" \
    --owner=0 --group=0 --numeric-owner --mode=go=rX,u+w \
    --mtime="$(sed -n '/^ -- /{s/.*>  //p;q}' debian/changelog)" \
    | gzip -9n >"$BUILD/$name.tar.gz"

echo "$BUILD/$name.tar.gz"
