# shellcheck shell=bash
# A node's disk: a sparse ext4 image, mounted (on a loop device) only in the node's own mount namespace. So it cannot be
# left mounted: when the node's last process ends, the mounts go, and with them the loop device.

# disk_make NODE SIZE
disk_make() {
  local image=$STATE/node/$1/disk.img
  rm -f "$image"
  truncate -s "$2" "$image"
  # No journal: the machine's kernel never crashes under its nodes, and each write would be two.
  mkfs.ext4 -q -O ^has_journal -E lazy_itable_init=1,nodiscard -L "$1" "$image"
}

# disk_loops: the loop devices that images of this lab are on
disk_loops() { grep -ls "^$STATE/" /sys/block/loop*/loop/backing_file 2> /dev/null | cut -d/ -f4; }

# The same image mounted twice would be ruined: wait until the kernel has let go of it.
disk_wait_free() {
  local image=$STATE/node/$1/disk.img
  for _ in {1..250}; do
    grep -qsx "$image" /sys/block/loop*/loop/backing_file || return 0
    sleep 0.02
  done
  die "the disk of $1 is still in use: $image"
}

# disk_fill NODE: large pieces first, then what is left; free blocks lie scattered.
disk_fill() {
  # shellcheck disable=SC2016
  inside "$1" sh -c 'for size in 1G 64M 4M 256K 4K; do
    while fallocate --offset "$(stat -c %s /.lab-fill 2> /dev/null || echo 0)" --length "$size" /.lab-fill 2> /dev/null; do :; done
  done'
}
