#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# million.sh - the line of threads, a short one, and its errors.
set -eu
million=$OA_EXAMPLE_DIR/million
threads=${OA_MILLION:-2000}

out=$($OA_LAUNCHER "$million" "$threads")
rounds=$(printf '%s\n' "$out" | grep -c '^a token counted all of them')
[ "$rounds" -eq 3 ] || { echo "failed: $rounds rounds: $out"; exit 1; }
$OA_LAUNCHER "$million" 1 >/dev/null

for bad in 0 x 3x 1000000000; do
    status=0
    $OA_LAUNCHER "$million" $bad >/dev/null 2>&1 || status=$?
    [ $status -eq 2 ] || { echo "failed: argument $bad: status $status"; exit 1; }
done
