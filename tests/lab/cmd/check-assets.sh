#!/bin/bash
# summary: proves that all that a lab serves can be pulled, installed and run
. "$(dirname "$0")/../lib/common.sh"
. "$LAB_DIR/lib/assets.sh"
. "$LAB_DIR/lib/host.sh"

case ${1-} in
  "") ;;
  -h | --help)
    cat << 'HELP'
Usage: lab check-assets

Serves the built assets in a network of its own, pulls every image by its public name and runs its program once, and
installs every package in a throwaway copy of the node root, first of Kubernetes 1.30 and then of 1.31. About 1 minute.
HELP
    exit 0
    ;;
  *) usage_error "no argument \`$1\` (\`lab check-assets --help\`)" ;;
esac
need_root
need_host_tools
for name in tls registry www root; do
  folder=$(asset "$name")
  declare "$name=$folder"
done

# Everything below has mounts, processes and a network of its own, and they end with it.
if [ -z "${LAB_CHECK-}" ]; then
  work=$(mktemp -d "$LAB_CACHE/check.XXXX.tmp")
  trap 'rm -rf "$work"' EXIT
  LAB_CHECK=$work unshare --mount --propagation private --net --pid --mount-proc --fork --kill-child bash "$0"
  exit
fi
# shellcheck disable=SC2154  # set by the loop above
cd "$LAB_CHECK"
ip link set lo up
ip addr add 10.77.0.2/24 dev lo
ip addr add 10.77.0.3/24 dev lo
{
  echo 127.0.0.1 localhost
  echo 10.77.0.2 registry.k8s.io docker.io registry-1.docker.io
  echo 10.77.0.3 pkgs.k8s.io
} > hosts
mount --bind hosts /etc/hosts
cat > registry.yml << Y
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $registry}, maintenance: {readonly: {enabled: true}}}
http: {addr: "10.77.0.2:443", tls: {certificate: $tls/server.crt, key: $tls/server.key}}
Y
cat > nginx.conf << N
daemon off; user root; pid $PWD/nginx.pid; error_log $PWD/nginx.err; events {}
http {
  access_log off;
  server {
    listen 10.77.0.3:80; listen 10.77.0.3:443 ssl; ssl_certificate $tls/server.crt; ssl_certificate_key $tls/server.key;
    root $www/pkgs; location /debian/ { root $www; }
  }
}
N
mkdir authority
cp "$tls/ca.crt" authority/
docker-registry serve registry.yml > registry.log 2>&1 < /dev/null &
nginx -c "$PWD/nginx.conf" > nginx.log 2>&1 < /dev/null &
for _ in $(seq 50); do curl -s --cacert "$tls/ca.crt" https://registry.k8s.io/v2/ > /dev/null && break; sleep 0.1; done

failed=0
ok() { printf '  %-68s %s\n' "$1" "${2-ok}"; }
bad() { printf '  %-68s FAILED\n' "$1"; tail -n 5 "$2" | sed 's/^/    /'; failed=1; }

