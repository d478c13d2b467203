# shellcheck shell=bash
# What makes a copy of the common root one particular machine. Sourced by machine.sh.

# give_identity ROOT DISK
give_identity() {
  local root=$1 disk=$2 dir=$STATE/node/$NODE
  # Keys at every boot: a disk that was saved in another lab must answer to this one's.
  install -m 600 "$dir"/hostkeys/ssh_host_*_key "$root/etc/ssh/"
  install -m 644 "$dir"/hostkeys/ssh_host_*_key.pub "$root/etc/ssh/"
  for home in "$root/home/ubuntu" "$root/root"; do
    # No user in the one case, no login with a key in the other.
    if [ -d "$home" ] && { [ "$home" != "$root/root" ] || [ -d "$home/.ssh" ]; }; then authorize "$home"; fi
  done
  # The rest once: from then on it is the node's, and the program under test may change it.
  [ ! -e "$disk/identity" ] || return 0
  # Its host keys are there; one more of another kind would take a second of every first boot.
  ln -sf /dev/null "$root/etc/systemd/system/lab-hostkeys.service"
  echo "$NODE" > "$root/etc/hostname"
  printf '127.0.0.1 localhost\n127.0.1.1 %s\n::1 localhost ip6-localhost ip6-loopback\n' "$NODE" > "$root/etc/hosts"
  echo nameserver 10.77.0.1 > "$root/etc/resolv.conf"
  systemd-id128 new > "$root/etc/machine-id"
  touch "$disk/identity"
}

# authorize HOME: the lab's key may log in to the account that owns HOME
authorize() {
  local owner
  owner=$(stat -c %u:%g "$1")
  mkdir -p "$1/.ssh"
  cp "$STATE/id_ed25519.pub" "$1/.ssh/authorized_keys"
  chmod 700 "$1/.ssh"
  chmod 600 "$1/.ssh/authorized_keys"
  chown -R "$owner" "$1/.ssh"
}
