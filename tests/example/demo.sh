#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# demo.sh - the demo passes on a small tree with a space in its path, and a falsified count fails it.
#
# ctest: not=qemu,valgrind
# ctest: timeout=60
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
demo=$OA_SOURCE_DIR/tools/demo.sh
DEMO_THREADS=1000
export DEMO_THREADS

fail() {
    echo "failed: $*"
    cat "$work/out" "$work/errors"
    exit 1
}

mkdir -p "$work/a tree/sub"
printf 'mutex\n#define X_MAX 1.5\n' >"$work/a tree/one"
printf 'a mutex\nnone' >"$work/a tree/sub/two words"
printf 'mutex\0' >"$work/a tree/binary"

sh "$demo" "$OA_BUILD_DIR" "$work/a tree" >"$work/out" 2>"$work/errors" || fail "the demo fails"
grep -q "All counts are grep's" "$work/out" || fail "no comparison"
grep -q "a token counted all of them" "$work/out" || fail "no line of threads"

status=0
DEMO_PLANT=1 sh "$demo" "$OA_BUILD_DIR" "$work/a tree" >"$work/out" 2>"$work/errors" || status=$?
[ $status -eq 1 ] || fail "a falsified count: status $status"
grep -q "demo: FAILED: oagrep's counts are not grep's" "$work/errors" || fail "a falsified count: no message"
