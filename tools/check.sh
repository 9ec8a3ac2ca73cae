#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# check.sh [LEG...] - all that has to hold before a change goes in; without arguments, every leg below in turn.
#
# Stops at the first leg that fails and shows the end of its log (build/check/LEG.log). The last line counts the tests.
# Most legs are presets of CMakePresets.json: configure, build, test. The others are the functions at the end.
set -u
cd "$(dirname "$0")/.." || exit 1
ulimit -c 0
export OA_REQUIRE_TOOLS=1
unset OA_TEST_SCALE OASYNC_WORKERS OASYNC_LOG
# It builds all in a quarter less time than make, which starts anew for each of 150 programs. A folder keeps what it has.
! command -v ninja >/dev/null || export CMAKE_GENERATOR=Ninja

legs=(static release debug clang clang-debug own-stacks asan asan-clang tsan tsan-scheduler valgrind aarch64 model)
jobs=$(nproc)
logs=build/check
passed=0
failed=0

build() {
    cmake --preset "$1" && cmake --build "build/$1" -j "$jobs"
}

# run_tests PRESET CTEST-ARGUMENTS... - one more at a time than there are CPUs: they sleep a sixth of their time.
run_tests() {
    local preset=$1
    shift
    ctest --test-dir "build/$preset" -j $((jobs + 1)) --output-on-failure --no-tests=error "$@"
}

# What reads the sources alone. Each line is a test.
static_leg() {
    local words failures=0 count=0
    while read -r words; do
        count=$((count + 1))
        # shellcheck disable=SC2086
        if ! sh $words; then
            echo "failed: $words"
            failures=$((failures + 1))
        fi
    done <<'END'
tools/layers.sh --self-test
tools/layers.sh
tools/tls.sh
tools/lengths.sh
tools/format.sh
tools/readme-packages.sh
tools/docs.sh check --self-test
tools/docs.sh check
tools/docs.sh build/check/docs
END
    echo "$count tests, $failures tests failed out of $count"
    return $((failures > 0))
}

# The optimised build is the one that is shipped: its long tests run, too.
release_leg() {
    build release && run_tests release -LE '^(model|mutants)$'
}

# The checker: every structure to its bound, then every mutant.
model_leg() {
    build release && run_tests release -L '^(model|mutants)$'
}

preset_leg() {
    build "$1" && run_tests "$1" -LE '^(long|model|mutants)$'
}

# Adds what ctest counted in a log to the totals.
count_tests() {
    local line total bad skipped all=0
    while read -r line; do
        total=${line##* }
        bad=$(sed -E 's/.* ([0-9]+) tests failed.*/\1/' <<<"$line")
        passed=$((passed + total - bad))
        failed=$((failed + bad))
        all=$((all + total))
    done < <(grep -E 'tests failed out of [0-9]+$' "$1")
    skipped=$(grep -c '\*\*\*Skipped' "$1")
    passed=$((passed - skipped))
    summary="$all tests"
    if [ "$skipped" -gt 0 ]; then
        summary="$summary, $skipped skipped:$(sed -n 's/.*Test *#[0-9]*: \([^ ]*\) \.*\*\*\*Skipped.*/ \1/p' "$1" | tr -d '\n')"
    fi
}

run_leg() {
    local leg=$1 log=$logs/$1.log start=$SECONDS status=0
    case $leg in
    static) static_leg ;;
    release) release_leg ;;
    model) model_leg ;;
    *) preset_leg "$leg" ;;
    esac >"$log" 2>&1 </dev/null || status=1
    count_tests "$log"
    if [ $status = 0 ]; then
        printf '%-12s ok      %4d s  %s\n' "$leg" $((SECONDS - start)) "$summary"
        return
    fi
    printf '%-12s FAILED  %4d s  the end of %s:\n' "$leg" $((SECONDS - start)) "$log"
    tail -n 60 "$log"
    [ $failed -gt 0 ] || failed=1
}

mkdir -p "$logs"
[ $# -gt 0 ] || set -- "${legs[@]}"
for leg; do
    if ! grep -qw -- "$leg" <<<"${legs[*]}"; then
        echo "check.sh: no leg $leg; there are: ${legs[*]}"
        exit 2
    fi
done
for leg; do
    run_leg "$leg"
    [ $failed = 0 ] || break
done
echo "in all $((SECONDS / 60)) min $((SECONDS % 60)) s"
echo "$passed passed, $failed failed"
exit $((failed > 0))
