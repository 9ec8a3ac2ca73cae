#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# mutate.sh - breaks the sources on purpose and demands that a model notices.
#
#     mutate.sh RECIPES PROGRAM FILE.mut [NAME]
#
# RECIPES is the folder in which CMake leaves PROGRAM.recipe for each model program: how to build it, and what it has
# built. Each entry of FILE.mut (or only the one called NAME) is applied to a copy of its file, what that changes is
# compiled, and the program has to fail (exit 1). Fails if a mutation survives, if one marked equivalent is killed, if
# its text is not found exactly once, or if the result does not compile. Needs sh, awk and sed.
#
# FILE.mut: entries separated by blank lines; # begins a comment. Several find or replace lines make several lines.
#     mutation: NAME
#     file: PATH                from the project's root; a header of src or include will do
#     find: TEXT                part of a line, or whole lines
#     occurrence: N             if TEXT is there more than once
#     replace: TEXT
#     by: PROGRAM [ARGUMENTS]   who must kill it, if not PROGRAM with no arguments
#     equivalent: REASON        it must survive, as it breaks nothing
set -eu

fail() { echo "mutate.sh: $*" >&2; exit 2; }

# Writes one folder per entry under $2, with one file per field.
parse() {
    mkdir -p "$2"
    awk -v out="$2" '
        function field(name, text) {
            path = out "/" n "/" name
            if (seen[n, name]++) printf "\n%s", text >> path; else printf "%s", text > path
        }
        /^#/ { next }
        /^[ \t]*$/ { open_entry = 0; next }
        {
            colon = index($0, ":"); key = substr($0, 1, colon - 1); text = substr($0, colon + 1)
            sub(/^ /, "", text)
            if (key == "mutation") { n = sprintf("%03d", ++count); system("mkdir -p \"" out "/" n "\"")
                open_entry = 1 }
            else if (!open_entry) { print "line " NR ": not in an entry: " $0 > "/dev/stderr"; exit 1 }
            if (key !~ /^(mutation|file|find|replace|occurrence|by|equivalent)$/) {
                print "line " NR ": unknown field: " $0 > "/dev/stderr"; exit 1 }
            field(key, text)
        }' "$1" || fail "$1 cannot be read"
}

# Applies the entry in folder $1 to the file $2, result to $3.
apply() {
    touch "$1/replace"
    MUTATE_FIND="$1/find" MUTATE_REPLACE="$1/replace" awk -v wanted="$(cat "$1/occurrence" 2>/dev/null || echo 0)" '
        function slurp(path, text, line, first) {
            first = 1
            while ((getline line < path) > 0) { text = text (first ? "" : "\n") line; first = 0 }
            return text
        }
        BEGIN { find = slurp(ENVIRON["MUTATE_FIND"]); with = slurp(ENVIRON["MUTATE_REPLACE"]) }
        { text = text $0 "\n" }
        END {
            rest = text
            while ((at = index(rest, find)) > 0) {
                count++; done = done substr(rest, 1, at - 1)
                done = done (count == wanted || wanted == 0 ? with : find)
                rest = substr(rest, at + length(find))
            }
            if (count == 0 || (wanted == 0 && count != 1) || wanted > count) {
                print "found " count + 0 " times" > "/dev/stderr"; exit 1 }
            printf "%s%s", done, rest
        }' "$2" > "$3"
}

# compile SOURCE MORE-FLAGS - $tree has the one file that differs, and comes first.
compile() {
    at=$root
    [ ! -f "$tree/$1" ] || at=$tree
    # The flags are words, the paths in them may have spaces.
    eval "$compiler -I'$tree/src' -I'$tree/include' $(echo "$flags" | sed "s|@ROOT@|'$root'|g")" \
        "-iquote '$root/${1%/*}' -g1 -w '$at/$1' $2"
}

# Whether the entry's file is part of SOURCE.
changes() {
    case $file in
    "$1") true ;;
    *.h) compile "$1" -MM | sed 's/\\\([ #]\)/\1/g' | grep -qF "$tree/$file" ;; # make's way with spaces
    *) false ;;
    esac
}

