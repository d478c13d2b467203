# kubernetes.sh VERSION [PACKAGE…]: the seven programs of one Kubernetes version, and further packages of its module.
# uses: go.sh
version=$1
shift
. "$(dirname "$0")/go.sh"
minor=$(cut -d. -f2 <<< "$version")

programs=()
for p in kubeadm kubelet kubectl kube-apiserver kube-controller-manager kube-scheduler kube-proxy; do
  programs+=("k8s.io/kubernetes/cmd/$p")
done
for p in "$@"; do programs+=("k8s.io/kubernetes/$p"); done

# Prints "MODULE VERSION" for the newest published patch that is not newer than ours: some patches of some staging
# modules cannot be had.
staging_version() {
  local patch
  for ((patch = ${version##*.}; patch >= 0; patch--)); do
    go mod download "$1@v0.$minor.$patch" > /dev/null 2>&1 && { echo "$1 v0.$minor.$patch"; return; }
  done
  echo "no version of $1" >&2
  return 1
}
export -f staging_version
export version minor

# The module k8s.io/kubernetes replaces its staging modules by folders that its zip does not hold. A module of our own
# requires it, and replaces each of them by its published twin (v1.30.14 -> v0.30.14).
source=$(module_source "k8s.io/kubernetes@v$version")
staging=$(grep -oE '^(replace)?[[:space:]]*k8s.io/[a-z-]+ => ./staging' "$source/go.mod" | grep -oE 'k8s.io/[a-z-]+')
versions=$(cd "$work" && xargs -P 8 -I{} bash -c 'staging_version {}' <<< "$staging")
{
  echo "module lab/kubernetes"
  grep -E '^(go|godebug|toolchain) ' "$source/go.mod"
  sed -n '/^godebug (/,/^)/p' "$source/go.mod"
  echo "require k8s.io/kubernetes v$version"
  while read -r module v; do echo "replace $module => $module $v"; done <<< "$versions"
} > "$work/go.mod"
cp "$source/go.sum" "$work/"
{
  echo "package tools"
  printf 'import _ "%s"\n' "${programs[@]}"
} > "$work/tools.go"

flags=
for p in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  flags+=" -X $p.gitVersion=v$version -X $p.gitMajor=1 -X $p.gitMinor=$minor"
  flags+=" -X $p.gitTreeState=clean -X $p.gitCommit=lab -X $p.buildDate=2025-06-17T00:00:00Z"
done
cd "$work"
# The cloud providers of old would be a third of the work, and no lab has a cloud.
GOFLAGS="$GOFLAGS -tags=providerless" go_install "$flags" "${programs[@]}"
echo "staging modules of an older patch:"
grep -v " v0.$minor.${version##*.}\$" <<< "$versions" || echo none
