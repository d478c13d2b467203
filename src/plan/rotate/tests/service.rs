//! etcd as a service, with a witness.

use super::*;
use crate::model::op::Late;

/// Two control planes, a witness, and a worker that has no member.
fn spec() -> ClusterSpec {
    let mut spec = kind::testing::spec();
    spec.nodes.retain(|node| node.name.as_str() != "cp3");
    let mut other = spec.nodes[2].clone();
    other.name = "w2".parse().unwrap();
    spec.nodes.push(other);
    spec.etcd = EtcdLayout::Service;
    spec.witness = Some("w1".parse().unwrap());
    spec
}

fn lab(stage: Stage) -> Lab {
    Lab::of(spec(), stage)
}

/// The ops and the late inputs of a node's step, each of whose scripts a shell reads.
fn ops(plan: &Plan, owner: &str, step: &str) -> (Vec<&'static str>, Vec<Late>) {
    let found = plan.items().find(|(its, item)| its.to_string() == owner && item.step.as_str() == step).unwrap();
    let change = kind::testing::change(found.1.verdict.clone());
    (kind::testing::kinds(&change), change.late())
}

#[test]
fn each_phase_has_nothing_to_do_once_it_is_done() {
    for (stage, phase) in
        [(Stage::Trusting, Phase::Start), (Stage::Reissued, Phase::Continue), (Stage::Done, Phase::Finish)]
    {
        for pass in phase.passes() {
            assert_eq!(lab(stage).does(phase, *pass), [] as [String; 0], "{phase:?} {pass:?}");
        }
    }
}

#[test]
fn members_read_whom_they_trust_one_after_the_other_and_the_witness_last() {
    for (stage, phase, pass) in
        [(Stage::Staged, Phase::Start, Pass::Spread), (Stage::Reissued, Phase::Finish, Pass::Distrust)]
    {
        let plan = lab(stage).plan(phase, pass, false, |_| {});
        let told = told(&plan);
        let around = ["trust", "others", "leader", "divert", "etcd", "servers", "kubelet", "settled", "return"]
            .map(|step| format!("rotate.{step}"));
        assert_eq!(of(&told, "cp2"), around, "its member restarts while nobody asks the API server beside it");
        assert_eq!(of(&told, "w1"), ["rotate.trust", "rotate.etcd", "rotate.kubelet", "rotate.settled"]);
        assert_eq!(of(&told, "w2"), ["rotate.trust", "rotate.kubelet", "rotate.settled"]);
        for member in ["cp1", "w1"] {
            assert_eq!(ops(&plan, member, "rotate.etcd"), (vec!["etcd.restart"], vec![]));
        }
        let first = |owner: &str| {
            plan.items()
                .find(|(its, item)| its.to_string() == owner && item.verdict.is_change())
                .unwrap()
                .1
                .waits
                .clone()
        };
        assert!(first("cp2").contains(&Gate::Turn("cp1".parse().unwrap())));
        assert!(first("w1").contains(&Gate::Turn("cp2".parse().unwrap())));
        assert!(!format!("{:?}", plan.chains).contains("PRIVATE KEY"));
    }
}

#[test]
fn members_get_certificates_of_the_authority_that_comes() {
    let mut lab = lab(Stage::Trusting);
    let plan = lab.plan(Phase::Continue, Pass::Reissue, false, |_| {});
    for (member, steps) in [
        (
            "cp1",
            ["authority", "leaves", "others", "leader", "divert", "etcd", "servers", "kubelet", "settled", "return"]
                .as_slice(),
        ),
        ("w1", &["etcd", "kubelet", "settled"]),
        ("w2", &["kubelet", "settled"]),
    ] {
        assert_eq!(of(&told(&plan), member), steps.iter().map(|step| format!("rotate.{step}")).collect::<Vec<_>>());
    }
    for member in ["cp1", "w1"] {
        let wanted = (vec!["etcd.reissue", "etcd.restart"], vec![Late::NextEtcdMember]);
        assert_eq!(
            ops(&plan, member, "rotate.etcd"),
            wanted,
            "signed by the new one, whose key has not taken its place yet"
        );
    }
    // A run died after the witness had its certificate, and before it was seen to show it.
    let own = leaf(&lab.new, SharedPath::EtcdCaCrt, SharedPath::EtcdCaKey);
    lab.other("w1", &format!("file 99 {}", member::LEAF), &own);
    let plan = lab.plan(Phase::Continue, Pass::Reissue, false, |_| {});
    assert_eq!(ops(&plan, "w1", "rotate.etcd").0, ["etcd.restart"]);
}

#[test]
fn nothing_goes_on_before_every_member_is_as_far() {
    let mut half = lab(Stage::Trusting);
    half.other("w1", &format!("file 99 {}", member::AUTHORITY), &public(&half.old, SharedPath::EtcdCaCrt));
    assert_eq!(
        half.does(Phase::Continue, Pass::Reissue),
        [
            format!("w1 !{} lacks the new authority", member::AUTHORITY),
            "w1 !etcd runs since before it was told to trust them".to_owned()
        ]
    );
    assert_eq!(of(&half.does(Phase::Start, Pass::Spread), "w1")[..2], ["rotate.trust", "rotate.etcd"]);
    let mut half = lab(Stage::Reissued);
    let old = leaf(&half.old, SharedPath::EtcdCaCrt, SharedPath::EtcdCaKey);
    half.other("w1", &format!("file 10 {}", member::LEAF), &old);
    assert_eq!(
        half.does(Phase::Finish, Pass::Distrust),
        [
            format!("w1 !{} is not signed by the new authority", member::LEAF),
            format!("w1 !port 2379 does not show {}", member::LEAF)
        ]
    );
}

#[test]
fn a_key_that_lies_where_kubeadm_reads_is_moved_first() {
    let mut lab = lab(Stage::Old);
    let digest = key_digest(&lab.old, SharedPath::EtcdCaCrt);
    lab.other("cp2", &format!("key 10 {}", EtcdLayout::Stacked.ca_key()), &digest);
    let said = lab.does(Phase::Start, Pass::Stage);
    assert_eq!(said, [format!("cp2 !the key of etcd's authority lies in {}", EtcdLayout::Stacked.ca_key())]);
}
