#!/bin/bash
# summary: keeps the disks of all nodes under a name
. "$(dirname "$0")/../lib/common.sh"
. "$LAB_DIR/node/lab.sh"
. "$LAB_DIR/node/save.sh"

help() {
  cat << 'HELP'
Usage: lab save [--id NAME] NAME     replaces an older one of this name
       lab save --list
       lab save --delete NAME

Powers all nodes off, copies their disks (only what is used), and boots those again that were on. A test can then begin
from there: `lab restore NAME` in a lab of the same nodes, or `lab up --restore NAME`. Saved disks outlive the lab.
HELP
}
parse_id "$@"
case ${#ARGS[@]}:${ARGS[0]-} in
  1:--list) save_list; exit 0 ;;
  2:--delete) need_root; need_save "${ARGS[1]}"; rm -rf "$(save_folder "${ARGS[1]}")"; exit 0 ;;
  1:-* | 0:* | [2-9]:*) usage_error "\`lab save NAME\` (\`lab save --help\`)" ;;
esac
check_save_name "${ARGS[0]}"
begin_change
start=$EPOCHREALTIME
mapfile -t on < <(running_nodes)
for node in "${on[@]}"; do power_off "$node"; done
save_disks "${ARGS[0]}"
say "Saved \`${ARGS[0]}\` after $(seconds_since "$start") s: $(save_size "${ARGS[0]}")"
[ ${#on[@]} = 0 ] || start_nodes 1 "${on[@]}"
