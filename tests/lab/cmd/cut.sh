#!/bin/bash
# summary: cuts a node off the network, or from one other node
. "$(dirname "$0")/../lib/common.sh"
. "$LAB_DIR/node/lab.sh"

help() {
  cat << 'HELP'
Usage: lab cut [--id NAME] NODE [--from NODE|lab]

Packets to and from NODE vanish; its link stays up. With --from, only those between the two; `--from lab` is where
`lab run` and `lab ssh` are, and the services. Holds until `lab heal`, also over `lab kill` and `lab start`.
HELP
}
parse_id "$@"
begin_change
node=${ARGS[0]-}
need_node "$node"
case ${#ARGS[@]}:${ARGS[1]-}:${ARGS[2]-} in
  1::) network_cut "$node"; say "$node is cut off" ;;
  3:--from:lab) network_cut_lab "$node"; say "$node is cut from the lab" ;;
  3:--from:*) need_other "$node" "${ARGS[2]}"; network_cut_pair "$node" "${ARGS[2]}"; say "$node and ${ARGS[2]} are cut from each other" ;;
  *) usage_error "\`lab cut NODE [--from NODE]\`, not \`lab cut ${ARGS[*]}\`" ;;
esac
