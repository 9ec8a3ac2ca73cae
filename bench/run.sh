#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# run.sh [BUILD [PART...]] - runs the benchmarks of a build folder beside the same in Go, and judges them.
#
#   PART     core, scale, skynet, consume, fair, memory; none: all
#   ROUNDS   of core, skynet, consume and fair, in which C and Go take turns; 11 unless told
#   GO       the go command; without one, or without its compiler, the columns of Go stay empty
#
# Exit status: 0, 1 when a limit is missed, 2 when something could not be run.
set -eu
bench=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${1:-$bench/../build/release}" && pwd)
[ $# -eq 0 ] || shift
parts=${*:-core scale skynet consume fair memory}
rounds=${ROUNDS:-11}
go=${GO:-go}
programs=$build/bench
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 2' INT TERM

go_program=
if command -v "$go" >/dev/null 2>&1 && (cd "$bench/go" && "$go" build -o "$programs/peer" .); then
    go_program=$programs/peer
else
    echo "run.sh: no Go, its columns stay empty" >&2
fi

# peer ARGUMENT...: runs the Go program, if there is one.
peer() {
    [ -z "$go_program" ] || "$go_program" "$@"
}

# take_turns PROGRAM [ARGUMENT]: rounds of it and of the same in Go, in turn, into $work/c and $work/go.
take_turns() {
    : >"$work/c" >"$work/go"
    i=0
    while [ $i -lt "$rounds" ]; do
        "$programs/$1" ${2:+"$2"} >>"$work/c"
        peer "$@" >>"$work/go"
        i=$((i + 1))
    done
}

# verdict FIGURE VALUE UNIT OPERATOR LIMIT [REMARK]: a line of the tables without multiples.
verdict() {
    awk -v name="$1" -v value="$2" -v unit="$3" -v op="$4" -v limit="$5" -v remark="${6:-}" 'BEGIN {
        ok = op == "<=" ? value + 0 <= limit + 0 : value + 0 >= limit + 0
        printf "%-36s %10s %-6s %s %-8s %-5s %s\n", name, value, unit, op, limit,
            ok ? "pass" : "FAIL", remark
        exit !ok
    }' || echo "$1" >>"$work/missed"
}

# median COLUMN FILE
median() {
    awk -v column="$1" '{ print $column }' "$2" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

heading() {
    printf '\n%s\n' "$1"
}

# ---- Core: multiples of an atomic add -----------------------------------------------------------

# Name in the programs, name in the table, limit of the multiple ("-": not judged).
core_figures='
spawn        spawn+complete,_batches_of_1,000   6
spawn-group  the_same,_waiting_for_a_group      -
yield        yield_between_two                  5
mutex        free_mutex,_lock+unlock            3
chan         unbuffered_channel,_round_trip     24
join         spawn+join                         15
'

core() {
    take_turns core
    heading "One worker: ns an operation, multiples of an atomic add, medians of $rounds rounds"
    echo "$core_figures" | awk -v c="$work/c" -v go="$work/go" -v missed="$work/missed" '
        function median(list, n,    i, j, t) {
            for (i = 2; i <= n; i++) {
                t = list[i]
                for (j = i - 1; j > 0 && list[j] > t; j--)
                    list[j + 1] = list[j]
                list[j + 1] = t
            }
            return list[int((n + 1) / 2)]
        }
        # The medians of a figure in a file of rounds: ns, multiple, ns of the serial version.
        function read(file, name,    line, word, n, ns, times, plain) {
            n = 0
            while ((getline line < file) > 0) {
                split(line, word, " ")
                if (word[1] != name)
                    continue
                n++
                ns[n] = word[2]
                times[n] = word[2] / word[3]
                plain[n] = word[4]
                adds[++all] = word[3]
            }
            close(file)
            m_ns = m_times = m_plain = 0
            if (n) {
                m_ns = median(ns, n)
                m_times = median(times, n)
                m_plain = median(plain, n)
            }
        }
        BEGIN {
            printf "%-36s %8s %8s %6s  %-5s %8s %9s %9s\n", "", "ns", "multiple", "limit", "",
                "plain C", "Go: ns", "multiple"
        }
        NF == 3 {
            gsub("_", " ", $2)
            read(c, $1)
            verdict = $3 == "-" ? "" : m_times <= $3 ? "pass" : "FAIL"
            if (verdict == "FAIL")
                print $2 >>missed
            printf "%-36s %8.1f %8.2f %6s  %-5s %8.1f", $2, m_ns, m_times, $3, verdict, m_plain
            read(go, $1)
            if (m_ns)
                printf " %9.1f %9.2f", m_ns, m_times
            printf "\n"
        }
        END { printf "(an atomic add: %.2f ns)\n", median(adds, all) }'
}

# ---- Two workers ------------------------------------------------------------------------------------

scale() {
    heading "Two workers"
    "$programs/scale" work >"$work/out"
    read -r one two plain ratio threads <"$work/out"
    verdict "10,000 tasks of 50 us, 2 workers to 1" "$ratio" times ">=" 1.7 \
        "($one and $two ms; a plain loop $plain; two plain threads: $threads times$(
            awk -v t="$threads" 'BEGIN { if (t < 1.8) printf ", so others used the machine" }'
        ))"
    "$programs/scale" empty >"$work/out"
    read -r one two plain ratio threads <"$work/out"
    verdict "empty tasks by 1,000, 2 workers to 1" "$ratio" times "<=" 3 \
        "(a million: $one and $two ms; called $plain)"
    "$programs/scale" begin >"$work/out"
    read -r middle worst <"$work/out"
    verdict "a child begins beside its parent" "$middle" us "<=" 1000 "(median of 100; worst $worst)"
}

