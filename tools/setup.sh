#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# setup.sh [docs | check | --list] - installs, on Debian 12, what is missing for `make demo` and `make test`; with `docs`,
# what `make docs` needs as well, with `check`, what `make check` does. --list prints the first set, the one the README
# names.
set -eu

packages='gcc libc6-dev make cmake'
case "${1:-}" in
--list)
    echo "$packages"
    exit
    ;;
docs)
    packages="$packages python3 doxygen"
    ;;
check)
    packages="$packages ninja-build g++ clang-19 libclang-rt-19-dev clang-format-19 valgrind gdb pkg-config
        qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross python3 doxygen mandoc man-db"
    ;;
esac

missing=
for package in $packages; do
    if ! dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$'; then
        missing="$missing $package"
    fi
done
if [ -z "$missing" ]; then
    exit 0
fi

as_root=
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "setup.sh: run as root: apt-get install --no-install-recommends$missing" >&2
        exit 1
    fi
    as_root=sudo
fi
echo "setup.sh: installing$missing"
$as_root env DEBIAN_FRONTEND=noninteractive sh -ec '
    apt-get update -qq </dev/null
    apt-get install -y -qq --no-install-recommends "$@" </dev/null >/dev/null' sh $missing
