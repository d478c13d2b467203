# shellcheck shell=bash
# A node's power button.

# boot NODE: returns at once; wait_for_ssh tells when it answers
boot() {
  local node=$1 dir=$STATE/node/$1 lower
  lower=$(cat "$STATE/root")
  network_attach "$node"
  cgroup_make "$node"
  # In the foreground until the node's cgroup has its first process: from then on it counts as running.
  (
    cgroup_join "$node" $BASHPID
    # slave: when a namespace of another lab is removed, this node lets go of it, too.
    unlocked exec setsid unshare --mount --propagation slave bash "$NODE_DIR/machine.sh" "$ID" "$node" "$lower" > "$dir/console.log" 2>&1 < /dev/null &
  )
}

# power_off NODE: at once, as when the plug is pulled. Killing systemd-nspawn alone would leave the node alive and
# answering, in a network namespace without a name; so by cgroup.
power_off() {
  cgroup_kill "$1"
  network_detach "$1"
  disk_wait_free "$1"
  cgroup_remove "$1"
}

node_runs() { [ -n "$(cgroup_pids "$1")" ]; }

# node_state NODE: running, paused or off
node_state() {
  if ! node_runs "$1"; then
    echo off
  elif [ "$(cgroup_state "$1")" != THAWED ]; then
    echo paused
  else
    echo running
  fi
}

running_nodes() { for node in $(node_names); do if node_runs "$node"; then echo "$node"; fi; done; }

# start_nodes WAIT NODE…: a node that is cut off cannot be waited for
start_nodes() {
  local wait=$1 node start=$EPOCHREALTIME
  local waited=()
  shift
  for node; do
    if node_runs "$node"; then
      say "$node is on already"
    else
      power_off "$node"
      boot "$node"
      [ "$wait" = 0 ] || [ -f "$STATE/node/$node/cut" ] || waited+=("$node")
    fi
  done
  [ ${#waited[@]} = 0 ] || wait_for_ssh 60 "${waited[@]}"
  say "Booted after $(seconds_since "$start") s: $*"
}

# leader NODE: the pid of the node's systemd, as the machine sees it
leader() {
  local pid
  for pid in $(cgroup_pids "$1"); do
    if grep -qs "^NSpid:	$pid	1\$" "/proc/$pid/status"; then
      echo "$pid"
      return
    fi
  done
  die "node $1 is off"
}

# inside NODE COMMAND…: without ssh, for what must work whatever the node's sshd is like
inside() {
  local pid
  pid=$(leader "$1")
  shift
  nsenter -t "$pid" --mount --uts --ipc --net --pid -- "$@"
}

# answers NODE: someone can log in. An open port is not enough, for a booting system turns its users away.
answers() {
  in_lab timeout 5 bash -c 'exec 3<> "/dev/tcp/$0/22"' "$(node_address "$1")" 2> /dev/null \
    && in_lab ssh -F "$STATE/ssh_config" -o ConnectTimeout=5 -o BatchMode=yes "$1" true > /dev/null 2>&1 < /dev/null
}

# wait_for_ssh SECONDS NODE…: fails and shows the console of the first node that does not answer in time
wait_for_ssh() {
  local limit=$1 start=$SECONDS node
  shift
  for node; do
    until answers "$node"; do
      node_runs "$node" || boot_failed "$node" "ended while it booted"
      ((SECONDS - start < limit)) || boot_failed "$node" "does not answer on ssh after ${limit}s"
      sleep 0.1
    done
  done
}

boot_failed() {
  tail -n 15 "$STATE/node/$1/console.log" | sed 's/^/    /' >&2
  die "node $1 $2 (above: the end of its console)"
}
