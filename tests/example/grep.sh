#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# grep.sh - oagrep against GNU grep on trees made to be awkward: the same lines, counts, names and exit status.
#
# ctest: timeout=120
set -eu
LC_ALL=C
export LC_ALL
oagrep=$OA_EXAMPLE_DIR/oagrep
work=$(mktemp -d)
trap 'chmod -R u+rwx "$work" 2>/dev/null; rm -rf "$work"' EXIT
failures=0

fail() {
    echo "failed: $*"
    failures=$((failures + 1))
}

# Takes out of found.errors what Valgrind says of a system call that it does not know.
without_valgrind() {
    sed '/^--[0-9]*-- /d' "$work/found.errors" >"$work/found.rest"
    mv "$work/found.rest" "$work/found.errors"
}

# Runs oagrep; its status in $status, its output in $work/found and $work/found.errors.
run() {
    status=0
    $OA_LAUNCHER "$oagrep" "$@" >"$work/found" 2>"$work/found.errors" </dev/null || status=$?
    without_valgrind
}

# same ARGUMENTS: grep -rI and oagrep print the same lines, in whatever order, and end with the same status.
same() {
    expected=0
    grep -rI "$@" >"$work/expected" 2>"$work/expected.errors" </dev/null || expected=$?
    run "$@"
    [ "$status" -eq "$expected" ] || fail "$*: status $status, grep's is $expected"
    sort "$work/expected" >"$work/expected.sorted"
    sort "$work/found" >"$work/found.sorted"
    if ! cmp -s "$work/expected.sorted" "$work/found.sorted"; then
        fail "$*: other lines than grep"
        diff "$work/expected.sorted" "$work/found.sorted" | head -5
    fi
    sed 's/^grep: //' "$work/expected.errors" | sort >"$work/expected.sorted"
    sed 's/^oagrep: //' "$work/found.errors" | sort >"$work/found.sorted"
    if ! cmp -s "$work/expected.sorted" "$work/found.sorted"; then
        fail "$*: other messages than grep"
        diff "$work/expected.sorted" "$work/found.sorted" | head -5
    fi
}

cd "$work"
mkdir -p tree/b tree/a/deep/er "tree/with space" tree/empty "tree/new
line"
printf 'one foo\ntwo\nfoo foo\nFOO\nfo*o\nfoooo\n' >tree/a/text
printf 'foo without an end' >tree/a/deep/no-newline
: >tree/a/deep/er/empty
printf '\n\nfoo\n\n' >tree/b/blank
printf 'foo\0bar\nfoo\n' >tree/b/binary
printf 'foo.bar [x] ^y $z a\\b\naab abab a-b\ncaret ^foo\nx*y\n' >tree/b/special
printf 'foo\r\nbar\r\n\351foo\n' >tree/b/carriage
printf 'foo\n' >"tree/with space/a file"
printf 'foo\n' >"tree/new
line/odd
name"
printf 'foo\n' >tree/-c
printf 'foo\n' >tree/a.b
printf 'foo\n' >tree/a-b
printf '\n' >tree/only-newline
ln -s . tree/loop
ln -s ../a/text tree/b/link
ln -s nowhere tree/b/dangling
ln -s tree link-to-tree
ln -s tree/a/text link-to-file
mkfifo tree/b/fifo
# A line longer than any buffer, and more lines than fit in one.
awk 'BEGIN { for (i = 0; i < 200000; i++) printf "abcdefgh"; print "foo"; print "after foo" }' >tree/b/long
awk 'BEGIN { for (i = 0; i < 60000; i++) print "line", i, (i % 7 ? "bar" : "foo") }' >tree/b/many

for options in "" -c -l -n -i "-c -i" "-l -i" "-n -i" "-c -l" "-c -n" "-l -n"; do
    same $options foo tree
done
# Slow builds try each kind of pattern once, on a smaller tree.
several() {
    for pattern in "$@"; do
        same -c "$pattern" "$where"
        same -c -i "$pattern" "$where"
        same -n "$pattern" tree/a tree/b/special tree/b/blank
    done
}
case ${OA_TEST_UNDER:-native} in
native | debug)
    where=tree
    several 'f.o' 'foo$' '^$' '^' 'o\{2\}' 'o\{3,\}' 'x\*y' 'fo\*o' '*foo' '[^a-z ]' '[[:upper:]]' '[]x]' '\^y' '\$z' \
        'a\\b' '\bfoo\b' '\wo$' 'fo\?o' 'nothing at all' 'line [0-9]*5 ' 'ab\(ab\)*' 'a-b' 'x^y' 'a$b'
    ;;
*) where=tree/a ;;
esac
several 'fo*o' '^foo' '' '\(o\)\1' 'foo\|bar' '[f]oo' '\.bar \[x\]' '\<two\>' 'fo\+' '^caret \^foo$' 'foo
two'

# What stands on the command line.
same foo tree/a/text
same -c foo tree/a/text
same -l foo tree/a/text
same -n foo tree/a/text tree/b/blank
same foo tree/
same foo tree///
same -c foo ./tree//
same foo tree/a/text/
same foo ""
same -c foo link-to-tree
same -c foo link-to-file
same foo link-to-file tree/a
same -c foo tree/loop
same foo tree/b/binary
same -c foo tree/b/binary
same foo tree/empty
same foo missing
same foo missing tree/a
same nothing missing tree/a
same foo tree/b/dangling
same -c foo tree/a tree/a
same -c -- -c tree
same foo -c tree
same '\(' tree
same 'a\{1' tree
same '[a' tree
(cd tree && same -c foo . && same -c foo -- -c a.b)

