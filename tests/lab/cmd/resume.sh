#!/bin/bash
# summary: lets paused nodes go on
. "$(dirname "$0")/../lib/common.sh"
. "$LAB_DIR/node/lab.sh"

help() {
  cat << 'HELP'
Usage: lab resume [--id NAME] NODE…
HELP
}
parse_id "$@"
begin_change
need_nodes "${ARGS[@]}"
for node in "${ARGS[@]}"; do
  need_power "$node"
  cgroup_freeze "$node" THAWED
  say "$node goes on"
done
