# SPDX-License-Identifier: BSD-2-Clause
# With find_package, linked to either library.
set -eu
here=$(dirname "$0")
rm -rf "$1"
"$CMAKE" -S "$here/consumer" -B "$1" -DCMAKE_PREFIX_PATH="$PREFIX" -DCMAKE_C_COMPILER="$CC" >"$1.log" 2>&1 &&
    "$CMAKE" --build "$1" >>"$1.log" 2>&1 || {
    cat "$1.log"
    exit 1
}
test "$("$1/with_shared")" = "hello from a task"
test "$("$1/with_static")" = "hello from a task"
