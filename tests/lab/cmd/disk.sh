#!/bin/bash
# summary: lists what a node has written to its disk, to compare before and after
. "$(dirname "$0")/../lib/common.sh"
. "$LAB_DIR/node/lab.sh"

help() {
  cat << 'HELP'
Usage: lab disk [--id NAME] NODE

One line per file that is not as in the common root: type, mode, owner, size, when its content was last written, path,
target of a link. Two lists that are alike mean that nothing was written in between. Left out is what changes by itself or
by a login: logs, /tmp, the state of systemd and sudo.
HELP
}
parse_id "$@"
need_root
need_lab
node=${ARGS[0]-}
[ ${#ARGS[@]} -le 1 ] || usage_error "\`lab disk NODE\`"
need_node "$node"
need_power "$node"
# The disk as systemd-nspawn sees it: inside the node, only the whole that it makes with the common root is to be seen.
for pid in $(cgroup_pids "$node"); do
  [ "$(cat "/proc/$pid/comm" 2> /dev/null)" = systemd-nspawn ] || continue
  cd "/proc/$pid/root$STATE/node/$node/disk"
  find upper containerd docker kubelet \
    \( -path upper/var/log -o -path upper/tmp -o -path upper/var/tmp -o -path upper/var/lib/systemd -o -path upper/var/lib/sudo \
    -o -name .sudo_as_admin_successful \) -prune \
    -o -type d -printf '%y %m %U:%G - - /%p\n' -o -printf '%y %m %U:%G %s %T+ /%p %l\n' | sed 's| /upper| |' | LC_ALL=C sort -k 6
  exit
done
die "node $node is booting"
