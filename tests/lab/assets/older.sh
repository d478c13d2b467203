# older.sh PACKAGE: a version of it before the mirror's, and what an index says of that. With both on the package server, a
# changed version in an inventory has something to roll to.
package=$1
cd "$OUT"
newer=("$ASSET_MIRROR/${package}"_*.deb)
newest=$(dpkg-deb -f "${newer[0]}" Version)

# From wherever this machine itself gets Debian's packages: its security updates are often one version behind its last
# point release, or one before it.
version=''
for found in $(apt-cache madison "$package" | cut -d'|' -f2); do
  if dpkg --compare-versions "$found" lt "$newest" && dpkg --compare-versions "$found" gt "$version"; then version=$found; fi
done
if [ -z "$version" ] || ! apt-get -o APT::Sandbox::User=root -o Acquire::Retries=3 download "$package=$version"; then
  # There is but one: the same programs under a version that sorts just before it.
  work=$(mktemp -d "$OUT/.work.XXXX")
  trap 'rm -rf "$work"' EXIT
  dpkg-deb -R "${newer[0]}" "$work/tree"
  sed -i 's/^Version: .*/&~lab/' "$work/tree/DEBIAN/control"
  dpkg-deb -Zgzip -z1 --build "$work/tree" "$OUT"
fi
apt-ftparchive packages . > Packages
