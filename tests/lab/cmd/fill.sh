#!/bin/bash
# summary: fills a node's disk
. "$(dirname "$0")/../lib/common.sh"
. "$LAB_DIR/node/lab.sh"

help() {
  cat << 'HELP'
Usage: lab fill [--id NAME] NODE [--undo]

Leaves no free block on NODE's disk, root's reserve included. Nobody else's disk is touched, and the machine's neither:
blocks are only allotted, not written.
HELP
}
parse_id "$@"
begin_change
node=${ARGS[0]-}
need_node "$node"
need_power "$node"
case ${#ARGS[@]}:${ARGS[1]-} in
  1:) disk_fill "$node"; say "The disk of $node is full" ;;
  2:--undo) inside "$node" rm -f /.lab-fill; say "The disk of $node has room again" ;;
  *) usage_error "\`lab fill NODE [--undo]\`, not \`lab fill ${ARGS[*]}\`" ;;
esac
