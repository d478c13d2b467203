#!/bin/bash
# summary: powers nodes off at once; their disks stay
. "$(dirname "$0")/../lib/common.sh"
. "$LAB_DIR/node/lab.sh"

help() {
  cat << 'HELP'
Usage: lab kill [--id NAME] NODE…

As when the plug is pulled, but for one thing: what a node had written and not yet flushed is not lost, for the page
cache is the machine's. So this does not prove that anything calls fsync.
HELP
}
parse_id "$@"
begin_change
need_nodes "${ARGS[@]}"
for node in "${ARGS[@]}"; do
  power_off "$node"
  say "$node is off"
done
