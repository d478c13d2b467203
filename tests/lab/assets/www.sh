# www.sh: what the lab's package server serves: pkgs/ as pkgs.k8s.io, debian/ as the nodes' mirror.
mkdir "$OUT/pkgs"
# Hard links: it is all on one file system, and none of it ever changes.
cp -al "$ASSET_PACKAGES_1_30/." "$ASSET_PACKAGES_1_31/." "$OUT/pkgs/"
cp -al "$ASSET_MIRROR" "$OUT/debian"
cp "$ASSET_KEYS/fingerprint" "$OUT/fingerprint"
