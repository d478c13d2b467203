# tools.sh: the other programs of a cluster: name server, pod network, network policies, crictl.
# uses: go.sh
. "$(dirname "$0")/go.sh"

# build NAME MODULE@VERSION PACKAGE [LDFLAGS]: a module that builds alone, in a copy that can be written to.
build() {
  echo "building $1 of $2"
  cp -r "$(module_source "$2")" "$work/$1"
  chmod -R u+w "$work/$1"
  cd "$work/$1"
  # What talks to clouds would be half of the work, and no lab has a cloud.
  [ -z "${without-}" ] || sed -i -E "\\#/($without)\"#d" "${at:?}"
  go build -trimpath -ldflags "-s -w ${4-}" -o "$OUT/$1" "$3"
}
without='azure|clouddns|route53|trace' at=core/plugin/zplugin.go build coredns github.com/coredns/coredns@v1.11.3 .
# 1.30.1 cannot be had.
build crictl sigs.k8s.io/cri-tools@v1.30.0 ./cmd/crictl "-X sigs.k8s.io/cri-tools/pkg/version.Version=v1.30.0"
build kube-router github.com/cloudnativelabs/kube-router/v2@v2.1.0 ./cmd/kube-router \
  "-X github.com/cloudnativelabs/kube-router/v2/pkg/version.Version=v2.1.0"
# flannel's own plugin has no module that could be had; this is the last place where it was published.
build flannel github.com/containernetworking/plugins@v0.9.1 ./plugins/meta/flannel
# Its udp backend is C: linked statically, so that it runs in any image.
export CGO_ENABLED=1 GOFLAGS="$GOFLAGS -tags=netgo,osusergo"
without=tencentvpc at=main.go build flanneld github.com/flannel-io/flannel@v0.25.7 . \
  "-linkmode=external -extldflags=-static -X github.com/flannel-io/flannel/pkg/version.Version=v0.25.7"
