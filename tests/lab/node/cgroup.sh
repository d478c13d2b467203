# shellcheck shell=bash
# Cgroups (v1 hierarchy). A lab's processes are found, frozen and killed by them: pids may be reused and parents may die,
# but nothing leaves a cgroup by itself. Children: one per node, services, tool (the lab's own commands), run.

cgroup_exists() {
  local c
  for c in /sys/fs/cgroup/*/; do [ ! -d "$c$CGROUP" ] || return 0; done
  return 1
}

# cgroup_make NAME [CONTROLLER…]: default: in every hierarchy, as a node needs it to boot.
cgroup_make() {
  local name=$1 c f
  shift
  for c in $(cgroup_hierarchies "$@"); do
    mkdir -p "$c/$CGROUP/$name"
    [ -e "$c/cpuset.cpus" ] || continue
    # A new cpuset is empty, and nothing may run in it until it names processors and memory.
    for f in cpuset.cpus cpuset.mems; do
      cat "$c/$f" > "$c/$CGROUP/$f"
      cat "$c/$f" > "$c/$CGROUP/$name/$f"
    done
  done
}

# cgroup_join NAME PID [CONTROLLER…]
cgroup_join() {
  local name=$1 pid=$2 c
  shift 2
  for c in $(cgroup_hierarchies "$@"); do echo "$pid" > "$c/$CGROUP/$name/cgroup.procs"; done
}

cgroup_hierarchies() {
  local c
  if [ $# -gt 0 ]; then
    printf '/sys/fs/cgroup/%s\n' "$@"
  else
    for c in /sys/fs/cgroup/*; do [ ! -f "$c/cgroup.procs" ] || echo "$c"; done
  fi
}

# cgroup_pids [NAME]: every process of the lab, or of one of its parts. This command itself is left out: `run` and `tool`
# may hold it.
cgroup_pids() {
  find "/sys/fs/cgroup/pids/$CGROUP${1:+/$1}" -name cgroup.procs -exec cat {} + 2> /dev/null | grep -vx "$$" | sort -u || true
}

# cgroup_state NAME: THAWED or FROZEN
cgroup_state() { cat "/sys/fs/cgroup/freezer/$CGROUP/$1/freezer.state"; }

# cgroup_freeze NAME FROZEN|THAWED
cgroup_freeze() {
  local file=/sys/fs/cgroup/freezer/$CGROUP/$1/freezer.state
  for _ in {1..100}; do
    echo "$2" > "$file"
    [ "$(cat "$file")" != "$2" ] || return 0
    sleep 0.02
  done
  die "node $1 is still $(cat "$file"), not $2"
}

# cgroup_kill [NAME]: ends every process at once. New ones may be born meanwhile, so it goes on until none is left.
cgroup_kill() {
  local pids
  for _ in {1..200}; do
    pids=$(cgroup_pids "${1-}")
    [ -n "$pids" ] || return 0
    # shellcheck disable=SC2086
    kill -9 $pids 2> /dev/null || true
    # Frozen processes die only once they are thawed; so thaw after the signal, and they do nothing more. Cgroups vanish under
    # find's eyes, which is no failure.
    find "/sys/fs/cgroup/freezer/$CGROUP${1:+/$1}" -name freezer.state 2> /dev/null | while read -r file; do
      echo THAWED > "$file" 2> /dev/null || true
    done || true
    sleep 0.02
  done
  die "these processes of lab \`$ID\` do not end: $(xargs <<< "$pids")"
}

# cgroup_remove [NAME]
cgroup_remove() {
  local c
  for c in /sys/fs/cgroup/*/; do
    [ -d "$c$CGROUP${1:+/$1}" ] || continue
    # This command may be in it still.
    if grep -qsx "$$" "$c$CGROUP"/*/cgroup.procs; then echo $$ > "${c}cgroup.procs"; fi
    # A process that has just ended keeps its cgroup for an instant.
    for _ in {1..50}; do
      find "$c$CGROUP${1:+/$1}" -depth -type d -exec rmdir {} + 2> /dev/null || true
      [ -d "$c$CGROUP${1:+/$1}" ] || continue 2
      sleep 0.02
    done
    warn "the cgroup $c$CGROUP${1:+/$1} is still in use"
  done
}
