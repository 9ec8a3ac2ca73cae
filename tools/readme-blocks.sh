#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# readme-blocks.sh README OUTDIR - cuts the programs out of a text.
#
# A ```c block that has an "int main" becomes OUTDIR/N.c (counted from 1); a ```text block before the next ```c block is
# what it prints, OUTDIR/N.out. The names N are printed, one per line. No program at all is an error.
set -eu
readme=$1
out=$2
rm -rf "$out"
mkdir -p "$out"
awk -v out="$out" '
    function finish() {
        if (kind == "c") {
            program = text ~ /int main\(/
            if (program) {
                name = ++count
                # Compiler messages point into the text.
                printf "#line %d \"%s\"\n%s", start + 1, FILENAME, text > (out "/" name ".c")
                print name
            }
        } else if (kind == "text" && program) {
            printf "%s", text > (out "/" name ".out")
            program = 0
        }
    }
    /^```/ {
        if (inside) {
            finish()
            inside = 0
        } else {
            inside = 1
            start = NR
            kind = substr($0, 4)
            text = ""
        }
        next
    }
    inside { text = text $0 "\n" }
    END {
        if (inside) {
            print FILENAME ": a block is not closed" > "/dev/stderr"
            exit 1
        }
        if (!count) {
            print FILENAME ": no program found" > "/dev/stderr"
            exit 1
        }
    }' "$readme"
