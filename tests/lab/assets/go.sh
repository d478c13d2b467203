# shellcheck shell=bash
# Sourced by the recipes that build Go programs. Everything comes from published modules, since nothing prebuilt can be had.

# Kubernetes of this age needs the Go of its time: built with Go 1.26, kubeadm 1.30 rejects every IPv4 subnet in its
# preflight (HTTPProxyCIDR: invalid IP-literal). The toolchain itself comes as a module.
export GOTOOLCHAIN=go1.23.10
# Not every module is in the checksum database (staging modules of Kubernetes, for one).
export GONOSUMDB='k8s.io/*,sigs.k8s.io/*,go.etcd.io/*,github.com/*'
export CGO_ENABLED=0 GOFLAGS='-buildvcs=false -mod=mod' GOOS=linux GOARCH=amd64 GOWORK=off
# In the lab's cache, so that an interrupted build goes on where it was.
export GOCACHE=$LAB_CACHE/go-build

# module_source MODULE@VERSION: prints the folder it was unpacked in.
module_source() { go mod download -json "$1" | sed -n 's/.*"Dir": "\(.*\)",/\1/p'; }

# go_install LDFLAGS PACKAGE…: builds programs into $OUT.
go_install() {
  local flags="-s -w $1"
  shift
  go build -trimpath -ldflags "$flags" -o "$OUT/" "$@"
}

work=$(mktemp -d "$OUT/.work.XXXX")
trap 'rm -rf "$work"' EXIT
