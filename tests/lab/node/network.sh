# shellcheck shell=bash
# The closed network: a namespace with one bridge per subnet and no link to anything outside. The services and the program
# under test live in it; each node has a namespace of its own, joined by a veth pair.
#   10.77.0.1 name server and gateway, .2 registry, .3 packages; nodes .11… and .21…
#   with --subnets 2, every second node is in 10.77.1.0/24, and the lab routes between the two.

# network_make SUBNETS STRICT
network_make() {
  local subnets=$1 strict=$2 i bridge
  ip netns add "$NETNS"
  in_lab ip link set lo up
  for ((i = 0; i < subnets; i++)); do
    bridge=$ID-br$i
    in_lab ip link add "$bridge" type bridge
    in_lab ip link set "$bridge" up
    in_lab ip addr add "10.77.$i.1/24" dev "$bridge"
  done
  in_lab ip addr add 10.77.0.2/24 dev "$ID-br0"
  in_lab ip addr add 10.77.0.3/24 dev "$ID-br0"
  if [ "$subnets" -gt 1 ]; then in_lab sysctl -qw net.ipv4.ip_forward=1; fi
  # Bridged packets shall not pass the lab's own IP rules, and broken links are cut on the bridge itself.
  in_lab sysctl -qw net.bridge.bridge-nf-call-iptables=0 2> /dev/null || true
  in_lab nft -f - <<< "
    table bridge faults {
      chain forward { type filter hook forward priority 0; }
      chain input { type filter hook input priority 0; }
      chain output { type filter hook output priority 0; }
    }
    table bridge sources { chain prerouting { type filter hook prerouting priority -300; }; }
    table ip faults { chain forward { type filter hook forward priority 0; }; }"
  if [ "$strict" = 1 ]; then touch "$STATE/strict-sources"; fi
}

# network_attach NODE: a new namespace and link for the node
network_attach() {
  local node=$1 address subnet bridge link=$ID-$1 ns=$NETNS-$1
  address=$(node_field "$node" 2) subnet=$(node_field "$node" 5)
  bridge=$ID-br$subnet
  ip netns add "$ns"
  # A machine keeps its hardware address over a reboot; with a new one, its peers would not find it for half a minute.
  in_lab ip link add "$link" type veth peer name eth0 address "$(printf '02:00:0a:4d:%02x:%02x' "$subnet" "${address##*.}")" netns "$ns"
  in_lab ip link set "$link" master "$bridge" up
  ip -n "$ns" addr add "$address/24" dev eth0
  ip -n "$ns" link set lo up
  ip -n "$ns" link set eth0 up
  ip -n "$ns" route add default via "10.77.$subnet.1"
  # As clouds do: a packet whose source the link is not known for goes nowhere (pod addresses without a tunnel).
  if [ -f "$STATE/strict-sources" ]; then
    in_lab nft "add rule bridge sources prerouting iifname $link ether type ip ip saddr != { $address, 0.0.0.0 } drop"
  fi
  if [ -f "$STATE/node/$node/cut" ]; then network_cut "$node"; fi
}

network_detach() {
  local node=$1
  in_lab ip link del "$ID-$node" 2> /dev/null || true
  if [ -e "/run/netns/$NETNS-$node" ]; then ip netns del "$NETNS-$node"; fi
  remove_rules bridge sources prerouting "\"$ID-$node\""
}

# The link stays up, as with a broken switch: a packet goes out and nothing comes back.
network_cut() {
  touch "$STATE/node/$1/cut"
  in_lab ip link set "$ID-$1" nomaster
}
network_heal() {
  rm -f "$STATE/node/$1/cut"
  in_lab ip link set "$ID-$1" master "$ID-br$(node_field "$1" 5)"
  network_heal_lab "$1"
  remove_rules bridge faults forward "\"$ID-$1\""
  remove_rules ip faults forward "$(node_address "$1" | sed 's/\./\\./g')"
}

# The lab itself: whoever runs the program, and the services
LAB_ADDRESSES='{ 10.77.0.1, 10.77.0.2, 10.77.0.3, 10.77.1.1 }'

network_cut_lab() {
  network_heal_lab "$1"
  in_lab nft -f - << RULES
    add rule bridge faults input iifname $ID-$1 ether type ip ip daddr $LAB_ADDRESSES drop
    add rule bridge faults output oifname $ID-$1 ether type ip ip saddr $LAB_ADDRESSES drop
RULES
}
network_heal_lab() {
  remove_rules bridge faults input "\"$ID-$1\""
  remove_rules bridge faults output "\"$ID-$1\""
}

# Between two nodes only; everyone else reaches both.
network_cut_pair() {
  local a=$ID-$1 b=$ID-$2 x y
  x=$(node_address "$1") y=$(node_address "$2")
  network_heal_pair "$1" "$2"
  in_lab nft -f - << RULES
    add rule bridge faults forward iifname $a oifname $b drop
    add rule bridge faults forward iifname $b oifname $a drop
    add rule ip faults forward ip saddr $x ip daddr $y drop
    add rule ip faults forward ip saddr $y ip daddr $x drop
RULES
}
network_heal_pair() {
  local x y
  x=$(node_address "$1" | sed 's/\./\\./g') y=$(node_address "$2" | sed 's/\./\\./g')
  remove_rules bridge faults forward "\"$ID-$1\" .*\"$ID-$2\"|\"$ID-$2\" .*\"$ID-$1\""
  remove_rules ip faults forward "$x ip daddr $y |$y ip daddr $x "
}

# remove_rules FAMILY TABLE CHAIN PATTERN
remove_rules() {
  local handle
  in_lab nft -a list chain "$1" "$2" "$3" 2> /dev/null | grep -E -- "$4" | sed -n 's/.*# handle //p' | while read -r handle; do
    in_lab nft delete rule "$1" "$2" "$3" handle "$handle"
  done || true
}

# network_remove: the lab's namespaces, and with them bridges, links and rules
network_remove() {
  local file
  for file in /run/netns/"$NETNS" /run/netns/"$NETNS"-*; do
    if [ -e "$file" ]; then ip netns del "${file##*/}" 2> /dev/null || rm -f "$file"; fi
  done
}
