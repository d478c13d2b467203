//! `kubeadm init` on the control plane that leads, and nowhere else; and what an init that died still owes.

use super::{
    super::{op, restore},
    Context, etcd_client, kubeadm,
};
use crate::{
    model::{
        etcd::EtcdLayout,
        live::{Cluster, Live},
        op::{Late, Op},
        plan::{Change, Verdict},
    },
    render::kubeadm::{NodeFacts, init},
    shell::quote,
};

/// kubeadm waits four minutes for the API server; images may have to be fetched on the way.
const INIT_S: u32 = 900;

/// base64 of `/registry/configmaps/kube-system/kubeadm-config`, as etcd's gateway wants keys.
const CONFIG_KEY: &str = "L3JlZ2lzdHJ5L2NvbmZpZ21hcHMva3ViZS1zeXN0ZW0va3ViZWFkbS1jb25maWc=";

pub fn judge(context: &Context<'_>) -> Verdict {
    if !context.node.is_control_plane() {
        return Verdict::Satisfied;
    }
    match context.cluster {
        // Never from what is not known: two clusters of one name would be the price.
        Cluster::Unknown { reason } => op::refused(
            format!("what became of the cluster is not known: {reason}"),
            "nothing is initialised until every control plane of the inventory answers",
        ),
        Cluster::Live(live) => finish(live, context),
        Cluster::Absent if context.leads() && context.spec.voters().is_multiple_of(2) => op::refused(
            format!("{} members of etcd: a cluster begins with an odd number", context.spec.voters()),
            "`kbootstrap check` tells why; add a control plane or a worker that holds the witness, or make one a worker",
        ),
        Cluster::Absent if context.leads() => {
            let from = if context.seen.facts.kubernetes.restoring { ", from the snapshot that lies there" } else { "" };
            let diff = vec![format!("+ cluster {}, first on this node{from}", context.spec.name)];
            op::change(diff, vec![init_op(context)])
        }
        Cluster::HalfFormed { node, reason } if *node == context.node.name => {
            let diff = vec![
                format!("~ an init that did not finish: {reason}"),
                format!("- what it wrote, kept under {}", super::super::write::ASIDE),
                format!("+ cluster {}, first on this node", context.spec.name),
            ];
            let proof = half_formed_proof(context);
            let aside =
                kubeadm::set_aside("set the unfinished init aside", &proof, context.spec.etcd.of_kubeadm(), true);
            let disrupts = Some("what an unfinished init left is moved aside".to_owned());
            Verdict::Change(Change { diff, ops: vec![aside, init_op(context)], disrupts })
        }
        Cluster::Absent | Cluster::HalfFormed { .. } => Verdict::Satisfied,
    }
}

fn init_op(context: &Context<'_>) -> Op {
    let etcd = context.spec.etcd;
    let restoring = context.seen.facts.kubernetes.restoring;
    let before = match (etcd, restoring) {
        (EtcdLayout::Stacked, true) => restore::before_init(context),
        (EtcdLayout::Stacked, false) => String::new(),
        (EtcdLayout::Service, true) => etcd_client::before_kubeadm(context),
        (EtcdLayout::Service, false) => etcd_client::before_kubeadm(context) + &holds_no_cluster(),
    };
    let (options, after) = match restoring {
        true => (" --ignore-preflight-errors=DirAvailable--var-lib-etcd", restore::after_init(context)),
        false => ("", String::new()),
    };
    let script = format!(
        r#"{refuse}{prologue}{file}
{before}{run}{after}"#,
        refuse = kubeadm::refuse_over_state(
            etcd.of_kubeadm(),
            &["/etc/kubernetes/kubelet.conf", "/etc/kubernetes/manifests/kube-apiserver.yaml"]
        ),
        prologue = kubeadm::PROLOGUE,
        file = config_file(context),
        run = kubeadm::run(&format!("init --config \"$KB_IN/kubeadm.yaml\" --skip-phases=show-join-command{options}")),
    );
    op::node_with("kubeadm.init", "kubeadm init", script, INIT_S, vec![Late::JoinToken])
}

/// POSIX text: etcd itself must say that no cluster was ever kept in it. Its data alone says nothing: it was there first.
fn holds_no_cluster() -> String {
    let etcd = EtcdLayout::Service;
    let (certificate, key) = etcd.client_certificate();
    format!(
        r#"case $(curl -q -fsS --max-time 5 --noproxy '*' --cacert {ca} --cert {certificate} --key {key} -d {request} https://127.0.0.1:{port}/v3/kv/range) in
  *'"count"'*) echo 'etcd holds a cluster already; nothing was initialised' >&2; exit 1 ;;
  *'"header"'*) ;;
  *) echo 'etcd does not say whether it holds a cluster; nothing was initialised' >&2; exit 1 ;;
