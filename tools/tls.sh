#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# tls.sh - thread-local storage has one home, src/sched/self.c or self.h. Anywhere else a compiler may keep the address
# of the old thread's variable across a switch.
set -eu
cd "$(dirname "$0")/.."
found=$(find src -name '*.[chS]' ! -path src/sched/self.c ! -path src/sched/self.h -exec awk '
    {
        sub(/\/\/.*/, "")
        if (/_Thread_local|__thread|thread_local/) {
            print FILENAME ":" FNR ": " $0
        }
    }' {} +)
if [ -n "$found" ]; then
    printf 'thread-local storage outside src/sched/self.[ch]:\n%s\n' "$found"
    exit 1
fi
