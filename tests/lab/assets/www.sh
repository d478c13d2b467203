# www.sh: what the lab's package server serves: pkgs/ as pkgs.k8s.io, debian/ as the nodes' mirror.
mkdir "$OUT/pkgs"
# Hard links: it is all on one file system, and none of it ever changes.
cp -al "$ASSET_PACKAGES_1_30/." "$ASSET_PACKAGES_1_31/." "$OUT/pkgs/"
cp -al "$ASSET_MIRROR" "$OUT/debian"
cp -l "$ASSET_OLDER_CONTAINERD"/*.deb "$OUT/debian/"
cp "$ASSET_KEYS/fingerprint" "$OUT/fingerprint"

# An index of both. Those that are linked are the mirror's own.
cd "$OUT/debian"
rm Packages Packages.gz Release
cat "$ASSET_MIRROR/Packages" "$ASSET_OLDER_CONTAINERD/Packages" > Packages
gzip -k Packages
apt-ftparchive -o APT::FTPArchive::Release::Origin=lab -o APT::FTPArchive::Release::Suite=stable release . > "$OUT/Release"
mv "$OUT/Release" Release
