# shellcheck shell=bash
# Sourced by the entry point and by every command: paths, messages, locks. Sourcing it only defines; it changes nothing.
set -euo pipefail

LAB_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Outside the checkout, so that a fresh clone reuses what took long to build.
LAB_CACHE=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/kbootstrap-lab
export LAB_DIR LAB_CACHE

# Messages go to standard error: standard output is for what a caller reads (paths, lists).
say() { printf '%s\n' "$*" >&2; }
warn() { printf 'lab: warning: %s\n' "$*" >&2; }
die() { printf 'lab: %s\n' "$*" >&2; exit 1; }
usage_error() { printf 'lab: %s\n' "$*" >&2; exit 2; }

need_root() { [ "$(id -u)" = 0 ] || die "this needs root (namespaces, mounts, packages); run it as root"; }

# duration SECONDS: 7 -> 7s, 285 -> 4m45s
duration() {
  if (($1 < 60)); then echo "${1}s"; else printf '%dm%02ds\n' $(($1 / 60)) $(($1 % 60)); fi
}

# with_progress LABEL COMMAND...: runs it, and shows LABEL and how long it took (on a terminal: while it runs, too).
# Its exit status is the command's. The command's own output must go elsewhere, or it breaks the line.
with_progress() {
  local label=$1 start=$SECONDS ticker='' rc=0
  shift
  printf '%s … ' "$label" >&2
  if [ -t 2 ]; then
    # Ends with this process, too, should that be killed.
    while sleep 1 && [ -d "/proc/$$" ]; do printf '\r%s … %s ' "$label" "$(duration $((SECONDS - start)))" >&2; done &
    ticker=$!
  fi
  "$@" || rc=$?
  if [ -n "$ticker" ]; then
    kill "$ticker" 2> /dev/null || true
    wait "$ticker" 2> /dev/null || true
    printf '\r%s … ' "$label" >&2
  fi
  if [ "$rc" = 0 ]; then
    printf '%s\n' "$(duration $((SECONDS - start)))" >&2
  else
    printf 'failed after %s\n' "$(duration $((SECONDS - start)))" >&2
  fi
  return "$rc"
}

# take_lock FILE [MESSAGE]: waits for an exclusive lock that this process (and what it execs) holds until it ends, however
# it ends. MESSAGE is said once if someone else holds it. The descriptor is left in LOCK_FD.
take_lock() {
  mkdir -p "$(dirname "$1")"
  exec {LOCK_FD}> "$1"
  flock -n "$LOCK_FD" && return
  [ -z "${2-}" ] || say "$2"
  flock "$LOCK_FD"
}
drop_lock() { exec {LOCK_FD}>&-; }
