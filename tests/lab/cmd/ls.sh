#!/bin/bash
# summary: lists labs and their nodes
. "$(dirname "$0")/../lib/common.sh"
. "$LAB_DIR/node/lab.sh"
. "$LAB_DIR/node/write.sh"
. "$LAB_DIR/node/down.sh"

help() {
  cat << 'HELP'
Usage: lab ls [--id NAME] [--output json]

All labs, or one. A lab is "up", or "half made" where a `lab up` is at work or was interrupted; "orphan" says that
`lab down --orphans` would take it. A node is running, paused or off.
HELP
}

only='' output=text
while [ $# -gt 0 ]; do
  case $1 in *=*) option=${1%%=*} rest=${1#*=}; shift; set -- "$option" "$rest" "$@" ;; esac
  case $1 in
    -h | --help) help; exit 0 ;;
    --id) only=${2-}; use_lab "$only" ;;
    --output) output=${2-} ;;
    *) usage_error "no option \`$1\` (\`lab ls --help\`)" ;;
  esac
  [ $# -ge 2 ] || usage_error "$1 needs a value (\`lab ls --help\`)"
  shift 2
done
[[ $output =~ ^(text|json)$ ]] || usage_error "--output is text or json, not \`$output\`"

lab_ids() {
  local folder
  if [ -n "$only" ]; then
    if lab_exists; then echo "$only"; fi
    return
  fi
  for folder in "$LAB_STATE_ROOT"/*/; do if [ -d "$folder/node" ]; then basename "$folder"; fi; done
}

lab_json() {
  local node lab_state=up
  lab_is_up || lab_state='half made'
  { [ ! -f "$STATE/nodes" ] || node_names; } | while read -r node; do
    jq -n --arg name "$node" --arg address "$(node_address "$node")" --arg role "$(node_field "$node" 3)" \
      --arg zone "$(node_field "$node" 4)" --arg state "$(node_state "$node")" --arg cut "$([ ! -f "$STATE/node/$node/cut" ] || echo 1)" \
      --argjson disk "$(du -k "$STATE/node/$node/disk.img" 2> /dev/null | awk '{ print $1 * 1024 }' | grep . || echo null)" \
      --rawfile variants "$STATE/node/$node/variants" \
      '{$name, $address, $role, $zone, $state, cut: ($cut != ""), disk_bytes: $disk, variants: ($variants | split("\n") | map(select(. != "")))}'
  done | jq -s --arg id "$ID" --arg state "$lab_state" --arg orphan "$(if lab_is_orphan; then echo 1; fi)" \
    --arg folder "$STATE" --arg namespace "$NETNS" '{$id, $state, orphan: ($orphan != ""), $folder, $namespace, nodes: .}'
}

all=$(for id in $(lab_ids); do use_lab "$id"; lab_json; done | jq -s .)
if [ "$output" = json ]; then
  echo "$all"
else
  [ "$all" != "[]" ] || say "There is no lab (\`lab up\` makes one)"
  jq -r '.[] | "\(.id): \(.state)\(if .orphan then ", orphan" else "" end)  \(.folder)",
    (.nodes[] | "  \(.name)\t\(.address)\t\(.role)\t\(.state)\(if .cut then ", cut" else "" end)\t\(.disk_bytes // 0 | . / 1048576 | floor) MiB\t\(.variants | join(" "))")' <<< "$all" \
    | sed 's/\t$//' | awk -F'\t' 'NF > 1 { printf "%-6s %-11s %-13s %-12s %8s  %s\n", $1, $2, $3, $4, $5, $6; next } { print }'
fi
