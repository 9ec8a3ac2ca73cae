#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# no_bare_atomics.sh - fails if an object file holds atomic instructions: the checker would not see them.
#
#     no_bare_atomics.sh OBJECT...
bad=0
for object; do
    found=$(objdump -d --no-show-raw-insn "$object" | grep -E '\block |\bxchg .*\(|\bmfence|\bcmpxchg')
    if [ -n "$found" ]; then
        echo "$object: atomic instructions that are no calls into the checker (an order that is no constant?)" >&2
        echo "$found" >&2
        bad=1
    fi
done
exit $bad