# Standard input.
printf 'foo\nbar\n' >input
for arguments in "-c foo -" "-n foo - tree/a/text"; do
    expected=$(grep -rI $arguments <input | sort)
    found=$($OA_LAUNCHER "$oagrep" $arguments <input | sort)
    [ "$expected" = "$found" ] || fail "$arguments: standard input: $found"
done

# Named twice it is read once, by the first.
for round in 1 2 3 4 5 6 7 8 9 10; do
    found=$(awk 'BEGIN { for (i = 0; i < 60000; i++) print "line", i }' | $OA_LAUNCHER "$oagrep" -c 7 - -)
    [ "$found" = "(standard input):20634
(standard input):0" ] || fail "standard input twice: $found"
done

# The output is not searched while it is written.
cp -R tree/a output
status=0
$OA_LAUNCHER "$oagrep" foo output >output/out 2>"$work/found.errors" || status=$?
[ $status -eq 2 ] || fail "searching its own output: status $status"
grep -q 'output/out: input file is also the output' "$work/found.errors" || fail "searching its own output: no message"

# Unreadable files and directories; root reads everything, so it cannot see this.
printf 'foo\n' >tree/a/secret
mkdir tree/a/closed
printf 'foo\n' >tree/a/closed/file
chmod 000 tree/a/secret tree/a/closed
if [ "$(id -u)" -eq 0 ]; then
    chmod 755 "$work"
    if command -v setpriv >/dev/null && setpriv --reuid 65534 --clear-groups test -x "$oagrep" 2>/dev/null; then
        status=0
        setpriv --reuid 65534 --clear-groups $OA_LAUNCHER "$oagrep" -c foo tree/a >found 2>found.errors || status=$?
        without_valgrind
        setpriv --reuid 65534 --clear-groups grep -rI -c foo tree/a 2>/dev/null | sort >expected || :
        [ $status -eq 2 ] || fail "unreadable: status $status"
        sort found | cmp -s expected - || fail "unreadable: other counts than grep"
        [ "$(sed 's/^oagrep: //' found.errors)" = "tree/a/closed: Permission denied
tree/a/secret: Permission denied" ] || fail "unreadable: $(cat found.errors)"
    fi
else
    same -c foo tree/a
fi
chmod 755 tree/a/secret tree/a/closed

# The order: that of the command line, then that of the names' bytes, whatever ran first and on however many workers.
run -l foo tree/b tree/a
printf '%s\n' tree/b/blank tree/b/carriage tree/b/long tree/b/many tree/b/special tree/a/closed/file \
    tree/a/deep/no-newline tree/a/secret tree/a/text >expected
cmp -s expected found || fail "the order: $(cat found)"
run -n foo tree
cp found first
for workers in 1 2 3 8; do
    run -n -w $workers foo tree
    cmp -s first found || fail "$workers workers: another output"
done

# More output than is kept waiting: the file is put off and read again by the printer. One that proves binary at its end
# prints nothing.
if [ "${OA_TEST_SCALE:-100}" -ge 100 ]; then
    mkdir large
    yes 'foo bar' | head -c 40000000 >large/a
    yes foo | head -c 20000000 >large/b
    (yes foo | head -c 40000000; printf '\0') >large/c
    printf 'foo\n' >large/d
    $OA_LAUNCHER "$oagrep" foo large | cksum >found
    grep -I foo large/a large/b large/d | cksum >expected
    cmp -s expected found || fail "large outputs: other lines than grep"
    rm -r large
fi

# On a terminal the progress line wipes nothing that was printed: a slow terminal, files of no whole number of buffers.
if [ "${OA_TEST_SCALE:-100}" -ge 100 ] && command -v script >/dev/null; then
    mkdir slow
    for name in a b c d e f g h i j k l m n o p q r s t; do
        yes 'foo bar' | head -c 60000 >slow/$name
    done
    script -qec "$OA_LAUNCHER '$oagrep' foo slow" /dev/null </dev/null | while
        dd bs=16384 count=4 iflag=fullblock status=none >piece
        [ -s piece ]
    do
        cat piece
        sleep 0.04
    done >found
    awk 'BEGIN { split("", line) }
        {
            sub(/\r$/, "")
            n = split($0, line, "\r\033\\[K")
            for (i = 1; i <= n; i++)
                if (line[i] !~ /^(slow\/[a-t]:foo bar)?$/ && line[i] !~ /^[0-9]+ files, [0-9.]+ MB$/)
                    print "damaged: " line[i]
        }' found >damaged
    [ -s damaged ] && fail "the progress line: $(head -3 damaged)"
    rm -r slow
fi

# A path longer than the kernel takes at once.
(
    name=$(printf '%0200d' 0)
    for i in $(seq 25); do
        mkdir "$name"
        cd -P "$name"
    done
    printf 'foo\n' >end
) && same -c foo "$(printf '%0200d' 0)"

# Options and their errors.
for arguments in "" "foo" "-x foo tree" "-w 0 foo tree" "-w x foo tree" "-w -1 foo tree" "-w" "--bad foo tree"; do
    run $arguments
    [ $status -eq 2 ] || fail "arguments '$arguments': status $status"
    [ -s found.errors ] || fail "arguments '$arguments': no message"
done
run --help
[ $status -eq 0 ] || fail "--help: status $status"
run --stats foo tree
grep -q '^[0-9]* files, [0-9]* directories, .* [0-9]* lines selected' found.errors || fail "--stats: $(cat found.errors)"
run foo tree
[ -s found.errors ] && fail "messages without a terminal: $(cat found.errors)"
if [ -w /dev/full ]; then
    status=0
    $OA_LAUNCHER "$oagrep" foo tree >/dev/full 2>found.errors || status=$?
    [ $status -eq 2 ] || fail "a full device: status $status"
fi

[ $failures -eq 0 ]
