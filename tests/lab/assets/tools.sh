# tools.sh: the other programs of a cluster: name server, pod network, network policies, crictl.
# uses: go.sh
. "$(dirname "$0")/go.sh"

# build NAME MODULE@VERSION PACKAGE: a module that builds alone, in a copy that can be written to.
build() {
  local folder=$work/$1
  cp -r "$(module_source "$2")" "$folder"
  chmod -R u+w "$folder"
  echo "building $1 of $2"
  (cd "$folder" && go build -trimpath -ldflags "-s -w ${flags-}" -o "$OUT/$1" "$3")
  rm -rf "$folder"
}
build coredns github.com/coredns/coredns@v1.11.3 .
build crictl sigs.k8s.io/cri-tools@v1.30.0 ./cmd/crictl # 1.30.1 cannot be had
build kube-router github.com/cloudnativelabs/kube-router/v2@v2.1.0 ./cmd/kube-router
# flannel's own plugin has no module of its own; this is the last place where it was published.
build flannel github.com/containernetworking/plugins@v0.9.1 ./plugins/meta/flannel
# Its udp backend is C: linked statically, so that it runs in any image.
export CGO_ENABLED=1 GOFLAGS="$GOFLAGS -tags=netgo,osusergo"
flags="-linkmode=external -extldflags=-static -X github.com/flannel-io/flannel/pkg/version.Version=v0.25.7"
build flanneld github.com/flannel-io/flannel@v0.25.7 .
