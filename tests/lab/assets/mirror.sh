# mirror.sh: the Debian packages that the program may install on nodes, with all they need, as a flat repository.
# uses: apt.sh
. "$(dirname "$0")/apt.sh"

download containerd runc docker.io haproxy keepalived conntrack socat ebtables ethtool ipset ipvsadm nfs-common open-iscsi \
  age chrony apt-transport-https ca-certificates curl gnupg jq bash-completion rsync xz-utils zstd python3-minimal
# These conflict with one another: each alone.
download systemd-timesyncd
download ntpsec
mv "$archives"/*.deb "$OUT/"
cd "$OUT"
apt-ftparchive packages . > Packages
gzip -k Packages
apt-ftparchive -o APT::FTPArchive::Release::Origin=lab -o APT::FTPArchive::Release::Suite=stable release . > "$work/Release"
mv "$work/Release" Release
