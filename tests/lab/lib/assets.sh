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
    # Without the blanks that pad a column for the reader.
    read -r name <<< "$name"
    case $name in "" | \#*) continue ;; esac
    ASSET_NAMES+=("$name")
    read -r "ASSET_RECIPE[$name]" <<< "$recipe"
    read -r "ASSET_NEEDS[$name]" <<< "$needs"
    read -r "ASSET_TITLE[$name]" <<< "$title"
    ASSET_DIGEST[$name]=$(asset_digest "$name")
  done < "$LAB_DIR/assets/list"
}

asset_digest() {
  local recipe=${ASSET_RECIPE[$1]%% *} need
  # Keys are made once and kept, whatever becomes of their recipe: they stand for themselves.
  if [ "$recipe" = keys ]; then
    local have=("$LAB_CACHE/$1"-????????????)
    if [ -d "${have[0]}" ]; then echo "${have[0]##*-}"; else echo none; fi
    return
  fi
  # Read without starting a process for each: this runs before everything else that the lab does.
  local LC_ALL=C file content text=${ASSET_RECIPE[$1]}$'\n' files=("$LAB_DIR/assets/$recipe.sh")
  shopt -s globstar nullglob
  # A recipe's other files lie in a folder of its name, or it names them: "# uses: FILE…".
  for file in "$LAB_DIR/assets/$recipe"/**; do [ -d "$file" ] || files+=("$file"); done
  IFS= read -rd '' content < "${files[0]}" || true
  if [[ $content =~ $'\n# uses: '([^$'\n']+) ]]; then
    for file in ${BASH_REMATCH[1]}; do files+=("$LAB_DIR/assets/$file"); done
  fi
  for file in "${files[@]}"; do
    IFS= read -rd '' content < "$file" || true
    text+=$content
  done
  for need in ${ASSET_NEEDS[$1]}; do text+="$need ${ASSET_DIGEST[$need]}"$'\n'; done
  text=$(printf %s "$text" | sha256sum)
  echo "${text:0:12}"
}

# make_keys POSITION: every digest that depends on them changes with that, so all are read again.
make_keys() {
  take_lock "$LAB_CACHE/lock/keys"
  if [ "$(asset_digest keys)" = none ]; then
    local folder=$LAB_CACHE/keys.tmp variables=(LAB_CACHE="$LAB_CACHE")
    mkdir -p "$LAB_CACHE/log"
    rm -rf "$folder"
    mkdir "$folder"
    with_progress "$1 ${ASSET_TITLE[keys]}" run_recipe "$folder" "$LAB_CACHE/log/keys.log" keys \
      || die "could not make the lab's keys: $LAB_CACHE/log/keys.log"
    mv "$folder" "$LAB_CACHE/keys-$(tr A-F a-f < "$folder/fingerprint" | cut -c1-12)"
  fi
  drop_lock
  ASSET_NAMES=()
  read_assets
}

# build_asset NAME POSITION: builds it unless it is there. Two at once: the second waits, then finds it.
build_asset() {
  local name=$1 folder=$LAB_CACHE/$1-${ASSET_DIGEST[$1]} log=$LAB_CACHE/log/$1.log need
  [ ! -d "$folder" ] || return 0
  take_lock "$LAB_CACHE/lock/$name" "another \`lab assets\` is building ${ASSET_TITLE[$name]}; waiting for it"
  if [ ! -d "$folder" ]; then
    local variables=(LAB_CACHE="$LAB_CACHE")
    for need in ${ASSET_NEEDS[$name]}; do
      variables+=("ASSET_$(tr a-z.- A-Z__ <<< "$need")=$LAB_CACHE/$need-${ASSET_DIGEST[$need]}")
    done
    need_space
    mkdir -p "$LAB_CACHE/log"
    # What an interrupted build left. It had its own mount namespace, so nothing is mounted there any more.
    rm -rf "$LAB_CACHE/$name"-*.tmp
    mkdir "$folder.tmp"
    # shellcheck disable=SC2086  # a recipe and its arguments
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
  (
    export "${variables[@]}" OUT="$folder"
    exec setpriv --pdeathsig KILL \
      unshare --mount --propagation private --pid --mount-proc --fork --kill-child \
      bash -euo pipefail "$LAB_DIR/assets/$recipe.sh" "$@" > "$log" 2>&1 < /dev/null
  ) &
  # Waited for, and not run in front: so that a signal is acted on at once.
  RECIPE_PID=$!
  wait "$RECIPE_PID"
}
interrupted() {
  [ -z "${RECIPE_PID-}" ] || kill -KILL "$RECIPE_PID" 2> /dev/null || true
  say ""
  say "lab: interrupted; the next \`lab assets\` goes on from here"
  exit "$1"
}

# An asset's folder of an older recipe may still serve a lab that is up: two are kept, and any that is mounted or that the
# configuration of a lab's service names.
remove_old() {
  local old
  # shellcheck disable=SC2012  # names here are our own
  ls -dt "$LAB_CACHE/$1"-???????????? 2> /dev/null | tail -n +3 | while read -r old; do
    grep -qF "$old" /proc/mounts && continue
    grep -rqsF "$old" /var/lib/kbootstrap-lab/*/services/*.{yml,conf} && continue
    rm -rf "$old"
  done
}

# A full build takes about 10 GiB, 7 of them Go's build cache; what is already there counts.
need_space() {
  local free used
  mkdir -p "$LAB_CACHE"
  free=$(df -Pk "$LAB_CACHE" | awk 'NR == 2 { print int($4 / 1048576) }')
  used=$(du -sk "$LAB_CACHE" 2> /dev/null | awk '{ print int($1 / 1048576) }')
  ((free + used >= 12 && free >= 2)) || die "too little disk space: $LAB_CACHE needs 12 GiB in all (used $used, free $free)"
}
