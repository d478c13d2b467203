# shellcheck shell=bash
# Runs on a node, with ROLE and VERSION set (and MORE packages, where wanted): packages, containerd, kernel settings,
# images. As short as a person could write it: it checks nothing and repairs nothing.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
minor=${VERSION%.*} repository="https://pkgs.k8s.io/core:/stable:/v${VERSION%.*}/deb"
sudo mkdir -p /etc/apt/keyrings /etc/containerd
curl -fsS "$repository/Release.key" | sudo gpg --dearmor --yes -o /etc/apt/keyrings/kubernetes-apt-keyring.gpg
echo "deb [signed-by=/etc/apt/keyrings/kubernetes-apt-keyring.gpg] $repository/ /" | sudo tee "/etc/apt/sources.list.d/kubernetes-$minor.list" > /dev/null
sudo apt-get update -qq
sudo -E apt-get install -y -qq --no-install-recommends containerd runc conntrack socat ebtables ethtool \
  kubelet="$VERSION-*" kubeadm="$VERSION-*" kubectl="$VERSION-*" ${MORE-} < /dev/null > /dev/null
sudo tee /etc/containerd/config.toml > /dev/null << 'T'
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.k8s.io/pause:3.9"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/opt/cni/bin"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = true
T
printf 'net.ipv4.ip_forward=1\nnet.bridge.bridge-nf-call-iptables=1\n' | sudo tee /etc/sysctl.d/99-kubernetes.conf > /dev/null
sudo modprobe -a overlay br_netfilter
sudo sysctl -q -p /etc/sysctl.d/99-kubernetes.conf
sudo systemctl restart containerd
sudo systemctl enable -q kubelet
echo 10.77.0.11 kube-api.lab | sudo tee -a /etc/hosts > /dev/null
images="registry.k8s.io/pause:3.9 registry.k8s.io/kube-proxy:v$VERSION docker.io/flannel/flannel:v0.25.7
  docker.io/flannel/flannel-cni-plugin:v1.5.1-flannel2 docker.io/cloudnativelabs/kube-router:v2.1.0"
if [ "$ROLE" = control-plane ]; then
  for program in kube-apiserver kube-controller-manager kube-scheduler; do images+=" registry.k8s.io/$program:v$VERSION"; done
  images+=" registry.k8s.io/etcd:3.5.15-0"
fi
# After the restart: pulled before it, the pause image would be forgotten.
for image in $images; do sudo crictl -r unix:///run/containerd/containerd.sock pull "$image" > /dev/null < /dev/null & done
wait
