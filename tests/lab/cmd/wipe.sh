#!/bin/bash
# summary: gives nodes a new, bare disk
. "$(dirname "$0")/../lib/common.sh"
. "$LAB_DIR/node/lab.sh"

help() {
  cat << 'HELP'
Usage: lab wipe [--id NAME] NODE…

Powers the nodes off, makes their disks anew and boots them. They keep name, address, host keys and variants.
HELP
}
parse_id "$@"
begin_change
need_nodes "${ARGS[@]}"
for node in "${ARGS[@]}"; do
  power_off "$node"
  disk_make "$node" "$(stat -c %s "$STATE/node/$node/disk.img")"
done
start_nodes 1 "${ARGS[@]}"
