#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# readme-blocks.sh README OUTDIR - cuts the programs out of a text.
#
# A ```c block that has an "int main" becomes OUTDIR/N.c (counted from 1); a ```text block before the next ```c block is
# what it prints, OUTDIR/N.out. All ```console blocks before the next program are commands that are run with it instead,
# each behind a "$ ", and what they print: OUTDIR/N.console. Such a program begins with a line "// NAME.c", and that is what
# it is called. The names N are printed, one per line. No program at all is an error.
set -eu
readme=$1
out=$2
rm -rf "$out"
mkdir -p "$out"
awk -v out="$out" '
    function fail(line, why) {
        printf "%s:%d: %s\n", FILENAME, line, why > "/dev/stderr"
        failed = 1
        exit 1
    }
    function finish() {
        if (kind == "c") {
            program = text ~ /int main\(/
            if (program) {
                name = ++count
                named = text ~ /^\/\/ [a-z_]+\.c[ \n]/
                split(text, words, /[ \n]/)
                # Compiler messages point into the text; what a named program tells of its lines, into that.
                printf "#line %d \"%s\"\n%s", named ? 1 : start + 1, named ? words[2] : FILENAME, \
                    text > (out "/" name ".c")
                print name
            }
        } else if (kind == "text" && program) {
            printf "%s", text > (out "/" name ".out")
            program = 0
        } else if (kind == "console") {
            if (!named) {
                fail(start, "commands that are run with no program, or with one that has no name")
            }
            if (text !~ /^\$ /) {
                fail(start, "a console block has to begin with a command")
            }
            printf "%s", text > (out "/" name ".console")
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
        if (failed) {
            exit 1
        }
        if (inside) {
            print FILENAME ": a block is not closed" > "/dev/stderr"
            exit 1
        }
        if (!count) {
            print FILENAME ": no program found" > "/dev/stderr"
            exit 1
        }
    }' "$readme"
