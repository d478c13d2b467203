#!/bin/bash
# summary: boots bare nodes on a closed network and writes an inventory of them
. "$(dirname "$0")/../lib/common.sh"
. "$LAB_DIR/lib/assets.sh"
. "$LAB_DIR/lib/host.sh"
. "$LAB_DIR/node/lab.sh"
. "$LAB_DIR/node/write.sh"
. "$LAB_DIR/node/down.sh"
. "$LAB_DIR/node/save.sh"
. "$LAB_DIR/node/variants.sh"

help() {
  cat << 'HELP'
Usage: lab up [OPTION…]

Boots nodes cp1… and w1… and waits until they answer on ssh. What the lab serves is built first, if it is not there.

  --control-planes N    how many control planes (default 3)
  --workers N           how many workers (default 2)
  --id NAME             the lab's name (default "lab"): several stand side by side
  --variant NODE=V,…    makes a node unlike the others; NODE may be `all`; may be given again (below)
  --subnets N           1, or 2 routed subnets with every second node in the other (default 1)
  --strict-sources      the network drops packets whose source is not the sending node's address, as clouds do
  --disk SIZE           size of each node's disk, of which only what is used takes space (default 20G)
  --restore NAME        boots from disks that `lab save NAME` kept; its nodes are those of the saved lab
  --kubernetes VERSION  for the inventory (default 1.30.14)
  --owner PID           `lab down --orphans` removes the lab once this process is gone

Variants:
HELP
  summarize_variants
}

control_planes=3 workers=2 subnets=1 strict=0 disk=20G restore='' kubernetes=1.30.14 owner='' variants=()
parse_id "$@"
set -- "${ARGS[@]}"
value() { [ $# -ge 2 ] || usage_error "$1 needs a value (\`lab up --help\`)"; echo "$2"; }
number() { [[ $2 =~ ^[0-9]{1,2}$ ]] || usage_error "$1 is a number from 0 to 99, not \`$2\`"; }
while [ $# -gt 0 ]; do
  case $1 in *=*) option=${1%%=*} rest=${1#*=}; shift; set -- "$option" "$rest" "$@" ;; esac
  case $1 in
    --strict-sources) strict=1; shift; continue ;;
    --control-planes) control_planes=$(value "$@"); number "$1" "$control_planes" ;;
    --workers) workers=$(value "$@"); number "$1" "$workers" ;;
    --subnets) subnets=$(value "$@") ;;
    --disk) disk=$(value "$@") ;;
    --restore) restore=$(value "$@") ;;
    --kubernetes) kubernetes=$(value "$@") ;;
    --owner) owner=$(value "$@") ;;
    --variant) variants+=("$(value "$@")") ;;
    *) usage_error "no option \`$1\` (\`lab up --help\`)" ;;
  esac
  shift 2
done
[[ $subnets =~ ^[12]$ ]] || usage_error "--subnets is 1 or 2, not \`$subnets\`"
[[ $disk =~ ^[0-9]+[MG]$ ]] || usage_error "--disk is a size like 20G, not \`$disk\`"
[[ -z $owner || $owner =~ ^[0-9]+$ ]] || usage_error "--owner is the id of a process, not \`$owner\`"
((control_planes + workers > 0)) || usage_error "a lab needs at least one node"
# .11 to .20 are control planes, .21 and on workers.
((control_planes <= 9)) || usage_error "at most 9 control planes"

need_root
[ -d /sys/fs/cgroup/freezer ] || die "the lab needs a machine with the cgroup v1 hierarchies (there is no /sys/fs/cgroup/freezer)"
HOST_TOOLS="$HOST_TOOLS nft:nftables"
need_host_tools
if [ -n "$restore" ]; then need_save "$restore"; fi
bash "$LAB_DIR/cmd/assets.sh" 2>&1 | { grep -v 'assets are complete' >&2 || true; }

start=$EPOCHREALTIME
mkdir -p "$LAB_STATE_ROOT"
making=0
trap 'rc=$?; trap - EXIT; [ "$rc" = 0 ] || [ "$making" = 0 ] || take_down; lab_exists || rm -f "$LAB_STATE_ROOT/.lock-$ID"; exit "$rc"' EXIT
lock_lab
if lab_is_up; then die "lab \`$ID\` is up already: \`lab down --id $ID\` ends it, or choose another --id"; fi
if lab_exists; then
  say "Removing what an interrupted \`lab up\` left of lab \`$ID\`"
  take_down
fi
free=$(df -Pm "$LAB_STATE_ROOT" | awk 'NR == 2 { print $4 }')
((free >= 1024 * (control_planes + workers + 1))) \
  || die "too little disk space: $LAB_STATE_ROOT has $free MiB free, $((control_planes + workers)) nodes want $((1024 * (control_planes + workers + 1)))"

# From here on nothing may be left behind. In its cgroup, this command ends with the lab if someone else takes that down.
making=1
trap 'exit 130' INT
trap 'exit 143' TERM HUP
# The folder comes first, with who makes it: by that `down --orphans` finds what a killed `up` left.
mkdir -p "$STATE"
echo $$ > "$STATE/up.pid"
mkdir -p "$STATE/node"
chmod 755 "$STATE"
cgroup_make tool pids freezer
cgroup_join tool $$ pids freezer
if [ -n "$owner" ]; then process_identity "$owner" > "$STATE/owner" || die "--owner $owner: there is no such process"; fi

if [ -n "$restore" ]; then
  [ ${#variants[@]} = 0 ] || usage_error "saved disks keep their variants: --restore goes without --variant"
  cp "$(save_folder "$restore")"/{nodes,shape} "$STATE/"
  read -r subnets strict < "$STATE/shape"
  restore_disks "$restore"
else
  write_nodes > "$STATE/nodes"
  echo "$subnets $strict" > "$STATE/shape"
  write_variants "${variants[@]}"
fi
asset root > "$STATE/root"
write_keys
write_ssh_config
echo nameserver 10.77.0.1 > "$STATE/resolv.conf"
write_inventory
network_make "$subnets" "$strict"
services_start
for node in $(node_names); do
  [ -n "$restore" ] || disk_make "$node" "$disk"
  boot "$node"
done
# shellcheck disable=SC2046
wait_for_ssh 60 $(node_names)
touch "$STATE/ready"

say "Lab \`$ID\` is up: $(node_names | wc -l) nodes answer on ssh after $(seconds_since "$start") s"
[ "$ID" = lab ] && id_option='' || id_option=" --id $ID"
say "  inventory: $STATE/inventory.toml
  lab ssh$id_option $(node_names | head -n 1)          a shell on a node
  lab run$id_option COMMAND…    a command on the lab's network
  lab down$id_option            ends it"
