# shellcheck shell=bash
# What is needed to understand a failure after the lab is gone. Nothing here may fail or hang: nodes may be paused, cut off,
# full or half booted.

# collect_node NODE FOLDER
collect_node() {
  local node=$1 out=$2 pid
  mkdir -p "$out"
  cp "$STATE/node/$node/console.log" "$out/" 2> /dev/null
  if node_runs "$node"; then
    # The node's files are read past its processes, so a paused node gives them, too.
    pid=$(leader "$node" 2> /dev/null) || return 0
    collect_files "/proc/$pid/root" "$out"
    [ "$(node_state "$node")" = paused ] || collect_state "$node" "$out/state.txt"
  else
    # In mounts of its own, which end with it.
    LAB_DIR=$LAB_DIR unshare --mount --propagation private bash -c '. "$LAB_DIR/node/logs.sh"
      mount -o loop,ro "$1" /mnt && collect_files /mnt/upper "$2"' - "$STATE/node/$node/disk.img" "$out"
  fi
  return 0
}

# collect_files ROOT FOLDER
collect_files() {
  local root=$1 out=$2 path
  journalctl --no-pager --quiet -o short-precise --directory "$root/var/log/journal" > "$out/journal.log" 2> "$out/journal.err"
  [ -s "$out/journal.err" ] || rm -f "$out/journal.err"
  for path in var/log/pods etc/kubernetes/manifests etc/kbootstrap etc/containerd etc/cni/net.d etc/hosts \
    var/lib/kbootstrap run/kbootstrap var/lib/kubelet/config.yaml var/lib/kubelet/kubeadm-flags.env var/log/apt var/log/dpkg.log; do
    [ -e "$root/$path" ] || continue
    mkdir -p "$out/files/$(dirname "$path")"
    # What was moved aside holds whole etcd data folders.
    timeout 20 tar -C "$root" --exclude='var/lib/kbootstrap/aside/*' -cf - "$path" 2> /dev/null | tar -C "$out/files" -xf - 2> /dev/null
  done
  return 0
}

# collect_state NODE FILE
collect_state() {
  local command
  for command in 'systemctl --failed --no-pager' 'ps axfo pid,ppid,stat,etime,rss,args' 'crictl -r unix:///run/containerd/containerd.sock ps -a' \
    'ss -tunlp' 'ip -br addr' 'ip route' 'df -h' 'df -i' 'iptables-save -c' 'systemctl list-units --no-pager kbootstrap-*'; do
    echo "== $command"
    # shellcheck disable=SC2086
    timeout 10 nsenter -t "$(leader "$1")" --mount --uts --ipc --net --pid -- $command 2>&1 < /dev/null
  done > "$2"
  return 0
}

collect_lab() {
  cp "$STATE"/services/*.log "$STATE/services/nginx.err" "$STATE"/{nodes,shape,inventory.toml} "$1/" 2> /dev/null
  in_lab nft list ruleset > "$1/rules.txt" 2>&1
  in_lab bridge link > "$1/links.txt" 2>&1
  bash "$LAB_DIR/cmd/ls.sh" --id "$ID" > "$1/ls.txt" 2>&1
  return 0
}

# The cluster as the first control plane sees it that answers
collect_cluster() {
  local node what
  for node in $(node_names); do
    [ "$(node_state "$node")" = running ] && inside "$node" test -f /etc/kubernetes/admin.conf 2> /dev/null || continue
    kubectl() { timeout 20 nsenter -t "$(leader "$node")" --mount --uts --ipc --net --pid -- kubectl --kubeconfig /etc/kubernetes/admin.conf --request-timeout=10s "$@" < /dev/null; }
    kubectl get --raw /readyz > /dev/null 2>&1 || continue
    mkdir -p "$1"
    for what in 'nodes -o wide' 'pods -A -o wide' 'events -A --sort-by=.lastTimestamp' 'nodes -o yaml' 'pods -A -o yaml' 'csr' 'leases -A'; do
      # shellcheck disable=SC2086
      kubectl get $what > "$1/$(tr -s ' /=.-' _ <<< "$what").txt" 2>&1
    done
    return 0
  done
  return 0
}
