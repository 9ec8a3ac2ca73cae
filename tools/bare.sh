#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# bare.sh - what a stranger with a bare Debian 12 sees: a fresh system in build/bare, a clone of HEAD in a folder whose path
# has a space, the README's install line as root, then `make demo` and `make test` as an ordinary user. As root; needs
# debootstrap. The system comes from wherever this machine's own apt gets its packages.
set -eu
cd "$(dirname "$0")/.."
suite=bookworm
bare=$PWD/build/bare
root=$bare/root
line=$(sed -n 's/^.*\(apt-get install .*\)$/\1/p' README.md | head -n 1)
[ -n "$line" ] || { echo "bare.sh: README.md has no apt-get install line"; exit 1; }
mkdir -p "$bare"

# The minimal system is kept as an archive: later runs unpack it.
if [ ! -f "$bare/system.tar" ]; then
    eval "$(apt-config shell http_proxy Acquire::http::Proxy)"
    export http_proxy
    mirror=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $suite" | sed -n 1p)
    system=$(mktemp -d) # debootstrap cannot work in a path with a space
    trap 'rm -rf "$system"' EXIT
    chmod 755 "$system"
    debootstrap --variant=minbase "$suite" "$system" "$mirror"
    if [ -n "${http_proxy:-}" ]; then
        echo "Acquire::http::Proxy \"$http_proxy\";" >"$system/etc/apt/apt.conf.d/99proxy"
    fi
    tar -C "$system" -cf "$bare/system.tar.part" .
    mv "$bare/system.tar.part" "$bare/system.tar"
fi

rm -rf "$root"
mkdir -p "$root"
tar -C "$root" -xf "$bare/system.tar"
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
mkdir -p "$root/home/user/a folder"
git clone --quiet --no-hardlinks . "$root/home/user/a folder/oasync"
chown -R 1000:1000 "$root/home/user"

# A mount namespace of its own: whatever happens, nothing stays mounted.
unshare --mount --propagation private bash -eu -s "$root" "$line" <<'END'
root=$1
line=$2
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
run() {
    echo "== $*"
    start=$SECONDS
    "$@" </dev/null
    echo "== $((SECONDS - start)) s"
}
as_user() {
    run chroot --userspec=1000:1000 "$root" env -i HOME=/home/user PATH=/usr/bin:/bin \
        sh -ec 'cd "/home/user/a folder/oasync" && exec "$@"' sh "$@"
}
run chroot "$root" apt-get update -qq
run chroot "$root" env DEBIAN_FRONTEND=noninteractive sh -c "${line/install/install -y -qq} >/dev/null"
as_user make demo
as_user make test
END
rm -rf "$root"
echo "bare.sh: passed"
