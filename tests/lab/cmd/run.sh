#!/bin/bash
# summary: runs a command on the lab's network
. "$(dirname "$0")/../lib/common.sh"
. "$LAB_DIR/node/lab.sh"

help() {
  cat << 'HELP'
Usage: lab run [--id NAME] COMMAND…

Runs COMMAND where it reaches the nodes (ssh -F FOLDER/ssh_config NODE) and the lab's services by their public names,
and nothing else. It ends when the lab is taken down.
HELP
}
parse_id_first "$@"
need_root
need_lab
[ ${#ARGS[@]} -gt 0 ] || usage_error "run what? (\`lab run --help\`)"
cgroup_make run pids freezer
cgroup_join run $$ pids freezer
# `ip netns exec` has given the command mounts of its own, so the name server is the lab's for it alone.
# shellcheck disable=SC2016
exec ip netns exec "$NETNS" bash -c 'mount --bind "$0" /etc/resolv.conf && exec "$@"' "$STATE/resolv.conf" "${ARGS[@]}"
