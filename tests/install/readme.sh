# SPDX-License-Identifier: BSD-2-Clause
# readme.sh BLOCK: builds BLOCK.c against the installed headers and library, runs it, compares with BLOCK.out if it is there.
set -eu
block=$1
"$CC" -std=gnu11 -O2 -Wall -Wextra -Werror "$block.c" -I "$PREFIX/include" -L "$PREFIX/$LIBDIR" -loasync -o "$block"
LD_LIBRARY_PATH="$PREFIX/$LIBDIR" "$block" >"$block.got" </dev/null
if [ -f "$block.out" ]; then
    diff -u "$block.out" "$block.got"
fi
