#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# lengths.sh - no function over 80 lines (from its name to its closing brace), no file over 800, no line of C over 100
# columns.
#
# A function begins in column 0 with a name and a parenthesis, its brace in column 0 or at the end of a line; it ends at
# the next brace in column 0. That is how tools/format.sh writes it.
set -eu
cd "$(dirname "$0")/.."
set --
for folder in src include examples tests bench; do
    [ -d "$folder" ] && set -- "$@" "$folder"
done
found=$(find "$@" \( -name '*.[chS]' -o -name '*.go' \) -exec awk '
    function last_file() {
        if (file != "" && lines > 800) {
            printf "%s: %d lines\n", file, lines
        }
    }
    FNR == 1 {
        last_file()
        file = FILENAME
        inside = 0
        start = 0
    }
    { lines = FNR }
    length($0) > 100 && FILENAME ~ /\.[ch]$/ { printf "%s:%d: %d columns\n", FILENAME, FNR, length($0) }
    /^[a-zA-Z_].*\(/ && !inside && !/^(else|typedef|struct|union|enum)[^(]*$/ {
        start = FNR
        name = $0
    }
    /^\{/ && start && !inside { inside = 1 }
    /^[a-zA-Z_].*\).*\{$/ && start == FNR && !/=/ { inside = 1 }
    /^[ \t].*\{$/ && start && !inside && start < FNR && /\)/ { inside = 1 }
    /;[ \t]*$/ && start && !inside { start = 0 }
    /^\}/ {
        if (inside && FNR - start + 1 > 80) {
            printf "%s:%d: %d lines: %s\n", file, start, FNR - start + 1, name
        }
        inside = 0
        start = 0
    }
    END { last_file() }' {} +)
if [ -n "$found" ]; then
    printf '%s\n' "$found"
    exit 1
fi
