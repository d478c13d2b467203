#!/bin/bash
# summary: a root shell, or a command, on a node, past its sshd
. "$(dirname "$0")/../lib/common.sh"
. "$LAB_DIR/node/lab.sh"

help() {
  cat << 'HELP'
Usage: lab enter [--id NAME] NODE [COMMAND…]

Works whatever the node's network, sshd and accounts are like, but not while the node is off.
HELP
}
parse_id_first "$@"
need_root
need_lab
need_node "${ARGS[0]-}"
pid=$(leader "${ARGS[0]}")
unset 'ARGS[0]'
[ ${#ARGS[@]} -gt 0 ] || ARGS=(bash -l)
exec nsenter -t "$pid" --mount --uts --ipc --net --pid --root --wd=/ -- "${ARGS[@]}"
