#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# soak.sh [PRESET [RUNS]] - `make test` RUNS times in a row (100 under release, 10 otherwise), every second run with a busy
# loop on one core. Stops at the first failure and keeps its output, seeds included, as build/soak/PRESET.failed.log.
set -u
cd "$(dirname "$0")/.." || exit 1
ulimit -c 0
preset=${1:-release}
runs=${2:-$([ "$preset" = release ] && echo 100 || echo 10)}
log=build/soak/$preset.log
mkdir -p build/soak
rm -f "build/soak/$preset.failed.log"

hog=
trap '[ -z "$hog" ] || kill "$hog"' EXIT

for ((run = 1; run <= runs; run++)); do
    load=
    if ((run % 2 == 0)); then
        load=', one core busy'
        taskset -c 0 sh -c 'while :; do :; done' &
        hog=$!
    fi
    start=$SECONDS
    status=0
    make PRESET="$preset" test >"$log" 2>&1 </dev/null || status=1
    if [ -n "$hog" ]; then
        kill "$hog"
        wait "$hog" 2>/dev/null
        hog=
    fi
    if [ $status != 0 ]; then
        mv "$log" "build/soak/$preset.failed.log"
        echo "$preset: run $run of $runs failed$load; seeds and output of what failed:"
        grep -E 'OA_TEST_SEED=|\*\*\*|failed:|ERROR|WARNING: ' "build/soak/$preset.failed.log" | head -n 40
        echo "all of it: build/soak/$preset.failed.log"
        exit 1
    fi
    printf '%s: run %d of %d passed in %d s%s\n' "$preset" "$run" "$runs" $((SECONDS - start)) "$load"
done
echo "$runs passed, 0 failed"
