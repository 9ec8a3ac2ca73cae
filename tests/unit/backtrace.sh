#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# backtrace.sh - gdb's backtrace on a virtual thread's stack ends where the stack begins, and without complaint.
# ctest: timeout=120 not=asan,tsan,valgrind,qemu
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
command -v gdb >/dev/null || exit 77
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
status=0
for flags in -O0 -O2; do
    # shellcheck disable=SC2086
    "${CC:-gcc}" -std=gnu11 -g $flags -I"$root/src" -I"$root/tests" "$root/tests/unit/test_fiber.c" \
        "$root"/src/os/*.c "$root"/src/fiber/*.c "$root"/src/fiber/*.S "$root/src/base/lock.c" -lpthread \
        -o "$folder/program"
    gdb -q -nx -batch -ex 'set debuginfod enabled off' -ex 'set startup-with-shell off' -ex 'break count_frame' \
        -ex run -ex bt "$folder/program" >"$folder/output" 2>&1 || true
    if ! grep -q 'hit Breakpoint' "$folder/output"; then
        grep -qi 'ptrace\|not permitted' "$folder/output" && exit 77 # no debugging here
    fi
    # The outermost frame is the trampoline, and gdb has nothing to remark.
    last=$(grep -E '^#[0-9]+' "$folder/output" | tail -1)
    case $last in
    *oai_fiber_start*) ;;
    *) echo "$flags: the last frame is: $last"; status=1 ;;
    esac
    grep -q 'with_unwind' "$folder/output" || { echo "$flags: with_unwind is missing"; status=1; }
    if grep -Ei 'corrupt|previous frame|cannot access' "$folder/output"; then
        status=1
    fi
    [ $status = 0 ] || cat "$folder/output"
done
exit $status
