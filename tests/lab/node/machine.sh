#!/bin/bash
# machine.sh ID NODE ROOT: the life of one node, from its disk to its last process. Started by boot.sh in the node's cgroups and
# in a mount namespace that ends with it; replaces itself by systemd-nspawn.
. "$(dirname "$0")/../lib/common.sh"
. "$LAB_DIR/node/lab.sh"
. "$LAB_DIR/node/identity.sh"
. "$LAB_DIR/node/variants.sh"
use_lab "$1"
NODE=$2 lower=$3 dir=$STATE/node/$2
disk=$dir/disk root=$dir/root
mkdir -p "$disk" "$root"
# What a node deletes goes back to the machine (discard). Flushes are not passed on (nobarrier): five nodes and three
# etcds on one disk would wait for each other, and the page cache outlives a node anyway.
mount -o loop,noatime,discard,nobarrier "$dir/disk.img" "$disk"
mkdir -p "$disk"/{upper,work,containerd,docker,kubelet}
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$disk/upper,workdir=$disk/work" "$root"
give_identity "$root" "$disk"
apply_variants "$root" "$disk"
# A virtual machine's /tmp is on its disk.
export SYSTEMD_NSPAWN_TMPFS_TMP=0 SYSTEMD_SECCOMP=0 SYSTEMD_NSPAWN_API_VFS_WRITABLE=1 SYSTEMD_NSPAWN_USE_CGNS=1
# An overlay cannot be stacked on the node's own: runtimes and kubelet get plain folders of the same disk.
exec systemd-nspawn --quiet --directory="$root" --machine="$ID-$NODE" --hostname="$NODE" --boot --register=no --keep-unit \
  --resolv-conf=off --timezone=off --network-namespace-path="/run/netns/$NETNS-$NODE" --capability=all --bind=/dev/kmsg \
  --bind="$disk/containerd:/var/lib/containerd" --bind="$disk/docker:/var/lib/docker" --bind="$disk/kubelet:/var/lib/kubelet"
