# packages.sh VERSION CRI-TOOLS KUBERNETES-CNI: a signed repository with the layout and the packages of pkgs.k8s.io.
version=$1 cri_tools=$2 cni=$3
minor=${version%.*}
programs=ASSET_KUBERNETES_${version//./_}
programs=${!programs}
repository=$OUT/core:/stable:/v$minor/deb
work=$(mktemp -d "$OUT/.work.XXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$repository/amd64"

# pack NAME VERSION DEPENDS: of the tree $work/NAME
pack() {
  mkdir -p "$work/$1/DEBIAN"
  cat > "$work/$1/DEBIAN/control" << CONTROL
Package: $1
Version: $2
Architecture: amd64
Maintainer: lab <lab@localhost>
Section: admin
Priority: optional
Depends: $3
Description: $1, built for the lab
CONTROL
  # Barely compressed: unpacking it is what the tests wait for.
  dpkg-deb -Zgzip -z1 --root-owner-group --build "$work/$1" "$repository/amd64"
}
system=usr/lib/systemd/system
mkdir -p "$work"/{kubeadm,kubectl,kubelet,cri-tools}/usr/bin "$work/kubelet/$system" \
  "$work/kubeadm/$system/kubelet.service.d" "$work/kubelet/etc/kubernetes/manifests" "$work/kubernetes-cni/opt/cni/bin"
cp "$(dirname "$0")/packages/kubelet.service" "$work/kubelet/$system/"
cp "$(dirname "$0")/packages/10-kubeadm.conf" "$work/kubeadm/$system/kubelet.service.d/"
for p in kubeadm kubectl kubelet; do cp "$programs/$p" "$work/$p/usr/bin/"; done
cp "$ASSET_TOOLS/crictl" "$work/cri-tools/usr/bin/"
cp "$ASSET_LAYERS"/cni/* "$work/kubernetes-cni/opt/cni/bin/"
pack kubeadm "$version-1.1" "cri-tools (>= 1.30.0)"
pack kubectl "$version-1.1" "libc6"
pack kubelet "$version-1.1" \
  "iptables (>= 1.4.21), kubernetes-cni (>= 1.2.0), iproute2, mount, util-linux, ethtool, conntrack, ebtables, socat"
pack cri-tools "$cri_tools-1.1" libc6
pack kubernetes-cni "$cni-1.1" libc6

cd "$repository"
apt-ftparchive packages . > Packages
gzip -k Packages
apt-ftparchive -o APT::FTPArchive::Release::Origin="lab" -o APT::FTPArchive::Release::Label="v$minor" release . > "$work/Release"
mv "$work/Release" Release
# gpg writes into its folder, and this asset may not: a copy.
cp -r "$ASSET_KEYS/gnupg" "$work/gnupg"
export GNUPGHOME=$work/gnupg
gpg --batch --yes --clearsign -o InRelease Release
gpg --batch --yes --armor --detach-sign -o Release.gpg Release
gpgconf --kill all
cp "$ASSET_KEYS/signing-key.asc" Release.key
