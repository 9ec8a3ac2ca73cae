#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# layers.sh [ROOT] - which room may include which. `layers.sh --self-test` plants one violation of each rule.
#
# The rules, one per line: the room, then what it may include beside itself and plain ISO C.
#   base          a whole room of src/
#   sched/wait.h  one header of a room
#   oasync        any public header; oasync/time.h: that one
#   <...>         a system header, with * for any rest
set -eu

rules='
base     <stdatomic.h>@base/atomic.h <sched.h>@base/lock.c <immintrin.h>
os       base oasync/time.h <*>
fiber    base os oasync/time.h <sanitizer/*> <valgrind/*> <immintrin.h>
sched    base os fiber oasync
sync     base os sched/wait.h sched/wait_hot.h@sync/chan.c sched/sched.h oasync
fork     base sched/wait.h sched/sched.h sync oasync
io       base os sched/wait.h sched/sched.h sync oasync
debug    base os sched/wait.h sched/sched.h oasync
roof     base os fiber sched sync fork io debug oasync
include  oasync
'
# What every room may include: ISO C without <stdatomic.h> and <threads.h>, and errno values.
iso='assert ctype errno inttypes limits stdalign stdarg stdbool stddef stdint stdio stdlib stdnoreturn string'

check() {
    (cd "$1" && find src include -name '*.[chS]' 2>/dev/null | sort | tr '\n' '\0' |
        xargs -0 awk -v rules="$rules" -v iso="$iso" '
        function glob(text, pattern) {
            if (pattern ~ /\*>$/) {
                pattern = substr(pattern, 1, length(pattern) - 2)
                return substr(text, 1, length(pattern)) == pattern
            }
            return text == pattern
        }
        # May `file` of `room` include `target` (room/header.h, oasync..., or <header>)?
        function allowed(room, file, target,    i, n, rule, words, parts) {
            if (target in plain) {
                return 1
            }
            if (target ~ /\.\./) {
                return 0 # it could lead anywhere
            }
            n = split(may[room], words, " ")
            for (i = 1; i <= n; i++) {
                rule = words[i]
                if (split(rule, parts, "@") == 2) {
                    if (parts[2] != file) {
                        continue
                    }
                    rule = parts[1]
                }
                if (glob(target, rule) || (rule !~ /^</ && index(target, rule "/") == 1)) {
                    return 1
                }
                if (rule == "oasync" && target == "oasync.h") {
                    return 1
                }
            }
            return room != "include" && index(target, room "/") == 1
        }
        BEGIN {
            n = split(rules, lines, "\n")
            for (i = 1; i <= n; i++) {
                if (split(lines[i], words, " ")) {
                    room = words[1]
                    may[room] = lines[i]
                    sub(/^ *[a-z]+ */, "", may[room])
                }
            }
            n = split(iso, words, " ")
            for (i = 1; i <= n; i++) {
                plain["<" words[i] ".h>"] = 1
            }
        }
        FNR == 1 {
            file = FILENAME
            sub(/^src\//, "", file)
            room = file ~ /\// ? substr(file, 1, index(file, "/") - 1) : "roof"
            if (!(room in may)) {
                print FILENAME ": a room without a rule: " room
                bad = 1
            }
        }
        /^[ \t]*#[ \t]*include/ {
            target = $0
            sub(/^[ \t]*#[ \t]*include[ \t]*/, "", target)
            if (target ~ /^</) {
                sub(/>.*/, ">", target)
                if (target ~ /^<oasync[.\/]/) {
                    target = substr(target, 2, length(target) - 2)
                }
            } else {
                sub(/^"/, "", target)
                sub(/".*/, "", target)
                if (target !~ /\// && target !~ /^oasync/) {
                    target = (room == "include" ? "oasync" : room) "/" target
                }
            }
            if (!allowed(room, file, target)) {
                print FILENAME ":" FNR ": " room " may not include " target
                bad = 1
            }
        }
        END { exit bad }' /dev/null)
}

# Tests of the public surface and examples see no internal header.
check_users() {
    (cd "$1" && ! grep -rnE '^[ 	]*#[ 	]*include[ 	]+"(\.\./)*(src/|(base|os|fiber|sched|sync|fork|io|debug)/)' \
        tests/api tests/stress examples --include='*.[ch]' 2>/dev/null)
}

self_test() {
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    good='src/base/atomic.h:<stdatomic.h> src/os/linux.c:<sys/mman.h> src/sync/mutex.c:"sched/wait.h"
        src/sync/mutex.c:"oasync/sync.h" src/runtime.c:"sched/worker.h" src/fiber/tsan.h:<sanitizer/tsan_interface.h>
        src/sched/task.c:"task.h" src/sched/task.c:<string.h> include/oasync.h:"oasync/task.h"'
    bad='src/base/list.h:<stdatomic.h> src/base/list.h:"os/os.h" src/os/linux.c:"sched/sched.h"
        src/sched/task.c:"sync/mutex.h" src/sched/task.c:<pthread.h> src/sync/mutex.c:"sched/worker.h"
        src/sched/task.c:<sanitizer/asan_interface.h> src/sched/task.c:<valgrind/valgrind.h>
        include/oasync/task.h:"sched/task.h" include/oasync/task.h:<pthread.h> src/attic/a.c:"base/list.h"
        src/sync/mutex.c:"../sched/worker.h" src/sync/mutex.c:"base/../sched/internal.h"'
    for case in $good $bad; do
        file=$folder/${case%%:*}
        rm -rf "$folder/src" "$folder/include"
        mkdir -p "$(dirname "$file")"
        printf '#include %s\n' "${case#*:}" >"$file"
        verdict=good
        check "$folder" >/dev/null || verdict=bad
        expected=bad
        case " $(echo $good) " in *" $case "*) expected=good ;; esac
        if [ $verdict != $expected ]; then
            echo "layers.sh: self-test: $case is $expected, found $verdict"
            exit 1
        fi
    done
}

if [ "${1:-}" = --self-test ]; then
    self_test
    exit
fi
root=${1:-$(dirname "$0")/..}
status=0
check "$root" || status=1
check_users "$root" || status=1
exit $status
