#!/bin/bash
# reference-up.sh [--id NAME] [VERSION]: the bar for `kbootstrap up`. On a lab that is up and bare, brings three control
# planes and two workers to Ready along the shortest path that a person could write by hand: everything that can overlap
# does. It checks nothing and repairs nothing. Pods and policies are the program's own: flannel and kube-router.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
lab=$here/../lab/lab id=lab
if [ "${1-}" = --id ]; then id=$2; shift 2; fi
VERSION=${1:-1.30.14}
config=$("$lab" inventory --id "$id") || exit
config=$(dirname "$config")/ssh_config
control_planes=(cp1 cp2 cp3) workers=(w1 w2)
start=$EPOCHREALTIME
work=$(mktemp -d)
trap 'kill $(jobs -p) 2> /dev/null; rm -rf "$work"' EXIT

at() { awk -v a="$start" -v b="$EPOCHREALTIME" -v what="$*" 'BEGIN { printf "%6.1f s  %s\n", b - a, what }'; }
fail() { echo "reference-up: $1; its output:" >&2; tail -n 20 "$2" >&2; exit 1; }
on() { ip netns exec "kblab-$id" ssh -F "$config" "$@"; }
kubectl() { on cp1 sudo kubectl --kubeconfig /etc/kubernetes/admin.conf "$@"; }
address() { echo "10.77.0.$((${1//[!0-9]/} + $([ "${1:0:1}" = c ] && echo 10 || echo 20)))"; }

prepare() { # NODE ROLE
  { printf 'ROLE=%s VERSION=%s\n' "$2" "$VERSION"; cat "$here/prepare.sh"; } | on "$1" bash -s > "$work/prepare.$1" 2>&1 \
    || { touch "$work/failed.$1"; return 1; }
  touch "$work/prepared.$1"
  at "$1 prepared"
}
prepared() {
  until [ -f "$work/prepared.$1" ]; do
    [ ! -f "$work/failed.$1" ] || fail "$1 could not be prepared" "$work/prepare.$1"
    sleep 0.1
  done
}
join() { # NODE [CONTROL-PLANE SECTION]
  on "$1" 'sudo tee /root/join.yaml > /dev/null; sudo kubeadm join --config /root/join.yaml' > "$work/join.$1" 2>&1 << Y || fail "$1 could not join" "$work/join.$1"
apiVersion: kubeadm.k8s.io/v1beta3
kind: JoinConfiguration
nodeRegistration: {criSocket: "unix:///run/containerd/containerd.sock", kubeletExtraArgs: {node-ip: $(address "$1")}}
discovery: {bootstrapToken: {token: $token, apiServerEndpoint: "kube-api.lab:6443", caCertHashes: ["$hash"]}}
${2-}
Y
  at "$1 joined"
}

for node in "${control_planes[@]}"; do prepare "$node" control-plane & done
for node in "${workers[@]}"; do prepare "$node" worker & done
prepared cp1
sed "s/@VERSION@/$VERSION/" "$here/kubeadm-init.yaml" \
  | on cp1 'sudo tee /root/kubeadm.yaml > /dev/null; sudo kubeadm init --config /root/kubeadm.yaml' > "$work/init" 2>&1 || fail "kubeadm init failed" "$work/init"
at "cp1 initialised"
cat "$here"/manifests/flannel.yaml <(echo ---) "$here"/manifests/kube-router.yaml | kubectl apply -f - > "$work/network" 2>&1 || fail "the network could not be applied" "$work/network"
command=$(on cp1 sudo kubeadm token create --print-join-command < /dev/null)
token=$(grep -oE "[a-z0-9]{6}\.[a-z0-9]{16}" <<< "$command") hash=$(grep -o "sha256:[0-9a-f]*" <<< "$command")
on cp1 'sudo tar -C /etc/kubernetes/pki -cf - ca.crt ca.key sa.key sa.pub front-proxy-ca.crt front-proxy-ca.key etcd/ca.crt etcd/ca.key' < /dev/null > "$work/pki.tar"
joins=()
for node in "${workers[@]}"; do { prepared "$node" && join "$node"; } & joins+=($!); done
# One control plane at a time: each becomes a member of etcd.
for node in "${control_planes[@]:1}"; do
  prepared "$node"
  on "$node" 'sudo mkdir -p /etc/kubernetes/pki; sudo tar -C /etc/kubernetes/pki -xf -' < "$work/pki.tar"
  join "$node" "controlPlane: {localAPIEndpoint: {advertiseAddress: $(address "$node"), bindPort: 6443}}"
done
for job in "${joins[@]}"; do wait "$job" || exit 1; done
kubectl wait --for=condition=Ready node --all --timeout=120s < /dev/null > "$work/wait" 2>&1 || fail "not every node became Ready" "$work/wait"
at "every node Ready: $(kubectl get nodes --no-headers < /dev/null | grep -c ' Ready')"
for what in "kube-system deployment/coredns" "kube-system daemonset/kube-router" "kube-flannel daemonset/kube-flannel" "kube-system daemonset/kube-proxy"; do
  kubectl -n "${what% *}" rollout status "${what#* }" --timeout=120s < /dev/null > "$work/wait" 2>&1 || fail "${what#* } is not up" "$work/wait"
done
at "CoreDNS, kube-proxy and the network up"
