#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# format.sh [-i] - checks that the C files are formatted as .clang-format has it; with -i, formats them.
set -eu
cd "$(dirname "$0")/.."
if [ "${1:-}" = -i ]; then
    set -- -i
else
    set -- --dry-run -Werror
fi
for folder in src include examples tests bench; do
    [ ! -d "$folder" ] || find "$folder" -name '*.[ch]' -exec clang-format-19 "$@" {} +
done
