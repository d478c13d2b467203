//! `kubeadm join`: workers side by side, control planes one at a time, half-done ones repaired where it can be proven
//! that nothing is lost.

use super::{
    super::{op, write},
    Context, encryption, etcd_client, etcd_membership,
    etcd_membership::{Member, member},
    etcd_takeover, kubeadm, pki,
};
use crate::{
    model::{
        cluster::EndpointKind,
        etcd::EtcdLayout,
        live::{Cluster, Live},
        mode::Mode,
        op::{Late, Op},
        plan::{Change, Refusal, Verdict},
        step::{Content, LateFile},
    },
    pki::is_bundle,
    render::kubeadm::{DISCOVERY_PATH, NodeFacts, ca_path, discovery, init, join},
    shell::{Until, quote},
};

/// kubeadm waits five minutes for the cluster and two for etcd.
const JOIN_S: u32 = 900;

/// How far this machine is.
enum State {
    Joined,
    /// Nothing of the cluster is on it.
    Bare,
    /// A join began and did not finish; why one sees that.
    HalfDone(String),
    Refused(Refusal),
}

pub fn judge(context: &Context<'_>) -> Verdict {
    let state = match context.cluster {
        Cluster::Absent | Cluster::HalfFormed { .. } if context.leads() => State::Joined,
        Cluster::Absent | Cluster::HalfFormed { .. } => before_the_cluster(context),
        Cluster::Live(live) => in_the_cluster(live, context),
        Cluster::Unknown { reason } => refusal(
            format!("what became of the cluster is not known: {reason}"),
            "nothing joins until the API answers: look at the control planes first",
        ),
    };
    let joins = format!("+ node {} joins as {}", context.node.name, context.node.role);
    match state {
        State::Joined => Verdict::Satisfied,
        State::Refused(refusal) => Verdict::Refused(refusal),
        State::Bare | State::HalfDone(_)
            if context.node.is_control_plane() && context.ca_crt.is_some_and(is_bundle) =>
        {
            op::refused(
                "the cluster's authorities are being exchanged, and kubeadm writes a controller manager that takes no two",
                "finish that first: kbootstrap certs rotate-ca; workers may join meanwhile",
            )
        }
        State::Bare => op::change(vec![joins], ops(context)),
        State::HalfDone(why) => {
            let diff = vec![
                format!("~ a join that did not finish: {why}"),
                format!("- what it wrote, kept under {}", write::ASIDE),
                joins,
            ];
            let proof = half_done_proof(context);
            let aside =
                kubeadm::set_aside("set the unfinished join aside", &proof, context.spec.etcd.of_kubeadm(), false);
            let ops = [aside].into_iter().chain(ops(context)).collect();
            let disrupts = Some("what an unfinished join left is moved aside, and its pods end".to_owned());
            Verdict::Change(Change { diff, ops, disrupts })
        }
    }
}

fn refusal(reason: impl Into<String>, hint: impl Into<String>) -> State {
    State::Refused(Refusal { reason: reason.into(), hint: hint.into() })
}

/// No cluster lives yet: whoever carries state now carries another's.
fn before_the_cluster(context: &Context<'_>) -> State {
    if context.seen.facts.kubernetes.has_state() {
        if let Some((from, _)) = context.facts.iter().find(|(_, facts)| facts.kubernetes.restoring) {
            return refusal(
                format!("a restore was begun on {from}, and has not come to its end"),
                "run the same `kbootstrap restore` again: it begins anew, and all that was kept aside stays",
            );
        }
        return refusal(
            "the machine carries state of a cluster, and the inventory's control planes carry none",
            "if the cluster is gone for good, reset this machine; else repair its control planes first",
        );
    }
    State::Bare
}

