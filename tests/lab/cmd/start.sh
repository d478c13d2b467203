#!/bin/bash
# summary: boots nodes that are off and waits until they answer
. "$(dirname "$0")/../lib/common.sh"
. "$LAB_DIR/node/lab.sh"

help() {
  cat << 'HELP'
Usage: lab start [--id NAME] [--no-wait] NODE…
HELP
}
parse_id "$@"
begin_change
wait=1
if [ "${ARGS[0]-}" = --no-wait ]; then wait=0; ARGS=("${ARGS[@]:1}"); fi
need_nodes "${ARGS[@]}"
start_nodes "$wait" "${ARGS[@]}"
