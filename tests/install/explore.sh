# SPDX-License-Identifier: BSD-2-Clause
# oa-explore from where it is installed: it finds no fault in what has none, the one seed under which a program fails, a
# program that is not the same twice, and what cannot be tried.
set -eu
here=$(dirname "$0")
explore=$PREFIX/$BINDIR/oa-explore
rm -rf "$1"
mkdir -p "$1"
unset OASYNC_LOG OASYNC_SIMULATE
"$CC" "$here/main.c" -I "$PREFIX/include" -L "$PREFIX/$LIBDIR" -loasync -o "$1/main"
export LD_LIBRARY_PATH="$PREFIX/$LIBDIR"

# told TEXT STATUS COMMAND...: what it says last of all, and its exit status.
told() {
    text=$1
    expected=$2
    shift 2
    status=0
    said=$("$@" 2>&1) || status=$?
    case $status:$said in
    "$expected:"*"$text"*) ;;
    *)
        echo "$*: exit status $status instead of $expected, or not told: $text"
        echo "$said"
        exit 1
        ;;
    esac
}

script() {
    printf '#!/bin/sh\n%s\n"%s"\n' "$2" "$1/main" >"$1/program"
    chmod +x "$1/program"
}

told 'seeds 1 to 3: none failed' 0 "$explore" -n 3 "$1/main"
told 'seeds 7 to 8: none failed' 0 "$explore" -r -f 7 -n 2 "$1/main"
script "$1" '[ "$OASYNC_SIMULATE" != 4 ] || exit 3'
told 'seed 4: exit status 3' 1 "$explore" "$1/program"
(cd "$1" && told 'again: OASYNC_SIMULATE=4 ./program' 1 "$explore" ./program)
script "$1" 'echo "oasync: error: planted" >&2'
told 'seed 1: it has logged an error' 1 "$explore" "$1/program"
script "$1" 'kill -9 $$'
told 'seed 1: killed by signal 9' 1 "$explore" "$1/program"
script "$1" 'sleep 20'
told 'seed 1: it still ran after 1 s' 1 "$explore" -t 1 "$1/program"
script "$1" "if mkdir '$1/again' 2>/dev/null; then exec env OASYNC_SIMULATE=9 '$1/main'; else rmdir '$1/again'; fi"
told 'seed 1: the second run was another one' 1 "$explore" -r -n 1 "$1/program"
told 'has run no simulation' 2 "$explore" true
told '' 2 "$explore" "$1/missing"
told 'PROGRAM' 2 "$explore"
