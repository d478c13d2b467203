#!/bin/bash
# summary: prints the path of the lab's inventory
. "$(dirname "$0")/../lib/common.sh"
. "$LAB_DIR/node/lab.sh"

help() { echo "Usage: lab inventory [--id NAME]"; }
parse_id "$@"
[ ${#ARGS[@]} = 0 ] || usage_error "\`lab inventory\` takes no \`${ARGS[*]}\`"
need_lab
echo "$STATE/inventory.toml"
