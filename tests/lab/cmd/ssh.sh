#!/bin/bash
# summary: a shell, or a command, on a node
. "$(dirname "$0")/../lib/common.sh"
. "$LAB_DIR/node/lab.sh"

help() { echo "Usage: lab ssh [--id NAME] NODE [COMMAND…]"; }
parse_id_first "$@"
need_root
need_lab
need_node "${ARGS[0]-}"
exec ip netns exec "$NETNS" ssh -F "$STATE/ssh_config" "${ARGS[@]}"
