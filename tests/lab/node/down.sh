# shellcheck shell=bash
# The end of a lab, whatever state it is in: whole, half made, or half removed.

take_down() {
  # This command itself may be in the lab's cgroup (a failed `up`, or `lab run … lab down`).
  if cgroup_exists; then
    for c in pids freezer; do echo $$ > "/sys/fs/cgroup/$c/cgroup.procs"; done
    cgroup_kill
  fi
  network_remove
  for _ in {1..250}; do
    [ -n "$(disk_loops)" ] || break
    sleep 0.02
  done
  [ -z "$(disk_loops)" ] || warn "loop devices still in use: $(disk_loops | xargs)"
  cgroup_remove
  rm -rf "$STATE"
}

# lab_is_orphan: its owner is gone; or nobody owns it and the `up` that was making it is gone
lab_is_orphan() {
  local pid start
  if [ -f "$STATE/owner" ]; then
    read -r pid start < "$STATE/owner"
    [ "$(process_identity "$pid" || true)" != "$pid $start" ]
  else
    ! lab_is_up && ! kill -0 "$(cat "$STATE/up.pid" 2> /dev/null || echo 0)" 2> /dev/null
  fi
}
