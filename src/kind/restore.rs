//! What brings a cluster back from a backup: old state out of the way, the archive's authorities and snapshot in its place,
//! and an init that begins from them.
//!
//! One control plane gets the snapshot and the others join it as they join any cluster: the way that Kubernetes' and etcd's
//! documents give for members that are lost ("restore on one, reset the others, join again").

use super::{
    Context,
    action::{etcd_member, refuse_over_state, set_aside},
    op, shared, write,
};
use crate::{
    model::{
        backup::{Part, Snapshot},
        cluster::ClusterSpec,
        encryption,
        etcd::EtcdLayout,
        op::Op,
    },
    pki::SharedPath,
    render::{self, etcd, identity, images, static_pods::Component},
    shell::{quote, words},
};

/// Where an archive's snapshot lies until init has begun from it; root's alone.
const FOLDER: &str = crate::facts::listing::RESTORE;
/// Where an archive's parts arrive.
pub const INCOMING: &str = "/var/lib/kbootstrap/restore.new";

const FENCE_S: u32 = 120;
const LAY_S: u32 = 600;
/// Room that is left for everything else.
const LEAST: u64 = 64 << 20;
const REVISIONS: u32 = 1_000_000_000;

/// Bytes that an archive takes where it is laid: it is there, is restored beside it, and grows from then on.
pub fn room(parts: &[Part]) -> u64 {
    parts.iter().map(|part| part.bytes).sum::<u64>() * 3 + LEAST
}

/// Bytes that it takes where etcd's data of it arrive by joining.
pub fn room_of_a_member(snapshot: Snapshot) -> u64 {
    snapshot.bytes + LEAST
}

/// Ends etcd and the API server of a control plane, and keeps all that they wrote aside.
pub fn fence(spec: &ClusterSpec) -> Op {
    set_aside("end etcd and the API server, their data kept aside", "", Some(spec.etcd), false)
}

/// Ends a member of etcd on a machine that is no control plane, and keeps its data aside; all else there runs on. Left as it is
/// it would have no quorum, and answer the restored API servers with that.
pub fn fence_witness() -> Op {
    let script = format!(
        "kb_aside={aside}/$(date -u +%Y%m%dT%H%M%SZ)\nmkdir -p {aside}\nmkdir -m 700 \"$kb_aside\"\n{end}",
        aside = write::ASIDE,
        end = etcd_member::end()
    );
    op::node("etcd.end", "end its member of etcd, its data kept aside", script, FENCE_S)
}

/// Puts what arrived where `init` looks for it: authorities, identity, snapshot.
pub fn lay(spec: &ClusterSpec, parts: &[Part]) -> Op {
    let mut script = refuse_over_state(
        Some(spec.etcd),
        &["/etc/kubernetes/kubelet.conf", "/etc/kubernetes/manifests/kube-apiserver.yaml"],
    );
    for part in parts {
        let name = quote(&part.name);
        script.push_str(&format!(
            "printf '%s  %s\\n' {} {INCOMING}/{name} | sha256sum -c --status || {{ echo {name} did not arrive whole >&2; exit 1; }}\n",
            quote(&part.sha256),
        ));
    }
    let key = SharedPath::EtcdCaKey;
    script.push_str(&format!(
        r#"umask 077
tar -C {INCOMING} -xf {INCOMING}/files.tar etc/kubernetes/pki {identity}
kb_key={INCOMING}{pki}/{key}
if [ ! -e "$kb_key" ]; then
  tar -C {INCOMING} -xf {INCOMING}/files.tar {apart}
  kb_key={INCOMING}/{apart}
fi
mkdir -p {pki}/etcd
chmod 755 /etc/kubernetes {pki} {pki}/etcd
for kb_file in {files}; do
  cp -p "{INCOMING}{pki}/$kb_file" "{pki}/$kb_file"
done
{put}
if [ -d {INCOMING}{keys} ]; then rm -rf {keys}; cp -rp {INCOMING}{keys} {keys}; fi
cp -p {INCOMING}/{identity} /{identity}
rm -rf {INCOMING}/files.tar {INCOMING}/etc {INCOMING}/var {FOLDER}
mv -T {INCOMING} {FOLDER}"#,
        pki = SharedPath::FOLDER,
        keys = encryption::FOLDER,
        files = words(SharedPath::ALL.iter().filter(|path| **path != key).map(|path| path.as_str())),
        // The archive may be of either layout, and of a time when both had it in one place.
        apart = EtcdLayout::Service.ca_key().trim_start_matches('/'),
        put = shared::put_etcd_key(spec.etcd, write::Source::Output("cat \"$kb_key\"")),
        identity = identity::PATH.trim_start_matches('/'),
    ));
    op::node("restore.lay", "lay the backup's authorities and snapshot where init begins from", script, LAY_S)
}

