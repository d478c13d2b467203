#!/bin/bash
# summary: freezes nodes: they hold their connections and answer nothing
. "$(dirname "$0")/../lib/common.sh"
. "$LAB_DIR/node/lab.sh"

help() {
  cat << 'HELP'
Usage: lab pause [--id NAME] NODE…

Freezes every process of the nodes, as a machine does whose host is overloaded. `lab resume` lets them go on.
HELP
}
parse_id "$@"
begin_change
need_nodes "${ARGS[@]}"
for node in "${ARGS[@]}"; do
  need_power "$node"
  cgroup_freeze "$node" FROZEN
  say "$node is paused"
done
