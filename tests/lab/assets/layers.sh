# layers.sh: what images and packages are made of besides Go programs: a shell with every applet, the tools that program
# a kernel's network, CNI plugins.
# uses: apt.sh
. "$(dirname "$0")/apt.sh"

# unpack FOLDER [NOT…]: all that was downloaded since the last time, but for what an image has no use for.
unpack() {
  local deb folder=$OUT/$1 not
  shift
  for not in "$@"; do rm -f "$archives/$not"_*.deb; done
  mkdir -p "$folder"
  for deb in "$archives"/*.deb; do dpkg-deb -x "$deb" "$folder"; done
  rm -rf "$archives"/*.deb "$folder"/usr/share/{doc,man,locale,info,lintian,bash-completion,bug,perl5,debconf} "$folder"/var/lib/dpkg
}

download_whole busybox-static
unpack busybox libc6 libcrypt1 libgcc-s1 gcc-12-base
# Tests of Kubernetes use hexdump, wget and many others: every applet by its name.
busybox=$OUT/busybox/bin/busybox
for applet in $("$busybox" --list); do
  case $applet in busybox | nc) ;; *) ln -sf busybox "$OUT/busybox/bin/$applet" ;; esac
done

# The shell of the other layers is dash: busybox's runs its own applets whatever lies in PATH, ip and nc among them.
download_whole iptables ipset conntrack iproute2 dash
unpack network debianutils perl-base debconf dpkg tar libdebconfclient0
ln -sf dash "$OUT/network/bin/sh"
# Debian's package leaves this choice to its installation.
for program in iptables ip6tables; do
  for end in "" -save -restore; do ln -sf "$program-nft$end" "$OUT/network/usr/sbin/$program$end"; done
done

# Of busybox as Debian builds it, nc lacks -v and -t, and wget dies of -T.
download_whole netcat-openbsd curl wget ca-certificates dash
unpack clients debianutils perl-base debconf dpkg tar libdebconfclient0
ln -sf nc.openbsd "$OUT/clients/bin/nc"
ln -sf dash "$OUT/clients/bin/sh"
ln -sf ../usr/bin/wget "$OUT/clients/bin/wget"

download_whole containernetworking-plugins
mkdir "$work/cni"
for deb in "$archives"/containernetworking-plugins_*.deb; do dpkg-deb -x "$deb" "$work/cni"; done
mv "$work/cni/usr/lib/cni" "$OUT/cni"
