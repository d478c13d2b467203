#!/bin/bash
# summary: ends a lab and leaves nothing of it
. "$(dirname "$0")/../lib/common.sh"
. "$LAB_DIR/node/lab.sh"
. "$LAB_DIR/node/write.sh"
. "$LAB_DIR/node/down.sh"

help() {
  cat << 'HELP'
Usage: lab down [--id NAME]
       lab down --orphans     every lab whose owner (`lab up --owner`) is gone, or whose `lab up` was interrupted
       lab down --all

Ends every process, and removes namespaces, links, mounts, cgroups and disks. Saved disks (`lab save`) stay.
HELP
}
parse_id "$@"
need_root

end_lab() {
  local start=$EPOCHREALTIME
  # Not by begin_change: the lab may be half made. A command at work on it is ended with it, and lets go of the lock.
  lab_exists || return 1
  take_down
  lock_lab
  take_down
  rm -f "$LAB_STATE_ROOT/.lock-$ID"
  drop_lock
  say "Lab \`$ID\` is down after $(seconds_since "$start") s"
}

case "${ARGS[*]}" in
  "") end_lab || say "There is no lab \`$ID\`" ;;
  --all | --orphans)
    for folder in "$LAB_STATE_ROOT"/*/; do
      [ -d "$folder/node" ] || [ -f "$folder/up.pid" ] || continue
      use_lab "$(basename "$folder")"
      if [ "${ARGS[*]}" = --all ] || lab_is_orphan; then end_lab; fi
    done
    ;;
  *) usage_error "\`lab down\` takes no \`${ARGS[*]}\` (\`lab down --help\`)" ;;
esac
