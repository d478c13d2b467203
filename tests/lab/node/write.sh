# shellcheck shell=bash
# The files of a lab's state folder that its user reads.

# The nodes, as lab.sh says. Zones in turn, so that a spread over zones has something to spread over; subnets, too.
write_nodes() {
  local i zones=(a b c) subnet=0
  for ((i = 1; i <= control_planes; i++)); do
    echo "cp$i 10.77.$subnet.$((10 + i)) control-plane ${zones[(i - 1) % 3]} $subnet"
    subnet=$(((subnet + 1) % subnets))
  done
  for ((i = 1; i <= workers; i++)); do
    echo "w$i 10.77.$subnet.$((20 + i)) worker ${zones[(i - 1) % 3]} $subnet"
    subnet=$(((subnet + 1) % subnets))
  done
}

# write_variants NODE=V,…
write_variants() {
  local node names given name known
  known=$(known_variants)
  for node in $(node_names); do
    mkdir -p "$STATE/node/$node"
    : > "$STATE/node/$node/variants"
  done
  for given; do
    [[ $given == *=* ]] || usage_error "--variant is NODE=NAME, not \`$given\`"
    node=${given%%=*} names=${given#*=}
    if [ "$node" = all ]; then node=$(node_names); else need_node "$node"; fi
    for name in ${names//,/ }; do
      grep -qx "${name%%:*}" <<< "$known" || usage_error "no variant \`$name\`; there are: $(xargs <<< "$known")"
      for n in $node; do echo "$name" >> "$STATE/node/$n/variants"; done
    done
  done
}

# The user's key and each node's host keys. A node keeps them when its disk is wiped, so known_hosts stays true.
write_keys() {
  local node kind dir
  ssh-keygen -q -t ed25519 -N '' -C "lab $ID" -f "$STATE/id_ed25519"
  for node in $(node_names); do
    dir=$STATE/node/$node/hostkeys
    mkdir -p "$dir"
    for kind in ed25519 ecdsa; do
      ssh-keygen -q -t "$kind" -N '' -C "root@$node" -f "$dir/ssh_host_${kind}_key"
      echo "$(node_address "$node") $(cut -d' ' -f1,2 "$dir/ssh_host_${kind}_key.pub")" >> "$STATE/known_hosts"
    done
  done
}

login_user() { if grep -qx root-only "$STATE/node/$1/variants"; then echo root; else echo ubuntu; fi; }

write_ssh_config() {
  local node
  for node in $(node_names); do
    cat << S
Host $node $(node_address "$node")
  HostName $(node_address "$node")
  User $(login_user "$node")
S
  done > "$STATE/ssh_config"
  cat >> "$STATE/ssh_config" << S
Host *
  IdentityFile $STATE/id_ed25519
  IdentitiesOnly yes
  UserKnownHostsFile $STATE/known_hosts
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  LogLevel ERROR
  ConnectTimeout 10
S
}

# All that is not the program's default: the lab signs its packages with a key of its own, and the size of the kernel's
# connection table cannot be set inside a network namespace (kube-proxy would end at once).
write_inventory() {
  local name address role zone subnet users
  cat > "$STATE/inventory.toml" << T
[cluster]
name = "$ID"
kubernetes = "$kubernetes"

[ssh]
user = "ubuntu"
key = "$STATE/id_ed25519"
known-hosts = "$STATE/known_hosts"

[repository]
key-fingerprint = "$(cat "$(asset www)/fingerprint")"

[override.kube-proxy.conntrack]
maxPerCore = 0
min = 0
T
  while read -r name address role zone subnet; do
    printf '\n[[node]]\nname = "%s"\naddress = "%s"\nrole = "%s"\nzone = "%s"\n' "$name" "$address" "$role" "$zone"
  done < "$STATE/nodes" >> "$STATE/inventory.toml"
}

# process_identity PID: the process and when it started, since its number may be given to another one later
process_identity() { echo "$1 $(awk '{ sub(/.*\) /, ""); print $20 }' "/proc/$1/stat" 2> /dev/null)" | grep -E ' [0-9]'; }
