# SPDX-License-Identifier: BSD-2-Clause
# With nothing but -I and -L: both libraries, and no path of the source tree.
set -eu
here=$(dirname "$0")
mkdir -p "$1"
flags="-std=c11 -O2 -Wall -Wextra -Wpedantic -Werror"
$CC $flags "$here/main.c" -I "$PREFIX/include" -L "$PREFIX/$LIBDIR" -loasync -o "$1/shared"
$CC $flags "$here/main.c" -I "$PREFIX/include" "$PREFIX/$LIBDIR/liboasync.a" -o "$1/static"
test "$(LD_LIBRARY_PATH="$PREFIX/$LIBDIR" "$1/shared")" = "hello from a task"
test "$("$1/static")" = "hello from a task"