skynet() {
    heading "Skynet, a million leaves over channels, medians of $rounds rounds"
    for workers in 1 2; do
        take_turns skynet $workers
        remark="($(median 1 "$work/c") ms; by recursion $(median 4 "$work/c")"
        [ ! -s "$work/go" ] ||
            remark="$remark; Go $(median 1 "$work/go") ms, $(median 2 "$work/go") MiB"
        verdict "stacks at the peak, workers: $workers" "$(sort -n -k2 "$work/c" | awk 'END { print $2 }')" "" \
            "<=" 10000 "$remark)"
        verdict "memory at the peak, workers: $workers" "$(sort -n -k3 "$work/c" | awk 'END { print $3 }')" \
            MiB "<=" 256
    done
}

consume() {
    heading "Four producers, a million elements each, into one consumer, medians of $rounds rounds"
    for workers in 1 2; do
        take_turns consume $workers
        time=$(median 1 "$work/c")
        remark="($time ns an element; called $(median 2 "$work/c")"
        if [ -s "$work/go" ]; then
            go_time=$(median 1 "$work/go")
            verdict "time of Go to ours, workers: $workers" "$(echo "$go_time $time" | awk '{ printf "%.2f", $1 / $2 }')" \
                times ">=" 3 "$remark; Go $go_time)"
        else
            echo "an element, workers: $workers: $remark)"
        fi
    done
}

fair() {
    heading "Eight tasks and one lock on two workers, medians of $rounds rounds"
    for lock in mutex rwlock; do
        take_turns fair $lock
        time=$(median 1 "$work/c")
        remark="($time ms; without a lock $(median 3 "$work/c")"
        share=
        if [ -s "$work/go" ]; then
            go_time=$(median 1 "$work/go")
            share="(Go $(median 2 "$work/go"))"
            verdict "time to Go's, $lock" "$(echo "$time $go_time" | awk '{ printf "%.2f", $1 / $2 }')" \
                times "<=" 1.2 "$remark; Go $go_time)"
        else
            echo "time, $lock: $remark)"
        fi
        verdict "the slowest when the first is done" "$(median 2 "$work/c")" "" ">=" 0.5 "$share"
    done
}

# ---- Memory -----------------------------------------------------------------------------------------

memory() {
    heading "Memory: resident and page tables"
    tasks=1000000
    "$programs/memory" parked $tasks >"$work/out"
    read -r spawned each woken resident tables park wake <"$work/out"
    remark="($park s to park, $wake s to wake"
    [ -z "$go_program" ] || remark="$remark; Go $(peer parked $tasks) bytes"
    verdict "a million parked tasks, each" "$each" bytes "<=" 4900 "$remark)"
    verdict "of them woken" "$woken" "" ">=" "$spawned"
    verdict "resident 2 s after their end" "$resident" MiB "<=" 64
    verdict "page tables 2 s after their end" "$tables" MiB "<=" 64
    "$programs/memory" delayed 10000000 >"$work/out"
    read -r spawned each spawn drop <"$work/out"
    verdict "ten million delayed tasks, each" "$each" bytes "<=" 200 \
        "($spawn s to spawn, $drop s to drop)"
}

: >"$work/missed"
for part in $parts; do
    case $part in
    core | scale | skynet | consume | fair | memory) $part ;;
    *)
        echo "run.sh: no part $part" >&2
        exit 2
        ;;
    esac
done
if [ -s "$work/missed" ]; then
    printf '\nLimits missed:\n'
    sed 's/^/  /' "$work/missed"
    exit 1
fi
printf '\nAll limits kept.\n'
