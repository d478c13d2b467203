# shellcheck shell=bash
# Sourced after common.sh. An asset is a folder $LAB_CACHE/NAME-DIGEST that never changes once it is there: it is built
# under a name ending in .tmp and renamed when complete. DIGEST covers the recipe and the assets it is made from, so an
# edited recipe builds anew and nothing else does. assets/list says which there are.

declare -gA ASSET_DIGEST=() ASSET_RECIPE=() ASSET_NEEDS=() ASSET_TITLE=()
declare -ga ASSET_NAMES=()

# asset NAME: prints the folder of a built asset.
asset() {
  read_assets
  [ -n "${ASSET_DIGEST[$1]-}" ] || die "there is no asset \`$1\` (tests/lab/assets/list names them)"
  [ -d "$LAB_CACHE/$1-${ASSET_DIGEST[$1]}" ] || die "the lab's $1 is not built yet: run \`lab assets\`"
  echo "$LAB_CACHE/$1-${ASSET_DIGEST[$1]}"
}

# Reads assets/list, in which each asset stands below those it needs, and computes every digest.
read_assets() {
  [ ${#ASSET_NAMES[@]} = 0 ] || return 0
  local name recipe needs title
  while IFS='|' read -r name recipe needs title; do
    # The columns are padded for the reader; word splitting takes the blanks away.
    # shellcheck disable=SC2086
    set -- $name
    [ -n "${1-}" ] && [ "${1:0:1}" != '#' ] || continue
    name=$1
    ASSET_NAMES+=("$name")
    ASSET_RECIPE[$name]=$(echo $recipe) ASSET_NEEDS[$name]=$(echo $needs) ASSET_TITLE[$name]=$(echo $title)
    ASSET_DIGEST[$name]=$(asset_digest "$name")
  done < "$LAB_DIR/assets/list"
}

asset_digest() {
  local recipe=${ASSET_RECIPE[$1]%% *} need
  # Keys are made once and kept whatever becomes of their recipe: clusters and nodes trust them.
  if [ "$recipe" = keys ]; then
    local have=("$LAB_CACHE/$1"-????????????)
    if [ -d "${have[0]}" ]; then echo "${have[0]##*-}"; else fresh_id; fi
    return
  fi
  {
    echo "${ASSET_RECIPE[$1]}"
    cd "$LAB_DIR/assets"
    cat "$recipe.sh"
    # A recipe's other files lie in a folder of its name, or it names them: "# uses: FILE…".
    find "$recipe" -type f -print0 2> /dev/null | LC_ALL=C sort -z | xargs -0r cat
    sed -n 's/^# uses: //p' "$recipe.sh" | xargs -r cat
    for need in ${ASSET_NEEDS[$1]}; do echo "$need ${ASSET_DIGEST[$need]}"; done
  } | sha256sum | cut -c1-12
}

fresh_id() { head -c 6 /dev/urandom | od -An -tx1 | tr -d ' \n'; }

# build_asset NAME POSITION: builds it unless it is there. Two at once: the second waits, then finds it.
build_asset() {
  local name=$1 folder=$LAB_CACHE/$1-${ASSET_DIGEST[$1]} log=$LAB_CACHE/log/$1.log need
  [ ! -d "$folder" ] || return 0
  take_lock "$LAB_CACHE/lock/$name" "another \`lab assets\` is building ${ASSET_TITLE[$name]}; waiting for it"
  if [ ! -d "$folder" ]; then
    local variables=()
    for need in ${ASSET_NEEDS[$name]}; do
      variables+=("ASSET_$(tr a-z.- A-Z__ <<< "$need")=$LAB_CACHE/$need-${ASSET_DIGEST[$need]}")
    done
    need_space
    mkdir -p "$LAB_CACHE/log"
    # What an interrupted build left. It had its own mount namespace, so nothing is mounted there any more.
    rm -rf "$LAB_CACHE/$name"-*.tmp
    mkdir "$folder.tmp"
    if ! with_progress "$2 ${ASSET_TITLE[$name]}" run_recipe "$folder.tmp" "$log" ${ASSET_RECIPE[$name]}; then
      tail -n 20 "$log" | sed 's/^/    /' >&2
      die "could not build ${ASSET_TITLE[$name]}; the whole log: $log"
    fi
    sync -f "$folder.tmp"
    mv "$folder.tmp" "$folder"
    remove_old "$name"
  fi
  drop_lock
}

# run_recipe FOLDER LOG RECIPE [ARGUMENT…]: the recipe has its own mounts and processes, and both end with it however it
# ends, so an interrupted build leaves nothing but its folder. It finds the assets it needs as ASSET_NAME.
run_recipe() {
  local folder=$1 log=$2 recipe=$3
  shift 3
  env "${variables[@]}" OUT="$folder" \
    unshare --mount --propagation private --pid --mount-proc --fork --kill-child \
    bash -euo pipefail "$LAB_DIR/assets/$recipe.sh" "$@" > "$log" 2>&1 < /dev/null
}

# An asset's folder of an older recipe may still serve a lab that is up; two are kept, and any that is mounted.
remove_old() {
  local old
  # shellcheck disable=SC2012  # names here are our own
  ls -dt "$LAB_CACHE/$1"-???????????? 2> /dev/null | tail -n +3 | while read -r old; do
    grep -qF "$old" /proc/mounts || rm -rf "$old"
  done
}

# A full build takes about 12 GiB, most of it Go's build cache; what is already there counts.
need_space() {
  local free used
  mkdir -p "$LAB_CACHE"
  free=$(df -Pk "$LAB_CACHE" | awk 'NR == 2 { print int($4 / 1048576) }')
  used=$(du -sk "$LAB_CACHE" 2> /dev/null | awk '{ print int($1 / 1048576) }')
  ((free + used >= 15 && free >= 2)) || die "too little disk space: $LAB_CACHE needs 15 GiB in all (used $used, free $free)"
}
