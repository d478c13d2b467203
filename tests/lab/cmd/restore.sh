#!/bin/bash
# summary: puts saved disks back into all nodes
. "$(dirname "$0")/../lib/common.sh"
. "$LAB_DIR/node/lab.sh"
. "$LAB_DIR/node/save.sh"

help() {
  cat << 'HELP'
Usage: lab restore [--id NAME] NAME

Powers all nodes off, replaces their disks by those that `lab save NAME` kept, and boots them all.
HELP
}
parse_id "$@"
[ ${#ARGS[@]} = 1 ] || usage_error "\`lab restore NAME\` (\`lab save --list\` lists them)"
need_save "${ARGS[0]}"
begin_change
cmp -s "$STATE/nodes" "$(save_folder "${ARGS[0]}")/nodes" \
  || die "\`${ARGS[0]}\` is of other nodes than those of lab \`$ID\`: $(cut -d' ' -f1 "$(save_folder "${ARGS[0]}")/nodes" | xargs)"
start=$EPOCHREALTIME
for node in $(node_names); do power_off "$node"; done
restore_disks "${ARGS[0]}"
say "Restored \`${ARGS[0]}\` after $(seconds_since "$start") s"
# shellcheck disable=SC2046
start_nodes 1 $(node_names)
