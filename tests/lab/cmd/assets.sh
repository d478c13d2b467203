#!/bin/bash
# summary: builds, once, everything that a lab serves (packages, images, node root)
. "$(dirname "$0")/../lib/common.sh"
. "$LAB_DIR/lib/assets.sh"
. "$LAB_DIR/lib/host.sh"

case ${1-} in
  "") ;;
  -h | --help)
    cat << HELP
Usage: lab assets [NAME…]

Builds what the lab serves, or only the named assets and what they need, in
  $LAB_CACHE
and does nothing where that is done. Safe to interrupt: the next run goes on.

HELP
    read_assets
    for name in "${ASSET_NAMES[@]}"; do printf '  %-20s %s\n' "$name" "${ASSET_TITLE[$name]}"; done
    exit 0
    ;;
  -*) usage_error "no option \`$1\` (\`lab assets --help\`)" ;;
esac

read_assets
declare -A wanted=()
want() {
  local need
  [ -n "${ASSET_DIGEST[$1]-}" ] || usage_error "no asset \`$1\` (\`lab assets --help\` lists them)"
  wanted[$1]=1
  for need in ${ASSET_NEEDS[$1]}; do want "$need"; done
}
for name in "${@:-${ASSET_NAMES[@]}}"; do want "$name"; done

missing=()
for name in "${ASSET_NAMES[@]}"; do
  [ -n "${wanted[$name]-}" ] || continue
  [ -d "$LAB_CACHE/$name-${ASSET_DIGEST[$name]}" ] || missing+=("$name")
done
if [ ${#missing[@]} = 0 ]; then
  say "The lab's assets are complete: $LAB_CACHE"
  exit 0
fi

need_root
need_space
need_host_tools
say "Building ${#missing[@]} of the lab's ${#wanted[@]} assets in $LAB_CACHE (all of them: about 25 minutes on 2 cores)"
trap 'interrupted 130' INT
trap 'interrupted 143' TERM HUP
start=$SECONDS position=0
[ -z "${wanted[keys]-}" ] || [ "${ASSET_DIGEST[keys]}" != none ] || make_keys "[1/${#missing[@]}]"
for name in "${missing[@]}"; do
  position=$((position + 1))
  build_asset "$name" "[$position/${#missing[@]}]"
done
say "The lab's assets are complete: $LAB_CACHE ($(duration $((SECONDS - start))))"