/// POSIX text that makes a member's data of the snapshot, before init: of one member, of a new cluster of etcd, and far
/// ahead of all revisions that anybody may have seen, so that whoever watches lists anew (etcd 3.5.10).
pub fn before_init(context: &Context<'_>) -> String {
    let peer = std::net::SocketAddr::new(context.node.node_ip(), EtcdLayout::PEER_PORT);
    let (name, peer) = (context.node.name.as_str(), format!("https://{peer}"));
    let owner = match context.spec.etcd {
        EtcdLayout::Stacked => String::new(),
        EtcdLayout::Service => format!("chown -R {0}:{0} {1}\n", etcd::USER, EtcdLayout::Service.data_folder()),
    };
    format!(
        r#"kb_root=$(mktemp -d)
trap 'ctr -n k8s.io images unmount --rm "$kb_root" > /dev/null 2>&1 || umount "$kb_root" 2> /dev/null || :; rmdir "$kb_root" 2> /dev/null || :' EXIT
ctr -n k8s.io images mount {image} "$kb_root" > /dev/null
rm -rf {FOLDER}/data
"$kb_root/usr/local/bin/etcdutl" snapshot restore {FOLDER}/etcd.db --data-dir {FOLDER}/data --name {name} \
  --initial-cluster {member} --initial-advertise-peer-urls {peer} --initial-cluster-token "kbootstrap-$(cat /proc/sys/kernel/random/uuid)" \
  --bump-revision {REVISIONS} --mark-compacted > "$KB_IN/restore.log" 2>&1 || {{ tail -n 10 "$KB_IN/restore.log" >&2; exit 1; }}
mkdir -p {data}
chmod 700 {data}
rm -rf {data}/member
mv -T {FOLDER}/data/member {data}/member
{owner}"#,
        image = quote(images::of_component(context.spec, Component::Etcd).as_ref()),
        name = quote(name),
        member = quote(&format!("{name}={peer}")),
        peer = quote(&peer),
        data = context.spec.etcd.data_folder(),
    )
}

/// POSIX text for after init: control planes of the past are no nodes any more (those of the inventory join anew), the network
/// on the workers begins anew, and the snapshot, which holds every Secret, goes.
///
/// What runs there lists all nodes anew and sees new ones before it sees that old ones are gone. Where a new one has the pod
/// subnet of an old one, flannel then takes the new one's route away with the old one's.
pub fn after_init(context: &Context<'_>) -> String {
    let restarts: String = render::network::pods(context.spec)
        .iter()
        .map(|(namespace, selector)| {
            format!("kb_kubectl -n {namespace} delete pods -l {} --wait=false > /dev/null\n", quote(selector))
        })
        .collect();
    format!(
        r#"
kb_kubectl() {{ kubectl --kubeconfig /etc/kubernetes/admin.conf --request-timeout 30s "$@"; }}
kb_nodes=$(kb_kubectl get nodes -l node-role.kubernetes.io/control-plane -o name)
for kb_node in $kb_nodes; do
  [ "$kb_node" = node/{name} ] || kb_kubectl delete "$kb_node" --wait=false > /dev/null
done
{restarts}rm -rf {FOLDER}"#,
        name = context.node.name,
    )
}

/// What a person is told of where an old state went.
pub fn kept() -> String {
    format!("- etcd, API server and what they wrote, kept under {}", write::ASIDE)
}

/// The same of a member of etcd on a machine that is no control plane.
pub fn kept_of_witness() -> String {
    format!("- its member of etcd, whose data are kept under {}", write::ASIDE)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, process::Command};

    use super::*;
    use crate::kind::testing::{self, sh_with};

    /// An archive's files as they arrived below `root`, with the key of etcd's authority where this layout has it.
    fn arrived(root: &Path, etcd: EtcdLayout) {
        let (incoming, machine) = (root.join(INCOMING.trim_start_matches('/')), root.join("machine"));
        let lay = |path: &str, text: &str| {
            let path = machine.join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        SharedPath::ALL.iter().for_each(|path| lay(&path.at(etcd), path.as_str()));
        lay(identity::PATH, "id");
        lay("/etc/kbootstrap/haproxy.cfg", "of that machine");
        fs::create_dir_all(&incoming).unwrap();
        let files = ["etc/kubernetes", "etc/kbootstrap", identity::PATH.trim_start_matches('/')];
        let mut tar = Command::new("tar");
        let tar = tar.arg("-C").arg(&machine).arg("-cf").arg(incoming.join("files.tar")).args(files);
        assert!(tar.status().unwrap().success());
    }

    #[test]
    fn an_archive_of_either_layout_is_laid_where_this_one_looks() {
        for (of, wanted) in EtcdLayout::ALL.into_iter().flat_map(|of| EtcdLayout::ALL.map(|wanted| (of, wanted))) {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path();
            arrived(root, of);
            let spec = ClusterSpec { etcd: wanted, ..testing::spec() };
            let crate::model::op::Work::Node { script, .. } = lay(&spec, &[]).work else { panic!() };
            let at = root.to_str().unwrap();
            let script = ["/etc/k", "/var/lib/k"]
                .iter()
                .fold(script, |text, path| text.replace(path, &format!("{at}{path}")))
                .replace(&format!("restore.new{at}/"), "restore.new/")
                .replace(&format!("restore.new/{at}/"), "restore.new/")
                .replace("chown root:root", ": chown");
            sh_with(&script, &[]).unwrap_or_else(|said| panic!("{of} to {wanted}: {said}"));
            for path in SharedPath::ALL {
                let there = root.join(path.at(wanted).trim_start_matches('/'));
                assert_eq!(fs::read_to_string(&there).unwrap(), path.as_str(), "{of} to {wanted}");
            }
            let other = root.join(of.ca_key().trim_start_matches('/'));
            assert_eq!(other.exists(), of == wanted, "{of} to {wanted}");
            assert!(!root.join("etc/kbootstrap/haproxy.cfg").exists(), "what is another machine's");
        }
    }
}
