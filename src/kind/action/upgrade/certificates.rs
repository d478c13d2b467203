//! Whether a control plane's certificates outlive an upgrade.

use super::super::super::op;
use crate::model::{etcd::EtcdLayout, op::Op};

const LOOK_S: u32 = 60;
/// Authorities are never renewed by kubeadm; a day is more than any roll takes.
const LEAST_S: u32 = 24 * 3600;

/// Looks at every certificate that kubeadm made on a control plane. kubeadm renews those of servers and clients while it
/// upgrades; until then, and while others are upgraded, the present ones must do.
pub fn outlive() -> Op {
    let script = format!(
        r#"kb_failed=0
for kb_file in /etc/kubernetes/pki/*.crt /etc/kubernetes/pki/etcd/*.crt {member}/*.crt; do
  [ -e "$kb_file" ] || continue
  if ! openssl x509 -noout -checkend {LEAST_S} -in "$kb_file" > /dev/null; then
    echo "$kb_file ends $(openssl x509 -noout -enddate -in "$kb_file" | cut -d = -f 2)" >&2
    kb_failed=1
  fi
done
[ "$kb_failed" = 0 ]"#,
        member = EtcdLayout::SERVICE_FOLDER,
    );
    op::node("probe.certificates", "look how long certificates are good".to_owned(), script, LOOK_S)
}
