#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# readme-packages.sh - the README's install line names what tools/setup.sh installs, no more and no less.
set -eu
cd "$(dirname "$0")/.."
sorted() {
    tr ' ' '\n' | grep -v '^-' | sort
}
told=$(sed -n 's/.*apt-get install \(.*\)/\1/p' README.md | head -n 1 | sorted)
installed=$(sh tools/setup.sh --list | sorted)
if [ "$told" != "$installed" ]; then
    echo "README.md names:" $told
    echo "setup.sh installs:" $installed
    exit 1
fi
