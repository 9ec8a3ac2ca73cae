#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# explore.sh - tools/oa-explore: what it takes for a failure, where it stops, what it says then, and what it refuses.
#
# ctest: not=qemu,valgrind
set -u
unset OASYNC_SIMULATE OASYNC_LOG
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "failed: $*"
    cat "$work/out" "$work/errors"
    exit 1
}

# explore STATUS ARGUMENTS...: it ends with this status; its output in $work/out and $work/errors.
explore() {
    expected=$1
    shift
    status=0
    sh "$OA_SOURCE_DIR/tools/oa-explore" "$@" >"$work/out" 2>"$work/errors" || status=$?
    [ $status -eq "$expected" ] || fail "$*: status $status, not $expected"
}

says() {
    grep -q -- "$1" "$work/out" || fail "it does not say: $1"
}

complains() {
    grep -q -- "$1" "$work/errors" || fail "it does not complain: $1"
    [ ! -s "$work/out" ] || fail "it says something, too"
}

# The seed at which it has stopped.
failing_seed() {
    sed -n 's/^oa-explore: seed \([0-9]*\): .*/\1/p' "$work/out"
}

# again WHICH: runs the line that it has printed for that; the output in $work/again, the status in $status.
again() {
    line=$(sed -n "s/^$1: //p" "$work/out")
    [ -n "$line" ] || fail "no line for '$1'"
    status=0
    sh -c "$line" >"$work/again" 2>&1 || status=$?
}

# ---- What fails -----------------------------------------------------------------------------------------------------

explore 1 -n 200 "$OA_EXPLORE_PROGRAM" exit "it's printed"
seed=$(failing_seed)
says "^oa-explore: seed $seed: exit status 3\$"
says "^it's printed\$"
! grep -q 'simulation: seed' "$work/out" || fail "the simulation's own lines are shown"
again again
[ $status -eq 3 ] || fail "again: status $status"
again 'and step by step'
[ $status -eq 3 ] && grep -q "task 2 (.*) goes on in oa_mutex_lock" "$work/again" || fail "no steps: $(cat "$work/again")"

# It is the first: none before it fails, and from there on it is found at once.
[ "$seed" -eq 1 ] || explore 0 -n $((seed - 1)) "$OA_EXPLORE_PROGRAM" exit
explore 1 -f "$seed" -n 1 "$OA_EXPLORE_PROGRAM" abort
says "^oa-explore: seed $seed: killed by signal 6\$"
explore 1 -f "$seed" -t 1 "$OA_EXPLORE_PROGRAM" hang
says "^oa-explore: seed $seed: it still ran after 1 s\$"

explore 1 -n 200 "$OA_EXPLORE_PROGRAM" deadlock
says "^oa-explore: seed $(failing_seed): it has logged an error\$"
says "deadlock: 3 tasks wait for ever"
again again
[ $status -eq 0 ] && grep -q "deadlock: 3 tasks wait for ever" "$work/again" || fail "again: $(cat "$work/again")"

# ---- Repeated -------------------------------------------------------------------------------------------------------

explore 0 -r -n 5 "$OA_EXPLORE_PROGRAM" fine
says "^oa-explore: seeds 1 to 5: none failed\$"
explore 0 -n 2 "$OA_EXPLORE_PROGRAM" differs
explore 1 -r -f 7 "$OA_EXPLORE_PROGRAM" differs
says "^oa-explore: seed 7: the second run was another one\$"

# ---- Which seeds ----------------------------------------------------------------------------------------------------

cat >"$work/a program" <<END
#!/bin/sh
echo "\$OASYNC_SIMULATE \$*" >>"$work/runs"
printf 'half a line '
echo "oasync: info: simulation: seed \$OASYNC_SIMULATE: 1 steps, trace 0"
END
chmod +x "$work/a program"
explore 0 -r -f 8 -n 3 "$work/a program" -n 'two  words'
says "^oa-explore: seeds 8 to 10: none failed\$"
for seed in 8 8 9 9 10 10; do
    echo "$seed -n two  words"
done | cmp -s - "$work/runs" || fail "other runs: $(cat "$work/runs")"

# ---- What cannot be tried -------------------------------------------------------------------------------------------

explore 2 "$OA_EXPLORE_PROGRAM" outside
complains 'has run no simulation'
explore 2 "$work/missing"
complains missing
explore 2 sh -c 'exit 127'
complains 'was not run: status 127'
for arguments in "" "-n 5" "-n 0 true" "-n x true" "-n -1 true" "-f 0 true" "-t 0 true" "-t 1s true" "-x true" "-n"; do
    # shellcheck disable=SC2086
    explore 2 $arguments
    complains '^oa-explore \[-f FIRST\]'
done
