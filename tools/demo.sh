#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# demo.sh BUILD [PATH...] - searches real files with oagrep, checks every count against grep, and lets a million virtual
# threads pass a token.
#
# PATH is /usr/include and /usr/share unless given. DEMO_THREADS is the length of the line (1000000). DEMO_PLANT=1
# falsifies one of the counts before they are compared: the demo must then fail.
set -eu
LC_ALL=C
export LC_ALL

[ $# -ge 1 ] || { echo "Usage: demo.sh BUILD [PATH...]" >&2; exit 2; }
build=$1
shift
if [ $# -eq 0 ]; then
    for path in /usr/include /usr/share; do
        [ -d "$path" ] && set -- "$@" "$path"
    done
fi
oagrep=$build/examples/oagrep
million=$build/examples/million
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

fail() {
    echo "demo: FAILED: $*" >&2
    exit 1
}

# timed NAME COMMAND...: runs the command, its output to $work/NAME, its time in ms appended to $work/NAME.times. Returns
# its exit status.
timed() {
    name=$1
    shift
    status=0
    began=$(date +%s%N)
    "$@" >"$work/$name" 2>"$work/$name.errors" || status=$?
    echo $((($(date +%s%N) - began) / 1000000)) >>"$work/$name.times"
    return $status
}

median() {
    sort -n "$work/$1.times" | sed -n 2p
}

# compare PATTERN PATH...: both search three times in turn; the counts of the last time must agree, file by file.
compare() {
    pattern=$1
    shift
    rm -f "$work"/*.times
    for round in 1 2 3; do
        grep_status=0
        oagrep_status=0
        timed grep grep -rI -c -e "$pattern" -- "$@" || grep_status=$?
        timed oagrep "$oagrep" -c -- "$pattern" "$@" || oagrep_status=$?
    done
    sort "$work/grep" >"$work/expected"
    sort "$work/oagrep" >"$work/found"
    if [ "${DEMO_PLANT:-}" = 1 ]; then
        sed '1s/[0-9]*$/1&/' "$work/found" >"$work/planted"
        mv "$work/planted" "$work/found"
    fi
    if ! cmp -s "$work/expected" "$work/found"; then
        echo "the counts for \"$pattern\" differ (< grep, > oagrep):" >&2
        diff "$work/expected" "$work/found" | sed -n '1,20p' >&2
        cat "$work/oagrep.errors" >&2
        fail "oagrep's counts are not grep's"
    fi
    [ "$oagrep_status" = "$grep_status" ] ||
        fail "\"$pattern\": oagrep's exit status is $oagrep_status, grep's is $grep_status"
    lines=$(sed 's/.*://' "$work/found" | awk '{ sum += $1 } END { printf "%d", sum }')
    files=$(awk 'END { print NR }' "$work/found")
    printf '%-28s %8s %9s %8s ms %8s ms\n' "$pattern" "$files" "$lines" "$(median oagrep)" "$(median grep)"
}

echo "Searching $*, each pattern three times (medians), counts compared file by file:"
printf '%-28s %8s %9s %11s %11s\n' "pattern" "files" "lines" "oagrep" "grep -rI"
compare 'mutex' "$@"
compare '^#define [A-Z_]*_MAX' "$@"
compare '[0-9][0-9]*\.[0-9]' "$@"
echo "All counts are grep's."
echo
"$million" "${DEMO_THREADS:-1000000}" || fail "million"