fn in_the_cluster(live: &Live, context: &Context<'_>) -> State {
    let (name, facts) = (&context.node.name, &context.seen.facts);
    let there = &facts.kubernetes;
    let has_kubelet_conf = context.has_joined();
    let node = live.nodes.get(name);
    if let Some(node) = node
        && node.machine_id != facts.identity.machine_id
    {
        return refusal(
            format!("the cluster has a node {name} that is another machine (machine-id {})", node.machine_id),
            format!("remove the old machine from the cluster first, or give this one another name than {name}"),
        );
    }
    if there.has_state() {
        match (&there.identity, context.identity) {
            (Some(its), Some(ours)) if its.id == ours.id => {}
            _ => return refusal("the machine carries state of another cluster", "reset the machine first"),
        }
    }
    // A member as a service is another step's, and goes on whatever becomes of this one.
    let wants_member = context.node.is_control_plane() && context.spec.etcd == EtcdLayout::Stacked;
    let member = if wants_member { member(context) } else { Member::None };
    let missing = missing_manifests(context);
    match (node.is_some(), has_kubelet_conf) {
        // What etcd cannot tell right now, the cluster's proof will: nothing of this node is missing.
        (true, true) if missing.is_empty() && (!wants_member || matches!(member, Member::Votes | Member::Unknown)) => {
            State::Joined
        }
        // A member that votes is part of the quorum: to reset it is to remove a control plane, which is asked for.
        _ if member == Member::Votes => refusal(
            match missing.as_slice() {
                [] => format!("etcd counts on {name}, which lacks its Node object or its kubelet's configuration"),
                missing => format!("etcd counts on {name}, which lacks {}", missing.join(", ")),
            },
            "restore what is missing from a backup, or remove this control plane and join it anew",
        ),
        (false, _) if !there.has_state() => State::Bare,
        // Whether the quorum rests on it must be known before anything of it is moved.
        _ if member == Member::Unknown => refusal(
            "a join that did not finish, and no control plane's etcd says who its members are",
            "look at etcd on the control planes: crictl ps -a --name etcd",
        ),
        (true, true) => State::HalfDone(match member {
            Member::Learns => "its member of etcd has no vote".to_owned(),
            _ if wants_member && missing.is_empty() => "etcd has no member of it".to_owned(),
            _ => format!("it lacks {}", missing.join(", ")),
        }),
        (true, false) => State::HalfDone("the cluster has its Node object, the machine has no kubelet.conf".to_owned()),
        (false, _) => State::HalfDone("the machine has files of kubeadm, the cluster has no such node".to_owned()),
    }
}

