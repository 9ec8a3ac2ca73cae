#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# reported.sh PROGRAM - TSan reports a data race in PROGRAM, each of ten times.
set -u
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for run in 1 2 3 4 5 6 7 8 9 10; do
    if "$1" >"$log" 2>&1 || ! grep -q 'WARNING: ThreadSanitizer: data race' "$log"; then
        echo "run $run: no data race was reported"
        cat "$log"
        exit 1
    fi
done
