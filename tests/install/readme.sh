# SPDX-License-Identifier: BSD-2-Clause
# readme.sh BLOCK: builds BLOCK.c against the installed headers and library, runs it, compares with BLOCK.out if it is there.
# Where there is a BLOCK.console, its commands are run instead, in a folder in which the program has its name, and what they
# print is compared with what stands below them.
set -eu
block=$1
unset OASYNC_LOG OASYNC_SIMULATE OASYNC_WORKERS
"$CC" -std=gnu11 -O2 -Wall -Wextra -Werror "$block.c" -I "$PREFIX/include" -L "$PREFIX/$LIBDIR" -loasync -o "$block"
export LD_LIBRARY_PATH="$PREFIX/$LIBDIR"

commands() {
    name=$(sed -n 's|^// \([a-z_]*\)\.c.*|\1|p; 2q' "$block.c")
    mkdir -p "$block.folder"
    cp "$block" "$block.folder/$name"
    cd "$block.folder"
    export PATH="$PREFIX/$BINDIR:$PATH"
    sed -n 's/^\$ //p' "$block.console" | while IFS= read -r command; do
        printf '$ %s\n' "$command"
        sh -c "$command" </dev/null 2>&1 || : # many shall fail, and tell so
    done
}

if [ -f "$block.console" ]; then
    commands >"$block.got"
    diff -u "$block.console" "$block.got"
    exit
fi
"$block" >"$block.got" </dev/null
if [ -f "$block.out" ]; then
    diff -u "$block.out" "$block.got"
fi
