# shellcheck shell=bash
# Saved disks: LAB_STATE_ROOT/.saved/NAME/{NODE.img,nodes,shape,variants/NODE}

save_folder() { echo "$LAB_STATE_ROOT/.saved/$1"; }
check_save_name() { [[ $1 =~ ^[a-z0-9][a-z0-9.-]*$ ]] || usage_error "\`$1\` is no name: lower case letters, digits, dots and dashes"; }
need_save() {
  check_save_name "$1"
  [ -f "$(save_folder "$1")/nodes" ] || die "nothing is saved as \`$1\`$(save_list | sed '1s/^/; there is:\n/')"
}
save_size() { du -sh "$(save_folder "$1")" | cut -f1; }
save_list() {
  local folder
  for folder in "$LAB_STATE_ROOT"/.saved/*/; do
    [ ! -f "$folder/nodes" ] || printf '%-20s %6s  %s\n' "$(basename "$folder")" "$(du -sh "$folder" | cut -f1)" "$(cut -d' ' -f1 "$folder/nodes" | xargs)"
  done
}

# All nodes are off.
save_disks() {
  local folder node used free
  folder=$(save_folder "$1")
  used=$(du -cm "$STATE"/node/*/disk.img | awk 'END { print $1 }')
  free=$(df -Pm "$LAB_STATE_ROOT" | awk 'NR == 2 { print $4 }')
  ((free > used + 1024)) || die "too little disk space to save $used MiB: $LAB_STATE_ROOT has $free MiB free"
  rm -rf "$folder" "$folder.tmp"
  mkdir -p "$folder.tmp/variants"
  for node in $(node_names); do
    copy_disk "$STATE/node/$node/disk.img" "$folder.tmp/$node.img" &
    cp "$STATE/node/$node/variants" "$folder.tmp/variants/$node"
  done
  wait_for_jobs || { rm -rf "$folder.tmp"; die "the disks could not be copied to $folder"; }
  cp "$STATE/nodes" "$STATE/shape" "$folder.tmp/"
  mv "$folder.tmp" "$folder"
}

# restore_disks NAME: all nodes are off
restore_disks() {
  local folder node
  folder=$(save_folder "$1")
  for node in $(node_names); do
    mkdir -p "$STATE/node/$node"
    cp "$folder/variants/$node" "$STATE/node/$node/variants"
    copy_disk "$folder/$node.img" "$STATE/node/$node/disk.img" &
  done
  wait_for_jobs || die "the disks could not be copied from $folder"
}

# copy_disk FROM TO: holes stay holes, and the rest is copied by the kernel without a look at it.
copy_disk() {
  cp --sparse=auto --reflink=auto "$1" "$2.tmp"
  mv "$2.tmp" "$2"
}

wait_for_jobs() {
  local job failed=0
  for job in $(jobs -p); do wait "$job" || failed=1; done
  return "$failed"
}