esac
"#,
        ca = etcd.ca_certificate(),
        request = quote(&format!(r#"{{"key":"{CONFIG_KEY}","count_only":true}}"#)),
        port = EtcdLayout::CLIENT_PORT,
    )
}

fn config_file(context: &Context<'_>) -> String {
    let facts = NodeFacts { resolved_stub: context.seen.facts.os.resolved_stub };
    kubeadm::file_with_token("\"$KB_IN/kubeadm.yaml\"", &init(context.spec, context.node, facts))
}

/// The proof that init never finished, given anew: etcd wrote nothing, or the API server or etcd itself says that
/// `kubeadm-config` is not there. Silence proves nothing.
fn half_formed_proof(context: &Context<'_>) -> String {
    let etcd = context.spec.etcd;
    let (certificate, key) = etcd.client_certificate();
    let server = std::net::SocketAddr::new(context.node.node_ip(), crate::model::cluster::API_SERVER_PORT);
    format!(
        r#"kb_proven() {{
  if [ ! -e {member} ]; then return 0; fi
  for kb_conf in /etc/kubernetes/super-admin.conf /etc/kubernetes/admin.conf; do
    if [ ! -s "$kb_conf" ]; then continue; fi
    kb_said=$(kubectl --kubeconfig "$kb_conf" --server {server} --request-timeout=5s \
      -n kube-system get configmap kubeadm-config -o name 2>&1) && return 1
    case $kb_said in *'(NotFound)'*) return 0 ;; esac
  done
  kb_said=$(curl -fsS --max-time 5 --cacert {ca} --cert {certificate} --key {key} \
    -d {request} https://127.0.0.1:{port}/v3/kv/range) || return 1
  case $kb_said in *'"count"'*) return 1 ;; *'"header"'*) return 0 ;; *) return 1 ;; esac
}}
if ! kb_proven; then
  echo 'nothing here proves any more that the cluster was never formed; nothing was changed' >&2
  exit 1
fi"#,
        member = quote(&format!("{}/member", etcd.data_folder())),
        server = quote(&format!("https://{server}")),
        ca = etcd.ca_certificate(),
        request = quote(&format!(r#"{{"key":"{CONFIG_KEY}","count_only":true}}"#)),
        port = EtcdLayout::CLIENT_PORT,
    )
}

