# shellcheck shell=bash
# Machines unlike a plain cloud image, since users' machines are. Each variant is a function variant_NAME ROOT [ARGUMENT]
# that changes a node's root before its first boot; the line before it is its summary. Sourced by machine.sh.

known_variants() { sed -n 's/^variant_\([a-z0-9_]*\)() .*/\1/p' "$NODE_DIR/variants.sh" | tr _ -; }

summarize_variants() {
  sed -n '/^## /{s/^## //;h;}; /^variant_/{s/^variant_\([a-z0-9_]*\)() .*/\1/;y/_/-/;G;s/\n/|/;p;}' "$NODE_DIR/variants.sh" \
    | while IFS='|' read -r name summary; do printf '  %-20s %s\n' "$name" "$summary"; done
}

# apply_variants ROOT DISK: once in the life of a disk
apply_variants() {
  local root=$1 disk=$2 name argument
  [ ! -e "$disk/variants" ] || return 0
  while IFS=: read -r name argument; do
    "variant_${name//-/_}" "$root" "$argument"
  done < "$STATE/node/$NODE/variants"
  cp "$STATE/node/$NODE/variants" "$disk/variants"
}

in_root() { chroot "$1" env PATH=/usr/sbin:/usr/bin:/sbin:/bin "${@:2}"; }
# sshd takes the first value it meets, so ours come before the image's own.
sshd_option() { echo "$2" >> "$1/etc/ssh/sshd_config.d/10-lab.conf"; }
start_at_boot() { in_root "$1" systemctl --quiet enable "$2"; }

## sudo asks for ubuntu's password, which is "lab-password"
variant_sudo_password() {
  echo 'ubuntu:lab-password' | in_root "$1" chpasswd
  echo 'ubuntu ALL=(ALL:ALL) ALL' > "$1/etc/sudoers.d/90-ubuntu"
}

## no user but root, who may log in with the lab's key
variant_root_only() {
  in_root "$1" userdel --remove ubuntu 2> /dev/null
  rm -f "$1/etc/sudoers.d/90-ubuntu"
  authorize "$1/root"
  sshd_option "$1" 'PermitRootLogin prohibit-password'
}

## the login shell is fish
variant_shell_fish() { in_root "$1" chsh -s /usr/bin/fish ubuntu; }

## the login shell is dash
variant_shell_dash() { in_root "$1" chsh -s /bin/dash ubuntu; }

## the login shell is zsh
variant_shell_zsh() {
  in_root "$1" chsh -s /usr/bin/zsh ubuntu
  # Else its questionnaire for new users.
  touch "$1/home/ubuntu/.zshrc"
}

## sshd shows a banner, and .bashrc talks on both outputs, also without a terminal
variant_noisy() {
  printf '*** Authorized use only. ***\n' > "$1/etc/issue.net"
  sshd_option "$1" 'Banner /etc/issue.net'
  # shellcheck disable=SC2016
  sed -i '1i echo "Welcome to $(hostname)!"; echo "3 updates can be applied." >&2; printf "no newline at the end"' "$1/home/ubuntu/.bashrc"
}

## sshd allows two sessions per connection
variant_max_sessions_2() { sshd_option "$1" 'MaxSessions 2'; }

## sshd forwards no ports
variant_no_forwarding() { sshd_option "$1" 'AllowTcpForwarding no'; }

## /tmp is mounted noexec
variant_tmp_noexec() {
  printf '[Unit]\nBefore=local-fs.target\n[Mount]\nWhat=tmpfs\nWhere=/tmp\nType=tmpfs\nOptions=mode=1777,nosuid,nodev,noexec\n[Install]\nWantedBy=local-fs.target\n' \
    > "$1/etc/systemd/system/tmp.mount"
  start_at_boot "$1" tmp.mount
}

## umask 077 in every session, sudo's included
variant_umask_077() {
  sed -i 's/^UMASK.*/UMASK 077/' "$1/etc/login.defs"
  for file in common-session common-session-noninteractive; do echo 'session optional pam_umask.so umask=0077' >> "$1/etc/pam.d/$file"; done
}

## apt's and dpkg's locks are held for the first 20 seconds (apt-lock:SECONDS for others), as unattended upgrades do
variant_apt_lock() {
  cat > "$1/usr/local/sbin/lab-apt-lock" << 'P'
#!/usr/bin/perl
use Fcntl;
for my $path (qw(/var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock)) {
  open(my $file, '>', $path) or die "$path: $!";
  my $whole = pack('s s l! l! i', F_WRLCK, 0, 0, 0, 0);
  fcntl($file, F_SETLKW, $whole) or die "$path: $!";
  push @held, $file;
}
sleep $ARGV[0];
P
  chmod 755 "$1/usr/local/sbin/lab-apt-lock"
  printf '[Unit]\nBefore=ssh.service\n[Service]\nType=exec\nExecStart=/usr/local/sbin/lab-apt-lock %s\n[Install]\nWantedBy=multi-user.target\n' \
    "${2:-20}" > "$1/etc/systemd/system/lab-apt-lock.service"
  start_at_boot "$1" lab-apt-lock.service
}

## the machine-id is that of every other node of this variant, as on clones of one image
variant_machine_id_cloned() { echo 0123456789abcdef0123456789abcdef > "$1/etc/machine-id"; }

## `date` is 300 s ahead (clock-skew:SECONDS for others); only `date`, for the kernel's clock is the machine's
variant_clock_skew() {
  # shellcheck disable=SC2016
  printf '#!/bin/sh\nexec faketime -f "%+ds" /usr/bin/date "$@"\n' "${2:-300}" > "$1/usr/local/bin/date"
  chmod 755 "$1/usr/local/bin/date"
}

## a containerd configuration of someone else, with Kubernetes' interface off (as Docker's packages bring it)
variant_foreign_containerd() {
  mkdir -p "$1/etc/containerd"
  printf '# somebody'"'"'s own\ndisabled_plugins = ["cri"]\n' > "$1/etc/containerd/config.toml"
}

## apt may not touch conntrack and iptables: the first is pinned away, the second held
variant_held_packages() {
  printf 'Package: conntrack\nPin: release *\nPin-Priority: -1\n' > "$1/etc/apt/preferences.d/lab"
  in_root "$1" apt-mark hold iptables > /dev/null
}

## /etc/fstab names a swap file, as many installers leave it
variant_swap_fstab() {
  dd if=/dev/zero of="$1/swapfile" bs=1M count=1 status=none
  chmod 600 "$1/swapfile"
  in_root "$1" mkswap /swapfile > /dev/null 2>&1
  echo '/swapfile none swap sw,nofail 0 0' >> "$1/etc/fstab"
}
