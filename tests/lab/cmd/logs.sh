#!/bin/bash
# summary: collects journals, container logs, manifests and events of every node in a folder
. "$(dirname "$0")/../lib/common.sh"
. "$LAB_DIR/node/lab.sh"
. "$LAB_DIR/node/logs.sh"

help() {
  cat << 'HELP'
Usage: lab logs [--id NAME] FOLDER

Writes FOLDER/NODE/… (journal, container logs, static pod manifests, what kbootstrap and kubeadm left, and the state of
network, disks and processes), FOLDER/cluster/ (kubectl get …) and FOLDER/lab/ (services, rules of the network).
Nodes that are off give what is on their disks.
HELP
}
parse_id "$@"
[ ${#ARGS[@]} = 1 ] || usage_error "\`lab logs FOLDER\`"
need_root
need_lab
folder=${ARGS[0]}
mkdir -p "$folder/lab"
# One thing that cannot be had must not keep back the rest.
set +e
folder=$(cd "$folder" && pwd)
for node in $(node_names); do collect_node "$node" "$folder/$node" & done
collect_lab "$folder/lab"
collect_cluster "$folder/cluster"
wait
say "Logs are in $folder"
