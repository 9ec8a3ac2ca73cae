#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# docs.sh OUTDIR - makes the reference from the public headers: OUTDIR/man (section 3) and OUTDIR/html (Doxygen).
# docs.sh check [--self-test] - every public call says all that its caller has to know (tools/docs/check.py).
#
# A warning of Doxygen, man or mandoc is an error. mandoc and man are asked where they are installed; in CI they must be.
set -eu
export PYTHONDONTWRITEBYTECODE=1
if [ "${1:-}" = check ]; then
    shift
    exec python3 "$(dirname "$0")/docs/check.py" "$@"
fi
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
for tool in python3 doxygen ${OA_REQUIRE_TOOLS:+mandoc man}; do
    if ! command -v $tool >/dev/null; then
        echo "docs.sh: $tool is missing; sh tools/setup.sh docs installs it" >&2
        exit 1
    fi
done
rm -rf "$out/man" "$out/html"
python3 tools/docs/man.py . "$out/man"
version=$(sed -n 's/^#define OA_VERSION "\(.*\)"/\1/p' include/oasync.h)
{
    cat tools/docs/Doxyfile
    printf 'PROJECT_NUMBER = %s\nOUTPUT_DIRECTORY = "%s"\n' "$version" "$out"
} | doxygen -

# Aliases (.so) have nothing to look at.
cd "$out/man/man3"
pages=$(grep -L '^\.so' ./*.3)
if command -v mandoc >/dev/null; then
    for page in $pages; do
        mandoc -T lint -W warning "$page"
    done
fi
if command -v man >/dev/null; then
    warnings=$(for page in $pages; do man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null; done)
    if [ -n "$warnings" ]; then
        echo "$warnings"
        exit 1
    fi
fi
echo "$out: $(echo "$pages" | wc -l) man pages, $(ls "$out/html" | grep -c '\.html$') HTML files"