# check_image NAME:TAG [COMMAND…]: pulls it by its public name, and runs COMMAND on its own files.
check_image() {
  local image=$1 name=registry.k8s.io/$1 started=$EPOCHREALTIME layer size
  shift
  case $image in flannel/* | cloudnativelabs/*) name=docker.io/$image ;; esac
  rm -rf image files
  if ! skopeo copy -q --src-cert-dir authority "docker://$name" dir:image > log 2>&1; then bad "$name" log; return; fi
  mkdir files
  for layer in $(jq -r '.layers[].digest' image/manifest.json); do tar -C files -xf "image/${layer#sha256:}"; done
  size=$(du -sm files | cut -f1)
  mkdir -p files/dev
  mknod -m 666 files/dev/null c 1 3
  if env PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot files "$@" > log 2>&1 < /dev/null; then
    ok "$name" "$size MB, $(seconds_since "$started") s${1:+: $(grep -m1 . log | cut -c1-60)}"
  else
    bad "$name: $*" log
  fi
}
seconds_since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }'; }

echo "Images:"
for v in 1.30.14 1.31.13; do
  for p in kube-apiserver kube-controller-manager kube-scheduler kube-proxy; do check_image "$p:v$v" "/usr/local/bin/$p" --version; done
done
for v in 3.5.15 3.5.21; do
  for p in etcd etcdctl etcdutl; do
    [ "$p" = etcd ] && version=--version || version=version
    check_image "etcd:$v-0" "/usr/local/bin/$p" "$version"
  done
done
for v in 3.9 3.10; do check_image "pause:$v" /pause -v; done
check_image coredns/coredns:v1.11.3 /coredns -version
check_image flannel/flannel:v0.25.7 /opt/bin/flanneld --version
check_image flannel/flannel-cni-plugin:v1.5.1-flannel2 cp /flannel /tmp/flannel
for v in v2.1.0 v2.1.0-lab; do check_image "cloudnativelabs/kube-router:$v" /usr/local/bin/kube-router --version; done
check_image e2e-test-images/agnhost:2.47 /agnhost --version
check_image e2e-test-images/busybox:1.36.1-1 sh -c 'busybox --list | while read a; do command -v "$a" > /dev/null || { echo "no $a"; exit 1; }; done'
for image in kube-proxy:v1.30.14 flannel/flannel:v0.25.7 cloudnativelabs/kube-router:v2.1.0; do
  check_image "$image" sh -c 'iptables --version && iptables-restore --version && ip6tables --version && ipset --version && conntrack --version && ip -V'
done
check_image e2e-test-images/agnhost:2.47 sh -c 'curl --version && echo a | hexdump && wget -T 5 --help && nc -h 2>&1 | grep -i openbsd'

echo "Packages:"
mkdir upper overlay node
mount -t overlay overlay -o "lowerdir=$root,upperdir=upper,workdir=overlay" node
cp hosts node/etc/hosts
printf '#!/bin/sh\nexit 101\n' > node/usr/sbin/policy-rc.d
chmod 755 node/usr/sbin/policy-rc.d
mount -t proc proc node/proc
in_node() { chroot node env DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@" < /dev/null; }
check() { # TITLE COMMAND…
  local title=$1 started=$EPOCHREALTIME
  shift
  if "$@" > log 2>&1; then ok "$title" "ok, $(seconds_since "$started") s"; else bad "$title" log; fi
}
repository() { # MINOR: as the documentation of Kubernetes tells
  in_node sh -c "mkdir -p /etc/apt/keyrings && curl -fsSL https://pkgs.k8s.io/core:/stable:/v$1/deb/Release.key | gpg --dearmor --yes -o /etc/apt/keyrings/kubernetes.gpg
    echo 'deb [signed-by=/etc/apt/keyrings/kubernetes.gpg] https://pkgs.k8s.io/core:/stable:/v$1/deb/ /' > /etc/apt/sources.list.d/kubernetes.list
    apt-get update --error-on=any"
}
install() { in_node apt-get install -y --no-install-recommends "$@"; }
check "apt-get update" in_node apt-get update --error-on=any
check "repository v1.30" repository 1.30
check "kubelet kubeadm kubectl 1.30.14" install kubelet=1.30.14-* kubeadm=1.30.14-* kubectl=1.30.14-*
check "the key's fingerprint" sh -c "gpg --show-keys --with-colons node/etc/apt/keyrings/kubernetes.gpg | grep -F \"\$(cat '$www/fingerprint')\""
check "kubeadm's images are served" sh -c "chroot node kubeadm config images list --kubernetes-version v1.30.14 | xargs -n1 -I{} skopeo inspect --cert-dir authority docker://{}"
older=$(in_node apt-cache madison containerd | sed -n 2p | cut -d'|' -f2 | xargs)
check "containerd $older, before the newest takes its place" install "containerd=${older:-none}"
check "containerd runc haproxy conntrack socat ebtables ethtool ipset" install containerd runc haproxy conntrack socat ebtables ethtool ipset
check "crictl" in_node crictl --version
check "chrony nfs-common open-iscsi keepalived jq curl gnupg" install chrony nfs-common open-iscsi keepalived jq curl gnupg apt-transport-https ca-certificates
check "docker.io" install docker.io
check "systemd-timesyncd instead of chrony" install systemd-timesyncd
check "repository v1.31" repository 1.31
check "kubelet kubeadm kubectl 1.31.13" install kubelet=1.31.13-* kubeadm=1.31.13-* kubectl=1.31.13-*
check "kubeadm's images are served" sh -c "chroot node kubeadm config images list --kubernetes-version v1.31.13 | xargs -n1 -I{} skopeo inspect --cert-dir authority docker://{}"
exit "$failed"
