# shellcheck shell=bash
# Sourced after lib/common.sh. One lab: its names, its state folder, its nodes, the lock that commands take on it.
# Everything a lab owns carries its id: namespaces kblab-ID and kblab-ID-NODE, cgroups kblab-ID/…, links ID-NODE.

LAB_STATE_ROOT=${KBOOTSTRAP_LAB_STATE:-/var/lib/kbootstrap-lab}
NODE_DIR=$LAB_DIR/node
TOPIC_FILES=(cgroup network services disk boot)
for topic in "${TOPIC_FILES[@]}"; do
  # shellcheck source=/dev/null
  . "$NODE_DIR/$topic.sh"
done

# use_lab ID: sets the names that everything else uses. Changes nothing.
use_lab() {
  # Ten characters leave five of a link's fifteen for "-cp10".
  [[ $1 =~ ^[a-z][a-z0-9]{0,9}$ ]] || usage_error "\`$1\` is no lab id: one letter, then up to nine letters or digits, all lower case"
  ID=$1
  STATE=$LAB_STATE_ROOT/$ID
  NETNS=kblab-$ID
  CGROUP=kblab-$ID
}

# parse_id ARGS…: takes `--id NAME` and `--help` from anywhere before `--`; the rest is left in ARGS.
# Callers define help(). --id defaults to KBOOTSTRAP_LAB_ID, then "lab".
parse_id() {
  local id=${KBOOTSTRAP_LAB_ID:-lab}
  ARGS=()
  while [ $# -gt 0 ]; do
    case $1 in
      -h | --help) help; exit 0 ;;
      --id) [ $# -ge 2 ] || usage_error "--id needs a name"; id=$2; shift 2 ;;
      --id=*) id=${1#--id=}; shift ;;
      --) ARGS+=("$@"); break ;;
      *) ARGS+=("$1"); shift ;;
    esac
  done
  use_lab "$id"
}

# parse_id_first ARGS…: like parse_id, for commands whose other arguments belong to someone else (ssh, run).
parse_id_first() {
  local id=${KBOOTSTRAP_LAB_ID:-lab}
  case ${1-} in
    -h | --help) help; exit 0 ;;
    --id) [ $# -ge 2 ] || usage_error "--id needs a name"; id=$2; shift 2 ;;
    --id=*) id=${1#--id=}; shift ;;
  esac
  [ "${1-}" != -- ] || shift
  use_lab "$id"
  ARGS=("$@")
}

lab_is_up() { [ -f "$STATE/ready" ]; }
need_lab() { lab_is_up || die "lab \`$ID\` is not up (\`lab up --id $ID\`; \`lab ls\` lists those that are)"; }

# Anything of this id at all, whole or half made.
lab_exists() {
  [ -d "$STATE" ] || cgroup_exists || [ -e "/run/netns/$NETNS" ]
}

# The nodes are lines "NAME ADDRESS ROLE ZONE SUBNET" of STATE/nodes; VARIANTS of a node in STATE/node/NAME/variants.
node_names() { cut -d' ' -f1 "$STATE/nodes"; }
node_field() { awk -v n="$1" -v f="$2" '$1 == n { print $f; found = 1 } END { exit !found }' "$STATE/nodes"; }
node_address() { node_field "$1" 2; }

need_node() {
  [ -n "${1-}" ] || usage_error "which node? One of: $(node_names | xargs)"
  node_field "$1" 1 > /dev/null || usage_error "lab \`$ID\` has no node \`$1\`; it has $(node_names | xargs)"
}

need_nodes() {
  local node
  [ $# -gt 0 ] || need_node ""
  for node; do need_node "$node"; done
}

need_other() {
  need_node "$2"
  [ "$1" != "$2" ] || usage_error "$1 cannot be cut from itself"
}

need_power() { node_runs "$1" || die "node $1 is off (\`lab start --id $ID $1\`)"; }

# Commands that change a lab take turns, and run in its cgroup, so that `down` ends them like all else.
begin_change() {
  need_root
  need_lab
  lock_lab
  cgroup_make tool pids freezer
  cgroup_join tool $$ pids freezer
}

lock_lab() { take_lock "$LAB_STATE_ROOT/.lock-$ID" "another command is at work on lab \`$ID\`; waiting for it"; }

# Long-lived processes must not inherit the lock.
unlocked() { if [ -n "${LOCK_FD-}" ]; then "$@" {LOCK_FD}>&-; else "$@"; fi; }

in_lab() { ip netns exec "$NETNS" "$@"; }

seconds_since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }'; }
