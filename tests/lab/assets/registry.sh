# registry.sh: the storage of a registry that holds every image a lab's cluster may ask for, under its public name.
# registry.k8s.io and docker.io are one registry here: no name stands for two images.
work=$(mktemp -d "$OUT/.work.XXXX")
trap 'rm -rf "$work"' EXIT
here=$(dirname "$0")/registry
image() { python3 "$here/image.py" "$OUT" "$@" | tee -a "$OUT/images"; }

# What any program expects to find.
base=$work/base
mkdir -p "$base"/{etc/ssl/certs,tmp,var/run,root}
chmod 1777 "$base/tmp"
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\nnonroot:x:65532:65532::/:/bin/false\n' > "$base/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\nnonroot:x:65532:\n' > "$base/etc/group"
echo 'hosts: files dns' > "$base/etc/nsswitch.conf"

for version in 1.30.14 1.31.13; do
  programs=ASSET_KUBERNETES_${version//./_}
  programs=${!programs}
  for p in kube-apiserver kube-controller-manager kube-scheduler; do
    image "$p:v$version" --base "$base" --entrypoint "/usr/local/bin/$p" "$programs/$p=/usr/local/bin/$p"
  done
  image "kube-proxy:v$version" --base "$base" --base "$ASSET_LAYERS/busybox" --base "$ASSET_LAYERS/network" \
    --entrypoint /usr/local/bin/kube-proxy "$programs/kube-proxy=/usr/local/bin/kube-proxy"
done

# No shell in it, as in the real one.
for version in 3.5.15 3.5.21; do
  programs=ASSET_ETCD_${version//./_}
  programs=${!programs}
  image "etcd:$version-0" --base "$base" \
    "$programs/etcd=/usr/local/bin/etcd" "$programs/etcdctl=/usr/local/bin/etcdctl" "$programs/etcdutl=/usr/local/bin/etcdutl"
done

for version in 3.9 3.10; do
  gcc -Os -s -static -DVERSION="\"$version\"" -o "$work/pause" "$here/pause.c"
  image "pause:$version" --entrypoint /pause --user 65535:65535 "$work/pause=/pause"
done

image coredns/coredns:v1.11.3 --base "$base" --entrypoint /coredns "$ASSET_TOOLS/coredns=/coredns"
network=(--base "$base" --base "$ASSET_LAYERS/busybox" --base "$ASSET_LAYERS/network")
image flannel/flannel:v0.25.7 "${network[@]}" --entrypoint /opt/bin/flanneld "$ASSET_TOOLS/flanneld=/opt/bin/flanneld"
image flannel/flannel-cni-plugin:v1.5.1-flannel2 --base "$base" --base "$ASSET_LAYERS/busybox" "$ASSET_TOOLS/flannel=/flannel"
# The same program by two names: what is to be seen is that another version is rolled, and not what is in it.
for version in v2.1.0 v2.1.0-lab; do
  image "cloudnativelabs/kube-router:$version" "${network[@]}" --entrypoint /usr/local/bin/kube-router \
    "$ASSET_TOOLS/kube-router=/usr/local/bin/kube-router"
done

# What tests of Kubernetes run in pods: every applet of busybox by its name, curl, and an nc that knows -v.
clients=(--base "$base" --base "$ASSET_LAYERS/busybox" --base "$ASSET_LAYERS/clients")
image e2e-test-images/agnhost:2.47 "${clients[@]}" --entrypoint /agnhost --cmd pause "$ASSET_KUBERNETES_1_30_14/agnhost=/agnhost"
image e2e-test-images/busybox:1.36.1-1 "${clients[@]}" --cmd sh
