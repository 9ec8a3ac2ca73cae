#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# exports.sh LIBRARY.so - the shared library exports oa_ names only, links libc only, and no stack of it is executable.
set -eu
library=$1
status=0

# The version node (type A) is the only other name; --defined-only still lists it.
others=$(nm -D --defined-only "$library" | awk '$2 != "A" && $3 !~ /^oa_/')
if [ -n "$others" ]; then
    printf '%s exports more than oa_:\n%s\n' "$library" "$others"
    status=1
fi
if ! nm -D --defined-only "$library" | grep -q ' T oa_'; then
    echo "$library exports nothing"
    status=1
fi
needed=$(readelf -d "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -vE '^(libc\.so\.6|ld-linux-.*)$' || true)
if [ -n "$needed" ]; then
    printf '%s needs more than libc:\n%s\n' "$library" "$needed"
    status=1
fi
if ! readelf -lW "$library" | grep 'GNU_STACK' | grep -q ' RW '; then
    echo "$library wants an executable stack (a .S file without .note.GNU-stack?)"
    status=1
fi
if ! readelf -d "$library" | grep -qE 'BIND_NOW|NOW'; then
    echo "$library is bound lazily"
    status=1
fi
exit $status
