# SPDX-License-Identifier: BSD-2-Clause
# With pkg-config; a path with a space comes back from it quoted for the shell.
set -eu
here=$(dirname "$0")
out=$1
if ! command -v pkg-config >/dev/null; then
    echo "no pkg-config"
    test -z "${OA_REQUIRE_TOOLS:-}" && exit 77
    exit 1
fi
mkdir -p "$out"
export PKG_CONFIG_PATH="$PREFIX/$LIBDIR/pkgconfig"
eval "set -- $(pkg-config --cflags --libs oasync)"
"$CC" "$here/main.c" "$@" -o "$out/main"
test "$(LD_LIBRARY_PATH="$PREFIX/$LIBDIR" "$out/main")" = "hello from a task"
