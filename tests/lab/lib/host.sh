# shellcheck shell=bash
# Sourced after common.sh: the programs that the lab needs on the machine it runs on.

# COMMAND:PACKAGE or /FILE:PACKAGE of Debian.
HOST_TOOLS="debootstrap:debootstrap systemd-nspawn:systemd-container nginx:nginx-light docker-registry:docker-registry
  dnsmasq:dnsmasq-base dpkg-scanpackages:dpkg-dev apt-ftparchive:apt-utils skopeo:skopeo gpg:gnupg openssl:openssl
  mkfs.ext4:e2fsprogs losetup:mount conntrack:conntrack ipset:ipset iptables:iptables socat:socat jq:jq python3:python3
  gcc:gcc /usr/include/stdio.h:libc6-dev curl:curl ip:iproute2 ssh:openssh-client unshare:util-linux"
# Started by their packages; the lab runs programs of its own on a network of its own, never these.
HOST_SERVICES="nginx:nginx-light docker-registry:docker-registry"

# need_host_tools: installs what is missing, in one run of apt.
need_host_tools() {
  local tool missing=() PATH=$PATH:/usr/sbin:/sbin
  for tool in $HOST_TOOLS; do
    command -v "${tool%%:*}" > /dev/null || [ -e "/${tool%%:*}" ] || missing+=("${tool##*:}")
  done
  # Nothing of it can run by itself here; nodes and images take files out of it.
  [ ${#missing[@]} -gt 0 ] || return 0
  need_root
  command -v apt-get > /dev/null || die "missing: ${missing[*]} (and this is no Debian, to install them on)"
  mkdir -p "$LAB_CACHE/log"
  take_lock "$LAB_CACHE/lock/host-tools" "another lab is installing host tools; waiting for it"
  with_progress "installing ${missing[*]}" install_quietly "${missing[@]}" > "$LAB_CACHE/log/host-tools.log" \
    || { tail -n 20 "$LAB_CACHE/log/host-tools.log" >&2; die "apt-get could not install: ${missing[*]}"; }
  drop_lock
}

# The services must not start: not now (policy-rc.d) and not at the next boot (mask).
install_quietly() {
  local service policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
  else
    policy=
  fi
  for service in $HOST_SERVICES; do
    case " $* " in *" ${service##*:} "*)
      [ -e "/etc/systemd/system/${service%%:*}.service" ] || ln -s /dev/null "/etc/systemd/system/${service%%:*}.service"
    esac
  done
  local rc=0
  {
    # A source that does not answer need not be one that matters here.
    apt-get update || true
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@" || rc=$?
  } 2>&1 < /dev/null
  [ -z "$policy" ] || rm -f "$policy"
  return "$rc"
}