# The object that CMake has made of the Nth source, which is $2.
base_object() {
    base=$(echo "$objects" | sed -n "$1p")
    case $base in *"/${2##*/}.o") [ -f "$base" ] ;; *) false ;; esac || { echo "no object of $2"; return 1; }
}

# Builds the program with the entry in folder $1; prints where it is.
build() {
    tree=$1/tree file=$(cat "$1/file")
    [ -f "$root/$file" ] || { echo "no file $file"; return 1; }
    mkdir -p "$tree/$(dirname "$file")" "$1/objects"
    apply "$1" "$root/$file" "$tree/$file" || return 1
    linked= n=0 changed=0
    for source in $sources; do
        n=$((n + 1))
        base_object $n "$source" || return 1
        object=$base
        if changes "$source"; then
            changed=$((changed + 1))
            object=$1/objects/$n.o
            compile "$source" "-c -o '$object'" || { echo "does not compile"; return 1; }
        fi
        linked="$linked '$object'"
    done
    [ $changed -gt 0 ] || { echo "$file is part of no source"; return 1; }
    eval "$compiler -o '$1/program' $linked '$engine'"
}

# One entry, in folder $1. Leaves its verdict in $1/verdict: ok or what is wrong.
one() {
    by=$(cat "$1/by" 2>/dev/null || echo "$program")
    program=${by%% *} arguments=${by#"$program"}
    . "$recipes/$program.recipe"
    if ! build "$1" > "$1/log" 2>&1; then
        verdict="ERROR ($(tail -n 1 "$1/log"))"
    else
        status=0
        timeout 600 "$1/program" --first $arguments > "$1/log" 2>&1 || status=$?
        if [ $status -gt 1 ]; then verdict="ERROR (exit status $status)"
        elif [ $status -eq 1 ] && [ -e "$1/equivalent" ]; then verdict="ERROR (killed, but marked equivalent)"
        elif [ $status -eq 0 ] && [ ! -e "$1/equivalent" ]; then verdict="SURVIVED"
        elif [ $status -eq 0 ]; then verdict="ok, equivalent"
        else verdict="ok, killed: $(grep -m 1 '^FAILED' "$1/log" | cut -c 8-120)"
        fi
    fi
    echo "$verdict" > "$1/verdict"
    echo "$(cat "$1/mutation"): $verdict"
    case $verdict in ERROR*) sed 's/^/    /' "$1/log" | tail -n 12 ;; esac
    rm -rf "$1/tree" "$1/objects" "$1/program"
}

[ $# -ge 3 ] || fail "usage: mutate.sh RECIPES PROGRAM FILE.mut [NAME]"
recipes=$(cd "$1" && pwd) program=$2 mutations=$3 only=${4:-}
[ -f "$recipes/$program.recipe" ] || fail "no recipe for $program in $recipes"
work=$recipes/mutants-$(basename "$mutations" .mut)
rm -rf "$work"
parse "$mutations" "$work/entries"
for entry in "$work"/entries/*; do
    if [ -n "$only" ] && [ "$(cat "$entry/mutation")" != "$only" ]; then rm -r "$entry"; fi
done
for name in $program $(awk 1 "$work"/entries/*/by 2>/dev/null | sed 's/ .*//' | sort -u); do
    [ -f "$recipes/$name.recipe" ] || fail "no recipe for $name in $recipes"
done
for entry in "$work"/entries/*; do
    [ -d "$entry" ] || fail "$mutations: no such mutation"
    (one "$entry")
done
total=$(ls "$work/entries" | wc -l)
good=$(cat "$work"/entries/*/verdict | grep -c '^ok' || true)
killed=$(cat "$work"/entries/*/verdict | grep -c '^ok, killed' || true)
echo "$total mutations, $killed killed, $((good - killed)) equivalent, $((total - good)) wrong"
[ "$total" -gt 0 ] && [ "$good" -eq "$total" ]
