#!/bin/bash
# summary: undoes what `cut` did
. "$(dirname "$0")/../lib/common.sh"
. "$LAB_DIR/node/lab.sh"

help() {
  cat << 'HELP'
Usage: lab heal [--id NAME] NODE [--from NODE|lab]

Without --from, every cut that NODE is part of.
HELP
}
parse_id "$@"
begin_change
node=${ARGS[0]-}
need_node "$node"
case ${#ARGS[@]}:${ARGS[1]-}:${ARGS[2]-} in
  1::) network_heal "$node"; say "$node is on the network" ;;
  3:--from:lab) network_heal_lab "$node"; say "$node and the lab reach each other" ;;
  3:--from:*) need_other "$node" "${ARGS[2]}"; network_heal_pair "$node" "${ARGS[2]}"; say "$node and ${ARGS[2]} reach each other" ;;
  *) usage_error "\`lab heal NODE [--from NODE]\`, not \`lab heal ${ARGS[*]}\`" ;;
esac
