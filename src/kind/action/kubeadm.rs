//! What running kubeadm takes: its files with the token put in, and a node made bare again without losing anything.

use super::super::{op, write};
use crate::{
    model::{etcd::EtcdLayout, op::Op},
    pki::SharedPath,
    render,
    shell::{quote, words},
};

/// POSIX text that writes a private file from a rendered one, with the token of the run in its place.
pub fn file_with_token(path: &str, text: &str) -> String {
    let parts: Vec<String> = text.split(render::kubeadm::TOKEN).map(quote).collect();
    format!("(umask 077; printf %s {} > {path})", parts.join(" \"$kb_token\" "))
}

/// The token of the run in `$kb_token`, and no proxy between kubeadm and the cluster.
pub const PROLOGUE: &str = "unset http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY
kb_token=$(cat \"$KB_IN/token\")
";

/// Runs kubeadm with its talk in a private file: `init` prints the token. After a failure the talk is told without it.
pub fn run(arguments: &str) -> String {
    format!(
        r#"kubeadm {arguments} > "$KB_IN/kubeadm.log" || {{
  kb_status=$?
  grep -v -F -e "$kb_token" "$KB_IN/kubeadm.log" | tail -n 20 >&2
  exit "$kb_status"
}}"#
    )
}

/// Makes a node bare again: its pods end, and what kubeadm, kubelet and etcd wrote goes aside, where it is kept. With
/// `keep_pki` the shared authorities stay where they are. `proof` is POSIX text that must succeed before anything is
/// touched.
///
/// `kubeadm reset` is not used: it deletes etcd's data, and it wants an API that answers.
pub fn set_aside(what: &str, proof: &str, etcd: EtcdLayout, keep_pki: bool) -> Op {
    let kept = if keep_pki { words(SharedPath::ALL.iter().map(|path| path.as_str())) } else { String::new() };
    let script = format!(
        r#"{proof}
kb_aside={aside}/$(date -u +%Y%m%dT%H%M%SZ)
mkdir -p {aside}
mkdir -m 700 "$kb_aside" "$kb_aside/etcd" "$kb_aside/kubelet"
systemctl stop kubelet.service || :
for kb_pod in $(crictl pods -q); do crictl -t 60s rmp -f "$kb_pod" > /dev/null; done
if [ -d {data} ]; then find {data} -mindepth 1 -maxdepth 1 -exec mv -t "$kb_aside/etcd" {{}} +; fi
if [ -d /etc/kubernetes ]; then
  cp -a /etc/kubernetes "$kb_aside/kubernetes"
  rm -rf /etc/kubernetes/*.conf /etc/kubernetes/manifests /etc/kubernetes/tmp /etc/kubernetes/pki
  for kb_file in {kept}; do
    if [ -e "$kb_aside/kubernetes/pki/$kb_file" ]; then
      mkdir -p -m 755 /etc/kubernetes/pki /etc/kubernetes/pki/etcd
      cp -p "$kb_aside/kubernetes/pki/$kb_file" "/etc/kubernetes/pki/$kb_file"
    fi
  done
fi
awk '$2 ~ "^/var/lib/kubelet/" {{ print $2 }}' /proc/mounts | sort -r | while read -r kb_mount; do umount "$kb_mount"; done
if [ -d /var/lib/kubelet ]; then find /var/lib/kubelet -mindepth 1 -maxdepth 1 -exec mv -t "$kb_aside/kubelet" {{}} +; fi
rm -f /var/lib/kbootstrap/stamps/kubelet.service"#,
        aside = write::ASIDE,
        data = etcd.data_folder(),
    );
    op::node("node.set-aside", what, script, 300)
}
