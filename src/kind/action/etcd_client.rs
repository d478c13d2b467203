//! The certificate with which an API server asks etcd, where etcd is a service: kubeadm makes it, as it makes every other one of
//! a control plane, though the authority's key lies where kubeadm does not look.

use super::{
    super::{shared, write},
    Context,
};
use crate::{model::mode::Mode, pki::SharedPath};

/// The name of certificate and key, as kubeadm has it.
const NAME: &str = "apiserver-etcd-client";

/// Where the certificate lies.
pub fn path() -> String {
    format!("{}/{NAME}.crt", SharedPath::FOLDER)
}

/// POSIX text that makes it anew, in the place of one that is there. The authority is shown to kubeadm in a folder of its own.
pub fn sign(context: &Context<'_>) -> String {
    let put = |ending: &str, mode: Mode| {
        let made = format!("cat \"$KB_IN/authority/{NAME}.{ending}\"");
        let path = format!("{}/{NAME}.{ending}", SharedPath::FOLDER);
        write::put(&path, write::Source::Output(&made), mode, write::ROOT)
    };
    format!(
        r#"rm -rf "$KB_IN/authority"
mkdir -m 700 "$KB_IN/authority" "$KB_IN/authority/etcd"
{find}ln -s "$kb_key" "$KB_IN/authority/etcd/ca.key"
ln -s {pki}/{certificate} "$KB_IN/authority/etcd/ca.crt"
kubeadm init phase certs {NAME} --cert-dir "$KB_IN/authority" --kubernetes-version {version} > /dev/null
{key}
{crt}
rm -rf "$KB_IN/authority""#,
        find = shared::find_etcd_key(),
        pki = SharedPath::FOLDER,
        certificate = SharedPath::EtcdCaCrt,
        version = context.spec.kubernetes().tag(),
        key = put("key", Mode::PRIVATE),
        crt = put("crt", Mode::PUBLIC),
    )
}