/// The late phases of init, each of which can be run again, for what a living cluster lacks.
fn finish(live: &Live, context: &Context<'_>) -> Verdict {
    if !context.leads() {
        return Verdict::Satisfied;
    }
    let (mut diff, mut phases) = (Vec::new(), Vec::new());
    if !live.cluster_info {
        diff.push("+ kube-public/cluster-info, and what lets nodes join".to_owned());
        phases.extend(["upload-config all", "bootstrap-token"]);
    }
    if live.nodes.get(&context.node.name).is_some_and(|node| !node.is_control_plane()) {
        diff.push(format!("~ {}: marked as a control plane", context.node.name));
        phases.push("mark-control-plane");
    }
    let mut addons = Vec::new();
    if live.coredns.is_none() {
        addons.push("coredns");
    }
    if !live.daemon_sets.contains_key("kube-system/kube-proxy") {
        addons.push("kube-proxy");
    }
    diff.extend(addons.iter().map(|addon| format!("+ {addon}")));
    let addons: Vec<String> = addons.iter().map(|addon| format!("addon {addon}")).collect();
    phases.extend(addons.iter().map(String::as_str));
    if diff.is_empty() {
        return Verdict::Satisfied;
    }
    let mut script = format!("{}{}\n", kubeadm::PROLOGUE, config_file(context));
    for phase in phases {
        script.push_str(&kubeadm::run(&format!("init phase {phase} --config \"$KB_IN/kubeadm.yaml\"")));
        script.push('\n');
    }
    let what = "finish what kubeadm init began";
    op::change(diff, vec![op::node_with("kubeadm.finish", what, script, INIT_S, vec![Late::JoinToken])])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::testing::{World, change, kinds, programs, reason, script, sh_with};

    fn verdict(world: &World, node: &str) -> Verdict {
        world.judge(node, judge)
    }

    #[test]
    fn only_the_leader_initialises_and_only_what_is_absent() {
        let world = World::bare();
        let init = change(verdict(&world, "cp1"));
        assert_eq!((kinds(&init), init.late()), (vec!["kubeadm.init"], vec![Late::JoinToken]));
        for node in ["cp2", "w1"] {
            assert!(matches!(verdict(&world, node), Verdict::Satisfied), "{node}");
        }
        assert!(matches!(verdict(&World::live("cp1"), "cp1"), Verdict::Satisfied));
        let mut unknown = World::bare();
        unknown.cluster = Cluster::Unknown { reason: "cp3: no route".into() };
        assert!(reason(verdict(&unknown, "cp1")).contains("cp3: no route"));
    }

    #[test]
    fn where_a_snapshot_lies_init_begins_from_it() {
        let mut world = World::bare();
        world.seen.facts.kubernetes.restoring = true;
        let init = change(verdict(&world, "cp1"));
        assert!(init.diff[0].ends_with("from the snapshot that lies there"), "{:?}", init.diff);
        let text = script(&init, 0);
        let at = |word: &str| text.find(word).unwrap_or_else(|| panic!("no {word:?} in {text}"));
        assert!(at("carries a cluster") < at("snapshot restore"), "never over another's data");
        assert!(
            at("cp1=https://10.0.0.11:2380") < at("kubeadm init") && at("kubeadm init") < at("delete \"$kb_node\"")
        );
        // Only then, lest it sees again who is no node any more.
        assert!(at("delete \"$kb_node\"") < at("-n kube-flannel delete pods -l 'app.kubernetes.io/name=kube-flannel'"));
        let checked = std::process::Command::new("sh").args(["-n", "-c", text]).status().unwrap();
        assert!(checked.success());
    }

    #[test]
    fn a_half_formed_cluster_is_set_aside_on_its_own_node_only() {
        let mut world = World::bare();
        world.cluster = Cluster::HalfFormed { node: "cp2".parse().unwrap(), reason: "no kubeadm-config".into() };
        assert!(matches!(verdict(&world, "cp1"), Verdict::Satisfied));
        let again = change(verdict(&world, "cp2"));
        assert_eq!(kinds(&again), ["node.set-aside", "kubeadm.init"]);
        assert!(again.disrupts.is_some());
    }

    #[test]
    fn what_a_dead_init_owes_is_done_by_its_phases() {
        let mut world = World::live("cp1");
        world.live_mut().coredns = None;
        world.live_mut().cluster_info = false;
        let finish = change(verdict(&world, "cp1"));
        assert_eq!(kinds(&finish), ["kubeadm.finish"]);
        let text = script(&finish, 0);
        for phase in ["upload-config all", "bootstrap-token", "addon coredns"] {
            assert!(text.contains(&format!("init phase {phase} ")), "{phase}");
        }
        assert!(!text.contains("addon kube-proxy"));
    }

    /// The proof before a reset: an answer that says so, never silence.
    #[test]
    fn only_an_answer_proves_that_init_never_finished() {
        let world = World::bare();
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir_all(root.join("etcd/member")).unwrap();
        std::fs::write(root.join("admin.conf"), "x").unwrap();
        let proof = world
            .judge("cp1", half_formed_proof)
            .replace("/var/lib/etcd", root.join("etcd").to_str().unwrap())
            .replace("/etc/kubernetes/admin.conf", root.join("admin.conf").to_str().unwrap());
        let run = |kubectl: &str, curl: &str| {
            let path = programs(folder.path(), &[("kubectl", kubectl), ("curl", curl)]);
            sh_with(&proof, &[("PATH", &path)]).is_ok()
        };
        let (silent, down) = ("echo 'connection refused' >&2; exit 1", "exit 7");
        assert!(!run(silent, down), "nobody answers");
        assert!(!run("echo configmap/kubeadm-config", r#"echo '{"header":{}}'"#), "the API has it");
        assert!(!run(silent, r#"echo '{"header":{},"count":"1"}'"#), "etcd has it");
        assert!(!run(silent, "echo something else"), "not etcd's answer");
        assert!(!run("echo 'Error from server (Forbidden)' >&2; exit 1", down), "forbidden is no answer");
        assert!(run("echo 'Error from server (NotFound): configmaps' >&2; exit 1", down));
        assert!(run(silent, r#"echo '{"header":{}}'"#));
        std::fs::remove_dir(root.join("etcd/member")).unwrap();
        assert!(run(silent, down), "etcd never wrote anything");
    }
}
