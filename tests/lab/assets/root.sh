# root.sh: one Debian 12 root, which every node of every lab has as its read-only lower layer. It looks as a cloud's image
# does: user ubuntu with sudo, no root login, sshd, no keys yet. What a single node differs in is written over it.
# No clock service, container runtime or Kubernetes package in it: those the program under test must bring.
packages=(
  systemd systemd-sysv init dbus libpam-systemd openssh-server sudo
  iproute2 iptables nftables iputils-ping netbase kmod procps util-linux
  ca-certificates curl gnupg less e2fsprogs
  fish zsh faketime # for variants of nodes: other login shells, a clock that is off
)
debootstrap --variant=minbase --include="$(IFS=,; echo "${packages[*]}")" bookworm "$OUT"
in_root() { chroot "$OUT" env DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }

# debootstrap would hand down this machine's own name and name server.
rm -f "$OUT/etc/hostname" "$OUT/etc/resolv.conf" "$OUT/etc/machine-id" "$OUT"/etc/ssh/ssh_host_*
rm -rf "$OUT"/var/cache/apt/*.bin "$OUT"/var/cache/apt/archives/*.deb "$OUT"/var/lib/apt/lists/*
: > "$OUT/etc/machine-id" # empty: systemd fills it in at the first boot

in_root useradd --create-home --shell /bin/bash --groups sudo ubuntu
echo 'ubuntu ALL=(ALL) NOPASSWD:ALL' > "$OUT/etc/sudoers.d/90-ubuntu"
chmod 440 "$OUT/etc/sudoers.d/90-ubuntu"
printf 'PermitRootLogin no\nPasswordAuthentication no\nUseDNS no\n' > "$OUT/etc/ssh/sshd_config.d/60-cloud.conf"
install -d -m 700 "$OUT/home/ubuntu/.ssh"
in_root chown -R ubuntu:ubuntu /home/ubuntu

# The names that the lab's services answer under must verify.
cp "$ASSET_KEYS/ca.crt" "$OUT/usr/local/share/ca-certificates/kbootstrap-lab.crt"
in_root update-ca-certificates

echo 'deb [trusted=yes] http://10.77.0.3/debian ./' > "$OUT/etc/apt/sources.list"
# The lab's nodes share one disk, and pulling the plug on a node leaves the page cache: syncing shows nothing here.
echo force-unsafe-io > "$OUT/etc/dpkg/dpkg.cfg.d/lab"
# They would take apt's lock at a random moment; a variant of a node takes it on purpose.
in_root systemctl disable apt-daily.timer apt-daily-upgrade.timer
in_root systemctl mask apt-daily.service apt-daily-upgrade.service

cp -r "$(dirname "$0")/root/." "$OUT/"
chmod 755 "$OUT"/usr/local/sbin/{runc,lab-machine}
in_root systemctl enable lab-machine.service lab-hostkeys.service
