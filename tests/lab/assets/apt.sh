# shellcheck shell=bash
# Sourced by the recipes that download Debian packages: apt of the nodes' root, in a throwaway layer over it.
work=$(mktemp -d "$OUT/.work.XXXX")
trap 'umount "$work/root" 2> /dev/null; rm -rf "$work"' EXIT
mkdir "$work"/{upper,overlay,root}
mount -t overlay overlay -o "lowerdir=$ASSET_ROOT,upperdir=$work/upper,workdir=$work/overlay" "$work/root"
cp -L /etc/resolv.conf "$work/root/etc/resolv.conf"
mkdir "$work/root/empty"
: > "$work/root/empty/status"
# From wherever this machine itself gets Debian's packages.
mirror=$(apt-get indextargets --format '$(SITE)' 'Identifier: Packages' 'Release: bookworm' 'Component: main' | head -n 1)
[ -n "$mirror" ] || { echo "this machine has no apt source of Debian 12 (bookworm, main), or no lists of it yet: apt-get update" >&2; exit 1; }
echo "deb $mirror bookworm main" > "$work/root/etc/apt/sources.list"
in_apt() { chroot "$work/root" apt-get -y -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=3 "$@"; }
in_apt update

# download PACKAGE…: with all they need that the root lacks. What apt only recommends stays away; the recipe's files land
# in /var/cache/apt/archives of the layer.
download() { in_apt install --download-only --no-install-recommends "$@"; }
# download_whole PACKAGE…: the same for an empty system.
download_whole() { download -o Dir::State::status=/empty/status "$@"; }
archives=$work/root/var/cache/apt/archives
