#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# switch_flags.sh [TEST...] - the switch under every set of flags that changes what compilers keep where. Builds the unit
# test of the fiber room (or those named, without .c) with each compiler and each set, and runs it.
# ctest: timeout=300 label=long not=asan,tsan,valgrind,qemu
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
tests=${*:-test_fiber}
# One set per line.
sets='
-O0
-O1
-O2
-O3
-Os
-O2 -fomit-frame-pointer
-O2 -fno-omit-frame-pointer
-O2 -fPIC
-O2 -fPIE -pie
-O2 -fno-pic -no-pie
-O2 -flto
-O3 -march=native
-O3 -march=native -flto -fno-omit-frame-pointer
-O2 -mavx512f
-O2 -fcf-protection=full
-O0 -fcf-protection=full -fPIC
-O2 -fstack-protector-all
-O2 -fstack-clash-protection -D_FORTIFY_SOURCE=2
-O1 -fsanitize=undefined -fno-sanitize-recover=all
-O2 -DOAI_FORCE_OWN_STACKS
-Og -g3
'
set -- "$root"/src/os/*.c "$root"/src/fiber/*.c "$root"/src/fiber/*.S "$root"/src/base/lock.c
status=0
count=0
for compiler in ${CCS:-gcc clang-19}; do
    command -v "$compiler" >/dev/null || continue
    while read -r flags; do
        [ -n "$flags" ] || continue
        case $flags in *avx512f*)
            # Compiled everywhere, run where the machine has it.
            grep -qw avx512f /proc/cpuinfo && run=yes || run=no ;;
        *) run=yes ;;
        esac
        for test in $tests; do
            # shellcheck disable=SC2086
            "$compiler" -std=gnu11 -Wall -Wextra -Werror -Wno-invalid-feature-combination $flags -I"$root/src" -I"$root/tests" -I"$root/include" \
                "$root/tests/unit/$test.c" "$@" -lpthread -o "$folder/program" || {
                echo "$compiler $flags: $test does not build"
                status=1
                continue
            }
            [ $run = yes ] || continue
            OA_TEST_SCALE=${OA_TEST_SCALE:-30} timeout 60 "$folder/program" >"$folder/output" 2>&1 || {
                echo "$compiler $flags: $test failed"
                cat "$folder/output"
                status=1
            }
            count=$((count + 1))
        done
    done <<END
$sets
END
done
echo "$count combinations run"
exit $status