fn missing_manifests(context: &Context<'_>) -> Vec<&'static str> {
    if !context.node.is_control_plane() {
        return Vec::new();
    }
    let mut wanted = vec!["kube-apiserver.yaml", "kube-controller-manager.yaml", "kube-scheduler.yaml"];
    // A member that is being taken over is told of by its own step.
    let converting = || etcd_takeover::is_under_way(context.spec, |name| context.facts.get(name));
    if context.spec.etcd.manifest().is_some() && !converting() {
        wanted.push("etcd.yaml");
    }
    let there = &context.seen.facts.kubernetes.manifests;
    wanted.retain(|name| !there.iter().any(|manifest| manifest == name));
    wanted
}

fn ops(context: &Context<'_>) -> Vec<Op> {
    if !context.node.is_control_plane() {
        return vec![join_op(context, "kubeadm join as worker", "")];
    }
    let etcd = match context.spec.etcd {
        EtcdLayout::Stacked => {
            format!("{}kb_healthcheck\nkb_drop_learner\nkb_settle || exit 1", etcd_membership::functions(context))
        }
        EtcdLayout::Service => etcd_client::before_kubeadm(context),
    };
    let before = format!("{etcd}\n{}\n", kubelet_credentials(context));
    let mut ops = vec![pki::write_op(context.spec.etcd)];
    if context.spec.encryption.is_some() {
        ops.push(encryption::bring());
    }
    ops.extend([join_op(context, "kubeadm join as control plane", &before), etcd_membership::settle_op(context)]);
    ops
}

fn join_op(context: &Context<'_>, what: &str, before: &str) -> Op {
    let facts = NodeFacts { resolved_stub: context.seen.facts.os.resolved_stub };
    let mut inputs = vec![Late::JoinToken];
    let ca = match context.spec.endpoint.kind {
        // Put there by a step of its own.
        EndpointKind::LocalProxy => String::new(),
        EndpointKind::External => {
            let known = context.text(&Content::Late(LateFile::ClusterCa));
            let source = match &known {
                Some(text) => write::Source::Text(text),
                None => {
                    inputs.push(Late::ClusterCa);
                    write::Source::Input(LateFile::ClusterCa.name())
                }
            };
            write::put(ca_path(context.spec), source, Mode::PUBLIC, write::ROOT) + "\n"
        }
    };
    let own_credentials = match context.node.is_control_plane() {
        true => " --ignore-preflight-errors=FileAvailable--etc-kubernetes-kubelet.conf",
        false => "",
    };
    let script = format!(
        r#"if [ -e /etc/kubernetes/kubelet.conf ]; then
  echo 'this machine has a kubelet.conf already; nothing was changed' >&2
  exit 1
fi
{prologue}{ca}{before}mkdir -p -m 700 /run/kbootstrap
trap 'rm -f {DISCOVERY_PATH}' EXIT
{discovery}
{rejoins}{file}
{run}"#,
        rejoins = context.live_node().map(|_| until_not_ready(context)).unwrap_or_default(),
        prologue = kubeadm::PROLOGUE,
        discovery = kubeadm::file_with_token(DISCOVERY_PATH, &discovery(context.spec, ca_path(context.spec))),
        file = kubeadm::file_with_token("\"$KB_IN/kubeadm.yaml\"", &join(context.spec, context.node, facts)),
        run = kubeadm::run(&format!("join --config \"$KB_IN/kubeadm.yaml\"{own_credentials}")),
    );
    op::node_with("kubeadm.join", what, script, JOIN_S, inputs)
}

/// The credentials that this control plane's kubelet would else ask the cluster for: the node has the authority, and init
/// makes the first node's in the same way.
///
/// The answer may take long: kube-controller-manager 1.30 sleeps ten seconds before it first looks at nodes
/// (`wait.Poll` in pkg/controller/nodeipam/ipam), and as it starts its controllers one after the other and in no order, as
/// a rule those that approve and sign wait for that. The kubelet renews what is given here as it does its own.
pub fn kubelet_credentials(context: &Context<'_>) -> String {
    let facts = NodeFacts { resolved_stub: context.seen.facts.os.resolved_stub };
    format!(
        r#"mkdir -p /var/lib/kubelet/pki
(
  umask 077
  {file}
  kubeadm kubeconfig user --config "$KB_IN/init.yaml" --org system:nodes --client-name {name} > "$KB_IN/kubelet.conf"
  kb_pem=/var/lib/kubelet/pki/kubelet-client-$(date -u +%Y-%m-%d-%H-%M-%S).pem
  for kb_part in certificate key; do
    sed -n "s/^ *client-$kb_part-data: //p" "$KB_IN/kubelet.conf" | base64 -d
  done > "$kb_pem"
  ln -sfn "$kb_pem" /var/lib/kubelet/pki/kubelet-client-current.pem
  sed 's|client-\([a-z]*\)-data: .*|client-\1: /var/lib/kubelet/pki/kubelet-client-current.pem|' "$KB_IN/kubelet.conf" > /etc/kubernetes/.kubelet.conf.kbootstrap
  mv /etc/kubernetes/.kubelet.conf.kbootstrap /etc/kubernetes/kubelet.conf
)"#,
        file = kubeadm::file_with_token("\"$KB_IN/init.yaml\"", &init(context.spec, context.node, facts)),
        name = quote(&format!("system:node:{}", context.node.name)),
    )
}

/// kubeadm refuses to join as a node that the cluster has and sees as Ready, which it does for 40 s after the kubelet of an
/// earlier attempt was stopped. The Node object itself stays, with what others wrote on it.
fn until_not_ready(context: &Context<'_>) -> String {
    let node = &context.node.name;
    let wait = Until {
        holds: &format!(
            r#"[ "$(kubectl --kubeconfig {DISCOVERY_PATH} --request-timeout 5s get node {node} -o 'jsonpath={{.status.conditions[?(@.type=="Ready")].status}}' 2> /dev/null)" != True ]"#
        ),
        seconds: 120,
        pause: "1",
        otherwise: &format!(
            "echo 'the cluster sees a node {node} that is Ready, though no kubelet runs here: is it another machine?' >&2\n    exit 1"
        ),
    };
    wait.text() + "\n"
}

/// What is moved aside must not be what the quorum rests on: where the leader's etcd counts on this machine, or cannot
/// be asked by a control plane that has the means to, nothing is touched.
fn half_done_proof(context: &Context<'_>) -> String {
    if !context.node.is_control_plane() || context.spec.etcd == EtcdLayout::Service {
        return String::new();
    }
    let (certificate, _) = context.spec.etcd.client_certificate();
    format!(
        r#"{functions}if [ -s {certificate} ]; then
  kb_list=$(kb_members)
  kb_own=$(printf '%s\n' "$kb_list" | grep -F {own}) || kb_own=
  case $kb_own in
    ''|*'"isLearner":true'*) ;;
    *'"name":"'*) echo 'etcd counts on this machine now; nothing was changed' >&2; exit 1 ;;
  esac
fi"#,
        functions = etcd_membership::functions(context),
        own = quote(&format!("\"https://{}\"", etcd_membership::peer_address(context))),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::testing::{World, change, kinds, reason, script};

    fn verdict(world: &World, node: &str) -> Verdict {
        world.judge(node, judge)
    }

    #[test]
    fn bare_nodes_join_by_their_role() {
        let world = World::bare();
        assert!(matches!(verdict(&world, "cp1"), Verdict::Satisfied), "the leader initialises");
        let worker = change(verdict(&world, "w1"));
        assert_eq!(kinds(&worker), ["kubeadm.join"]);
        assert_eq!(worker.late(), [Late::JoinToken]);
        let control_plane = change(verdict(&world, "cp2"));
        assert_eq!(kinds(&control_plane), ["pki.write", "kubeadm.join", "etcd.settle"]);
        assert_eq!(control_plane.late(), [Late::SharedPki, Late::JoinToken]);
        assert!(script(&control_plane, 1).contains("kb_url=https://10.0.0.11:2379"));
        assert!(!script(&control_plane, 1).contains(crate::render::kubeadm::TOKEN));
    }

    #[test]
    fn an_external_endpoint_brings_the_authority_along() {
        let mut world = World::bare();
        world.spec.endpoint.kind = EndpointKind::External;
        assert_eq!(change(verdict(&world, "w1")).late(), [Late::ClusterCa, Late::JoinToken]);
        world.ca_crt = Some("PEM\n".into());
        assert_eq!(change(verdict(&world, "w1")).late(), [Late::JoinToken]);
    }

    #[test]
    fn who_is_in_the_cluster_does_not_join() {
        for node in ["cp2", "w1"] {
            assert!(matches!(verdict(&World::live(node), node), Verdict::Satisfied), "{node}");
        }
        let mut world = World::live("cp2");
        world.facts.clear();
        assert!(matches!(verdict(&world, "cp2"), Verdict::Satisfied), "etcd is slow to answer, and nothing is missing");
    }

    #[test]
    fn a_new_machine_joins_a_living_cluster() {
        let mut world = World::live("w1");
        world.live_mut().nodes.remove(&"w1".parse().unwrap());
        world.seen.facts.kubernetes = Default::default();
        assert_eq!(kinds(&change(verdict(&world, "w1"))), ["kubeadm.join"]);
    }

    #[test]
    fn half_done_joins_are_set_aside_and_done_again() {
        let mut learner = World::live("cp3");
        learner.etcd_mut().members[2].learner = true;
        let mut unstarted = World::live("cp3");
        unstarted.etcd_mut().members[2].name.clear();
        let mut no_member = World::live("cp3");
        no_member.etcd_mut().members.pop();
        let mut no_node = World::live("cp3");
        no_node.etcd_mut().members.pop();
        no_node.live_mut().nodes.remove(&"cp3".parse().unwrap());
        let mut no_kubelet_conf = World::live("cp3");
        no_kubelet_conf.etcd_mut().members.pop();
        no_kubelet_conf.seen.facts.kubernetes.configs.clear();
        for world in [learner, unstarted, no_member, no_node, no_kubelet_conf] {
            let change = change(verdict(&world, "cp3"));
            assert_eq!(kinds(&change), ["node.set-aside", "pki.write", "kubeadm.join", "etcd.settle"]);
            assert!(change.disrupts.is_some());
            assert!(script(&change, 0).contains("etcd counts on this machine now"));
        }
        let mut worker = World::live("w1");
        worker.live_mut().nodes.remove(&"w1".parse().unwrap());
        assert_eq!(kinds(&change(verdict(&worker, "w1"))), ["node.set-aside", "kubeadm.join"]);
    }

    #[test]
    fn what_the_quorum_rests_on_is_never_reset() {
        let mut no_manifest = World::live("cp3");
        no_manifest.seen.facts.kubernetes.manifests.retain(|name| name != "etcd.yaml");
        assert_eq!(reason(verdict(&no_manifest, "cp3")), "etcd counts on cp3, which lacks etcd.yaml");
        let mut no_node = World::live("cp3");
        no_node.live_mut().nodes.remove(&"cp3".parse().unwrap());
        assert!(reason(verdict(&no_node, "cp3")).starts_with("etcd counts on cp3"));
        let mut unknown = World::live("cp3");
        unknown.facts.clear();
        unknown.live_mut().nodes.remove(&"cp3".parse().unwrap());
        assert!(reason(verdict(&unknown, "cp3")).contains("no control plane's etcd says"));
    }

    #[test]
    fn other_machines_and_other_clusters_are_refused() {
        let mut replaced = World::live("w1");
        replaced.seen.facts.identity.machine_id = "another".into();
        assert!(reason(verdict(&replaced, "w1")).contains("is another machine"));
        let mut foreign = World::live("w1");
        foreign.seen.facts.kubernetes.identity.as_mut().unwrap().id = "other".into();
        assert_eq!(reason(verdict(&foreign, "w1")), "the machine carries state of another cluster");
        foreign.seen.facts.kubernetes.identity = None;
        assert_eq!(reason(verdict(&foreign, "w1")), "the machine carries state of another cluster");
        let mut orphan = World::live("w1");
        orphan.cluster = Cluster::Absent;
        assert!(reason(verdict(&orphan, "w1")).contains("control planes carry none"));
    }

    #[test]
    fn while_authorities_are_exchanged_workers_join_and_control_planes_wait() {
        for (node, joins) in [("cp2", false), ("w1", true)] {
            let mut world = World::live(node);
            world.live_mut().nodes.remove(&node.parse().unwrap());
            world.etcd_mut().members.remove(1);
            world.seen.facts.kubernetes = Default::default();
            world.ca_crt = Some("-----BEGIN CERTIFICATE-----\n".repeat(2));
            match joins {
                true => assert_eq!(kinds(&change(verdict(&world, node))), ["kubeadm.join"]),
                false => assert!(reason(verdict(&world, node)).contains("are being exchanged")),
            }
        }
    }

    #[test]
    fn unknown_is_not_absent() {
        let mut world = World::bare();
        world.cluster = Cluster::Unknown { reason: "cp1 timed out".into() };
        assert!(reason(verdict(&world, "w1")).contains("cp1 timed out"));
    }
}
