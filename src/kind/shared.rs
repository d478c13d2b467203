//! Where the files that control planes share lie, in shell: by the layout of etcd, see [`SharedPath::at`].

use crate::{
    model::{etcd::EtcdLayout, mode::Mode},
    pki::SharedPath,
};

use super::write;

/// POSIX text that makes `kb_place NAME` print where the shared file of this name lies (`etcd/ca.key`).
pub fn places(etcd: EtcdLayout) -> String {
    let key = SharedPath::EtcdCaKey;
    format!(
        "kb_place() {{ case $1 in {key}) echo {} ;; *) echo \"{}/$1\" ;; esac; }}\n",
        key.at(etcd),
        SharedPath::FOLDER
    )
}

/// POSIX text that puts the key of etcd's authority where the layout has it, in a folder of root's alone where that is ours.
pub fn put_etcd_key(etcd: EtcdLayout, source: write::Source<'_>) -> String {
    let folder = match etcd {
        EtcdLayout::Stacked => String::new(),
        EtcdLayout::Service => {
            let (ours, _) = EtcdLayout::AUTHORITY_FOLDER.rsplit_once('/').expect("a folder below another");
            format!("mkdir -p -m 755 {ours}\nmkdir -p -m 700 {}\n", EtcdLayout::AUTHORITY_FOLDER)
        }
    };
    folder + &write::put(etcd.ca_key(), source, Mode::PRIVATE, write::ROOT)
}

/// POSIX text that puts the key of etcd's authority into `$kb_key`: where it lies, whatever the layout. A machine that an older
/// version of this program prepared has it where kubeadm reads, until `up` has moved it.
pub fn find_etcd_key() -> String {
    let [stacked, service] = EtcdLayout::ALL.map(EtcdLayout::ca_key);
    format!("kb_key={service}\n[ -s \"$kb_key\" ] || kb_key={stacked}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::testing::sh;

    #[test]
    fn a_shell_finds_the_same_places() {
        for etcd in EtcdLayout::ALL {
            for path in SharedPath::ALL {
                assert_eq!(sh(&format!("{}kb_place {path}", places(etcd))).unwrap(), format!("{}\n", path.at(etcd)));
            }
        }
    }
}
