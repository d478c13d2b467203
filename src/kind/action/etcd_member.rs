//! A member of etcd as a systemd service, on a control plane or on the witness: formed with the others, joined to them later,
//! restarted with what is wanted of it now, and taken off where it is not wanted any more.

use super::{
    super::{op, write},
    Context, etcd_certificate, etcd_membership, etcd_takeover,
};
use crate::{
    model::{
        etcd::EtcdLayout,
        live::Cluster,
        mode::Mode,
        observe::{ContentRead, FileSeen, Read},
        op::{Late, Op},
        plan::{Change, Verdict},
    },
    render::{etcd, identity, images, static_pods::Component},
    shell::{Until, quote},
};

/// The kind of the op by which a member leaves.
pub const LEAVE: &str = "etcd.leave";
/// An image may have to be fetched on the way.
const INSTALL_S: u32 = 600;
const START_S: u32 = 180;
/// A learner gets the whole of the data first.
const JOIN_S: u32 = 600;

pub fn reads() -> Vec<Read> {
    vec![
        Read::File { path: etcd::UNIT_PATH.to_owned(), content: ContentRead::Always },
        Read::Unit(EtcdLayout::UNIT.to_owned()),
    ]
}

pub fn judge(context: &Context<'_>) -> Verdict {
    let (spec, node) = (context.spec, context.node);
    if node.is_control_plane() && etcd_takeover::is_under_way(spec, |name| context.facts.get(name)) {
        return op::refused(etcd_takeover::UNDER_WAY.0, etcd_takeover::UNDER_WAY.1);
    }
    if let Some(given) = spec.etcd_given.filter(|given| *given != spec.etcd && node.is_control_plane()) {
        return op::refused(
            format!("the cluster's etcd is {}, the inventory says {given}", spec.etcd),
            match given {
                EtcdLayout::Service => {
                    "kbootstrap etcd convert turns it into that while it serves; \
                                        or set `layout = \"stacked\"` in [etcd]"
                }
                EtcdLayout::Stacked => "there is no way back: set `layout = \"service\"` in [etcd]",
            },
        );
    }
    if spec.etcd != EtcdLayout::Service {
        return Verdict::Satisfied;
    }
    if !spec.is_member(node) {
        return if has_unit(context) { leave(context) } else { Verdict::Satisfied };
    }
    match context.cluster {
        Cluster::Live(_) => in_the_cluster(context),
        _ if stands(context) => Verdict::Satisfied,
        Cluster::Unknown { reason } => Verdict::Unknown(reason.clone()),
        // What a restore begins with is one member; the others join it.
        Cluster::Absent | Cluster::HalfFormed { .. } if is_restoring(context) && !context.leads() => joins(context),
        Cluster::Absent | Cluster::HalfFormed { .. } => forms(context),
    }
}

/// Whether an init is about to begin from a snapshot, on whichever control plane.
fn is_restoring(context: &Context<'_>) -> bool {
    context.facts.values().any(|facts| facts.kubernetes.restoring)
}

fn has_unit(context: &Context<'_>) -> bool {
    matches!(context.seen.files.get(etcd::UNIT_PATH), Some(FileSeen::File { .. }))
}

/// Whether the unit is as it shall be, and at work.
pub(super) fn stands(context: &Context<'_>) -> bool {
    let Some(FileSeen::File { content: Some(content), .. }) = context.seen.files.get(etcd::UNIT_PATH) else {
        return false;
    };
    let unit = context.seen.units.get(EtcdLayout::UNIT);
    let runs = unit.is_some_and(|unit| {
        unit.enabled == "enabled" && !unit.needs_reload && matches!(unit.active.as_str(), "active" | "activating")
    });
    runs && *content == etcd::unit(context.spec, context.node).into_bytes()
}

fn in_the_cluster(context: &Context<'_>) -> Verdict {
    let (name, data) = (&context.node.name, context.seen.facts.kubernetes.etcd_service);
    match etcd_membership::member(context) {
        etcd_membership::Member::Votes | etcd_membership::Member::Unknown if stands(context) && data => {
            Verdict::Satisfied
        }
        etcd_membership::Member::Votes if data => {
            let mut diff = Vec::new();
            if let Some(FileSeen::File { content: Some(content), .. }) = context.seen.files.get(etcd::UNIT_PATH) {
                let wanted = etcd::unit(context.spec, context.node);
                diff = super::super::diff::lines(&String::from_utf8_lossy(content), &wanted);
            }
            diff.push(format!("~ {}, restarted", EtcdLayout::UNIT));
            Verdict::Change(Change {
                diff,
                ops: vec![install(context), restart(context)],
                disrupts: Some(format!("etcd's member on {name} restarts")),
            })
        }
        etcd_membership::Member::Votes => op::refused(
            format!("etcd counts on {name}, whose data of etcd is gone"),
            format!(
                "take the member out, then have it join anew: kbootstrap node replace, or node remove --dead, {name}"
            ),
        ),
        etcd_membership::Member::Unknown => {
            Verdict::Unknown("no control plane's etcd says who its members are".to_owned())
        }
        etcd_membership::Member::None | etcd_membership::Member::Learns => joins(context),
    }
}

fn forms(context: &Context<'_>) -> Verdict {
    let alone = is_restoring(context);
    let members = context.spec.members().filter(|node| !alone || node.name == context.node.name);
    let members: Vec<String> = members.map(|node| node.name.to_string()).collect();
    let diff = vec![format!("+ etcd, one of {} members: {}", members.len(), members.join(", "))];
    op::change(diff, vec![install(context), form(context, alone)])
}

fn joins(context: &Context<'_>) -> Verdict {
    let diff = vec![format!("+ member {} of etcd", context.node.name)];
    op::change(diff, vec![install(context), join_op(context)])
}

/// Leaves etcd while all members are well, so that those that are left have their quorum, and ends.
fn leave(context: &Context<'_>) -> Verdict {
    let name = &context.node.name;
    let script = format!(
        r#"{functions}kb_own=$(kb_members | grep -F {own}) || kb_own=
if [ -n "$kb_own" ]; then
  kb_settle || exit 1
  kb_id=${{kb_own#'{{"ID":"'}}
  kb_curl -d "{{\"ID\":\"${{kb_id%%\"*}}\"}}" "$kb_url/v3/cluster/member/remove" > /dev/null
fi
kb_aside={aside}/$(date -u +%Y%m%dT%H%M%SZ)
mkdir -p "$kb_aside"
{end}"#,
        functions = etcd_membership::functions(context),
        own = quote(&format!("\"{}\"", etcd::peer_url(context.node))),
        aside = write::ASIDE,
        end = end(),
    );
    Verdict::Change(Change {
        diff: vec![format!("- member {name} of etcd, which has enough without it")],
        ops: vec![op::node(LEAVE, "leave etcd, and end it, its data kept aside", script, START_S)],
        disrupts: Some(format!("etcd's member on {name} ends")),
    })
}

/// POSIX text that ends the service for good and moves its data to `$kb_aside/etcd`.
pub fn end() -> String {
    format!(
        r#"systemctl -q disable --now {unit} 2> /dev/null || :
rm -f {path} {start}
systemctl daemon-reload
if [ -d {data} ]; then
  mkdir -p -m 700 "$kb_aside/etcd"
  find {data} -mindepth 1 -maxdepth 1 -exec mv -t "$kb_aside/etcd" {{}} +
fi
rm -rf {folder} {programs}"#,
        unit = EtcdLayout::UNIT,
        path = etcd::UNIT_PATH,
        start = etcd::START_PATH,
        data = EtcdLayout::Service.data_folder(),
        folder = EtcdLayout::SERVICE_FOLDER,
        programs = etcd::PROGRAMS,
    )
}

/// User, programs, certificate: whatever of them is not there. The programs are those of the image that a static pod would
/// run, so that a registry is all that is needed.
pub(super) fn install(context: &Context<'_>) -> Op {
    let script = format!(
        r#"id -u {user} > /dev/null 2>&1 || useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin {user}
chmod 711 /var/lib/kbootstrap
if [ ! -x {programs}/etcd ]; then
  crictl inspecti -q {image} > /dev/null 2>&1 || crictl pull {image} > /dev/null
  kb_root=$(mktemp -d)
  trap 'ctr -n k8s.io images unmount --rm "$kb_root" > /dev/null 2>&1 || umount "$kb_root" 2> /dev/null || :; rmdir "$kb_root" 2> /dev/null || :' EXIT
  ctr -n k8s.io images mount {image} "$kb_root" > /dev/null
  rm -rf {programs}.part
  mkdir -p -m 755 {programs}.part
  for kb_program in etcd etcdctl etcdutl; do install -m 755 "$kb_root/usr/local/bin/$kb_program" {programs}.part/; done
  mv -T {programs}.part {programs}
fi
{certificate}
mkdir -p {data}
chown {user}:{user} {data}
chmod 700 {data}"#,
        user = etcd::USER,
        programs = quote(&etcd::programs(context.spec)),
        image = quote(images::of_component(context.spec, Component::Etcd).as_ref()),
        certificate = etcd_certificate::bring_missing(),
        data = EtcdLayout::Service.data_folder(),
    );
    let what = "install etcd, its user and its certificate";
    op::node_with("etcd.install", what, script, INSTALL_S, vec![Late::EtcdMember])
}

/// POSIX text that writes the unit, and what it begins with where that is given: members and state.
pub(super) fn put_unit(context: &Context<'_>, begins: Option<(&str, &str)>) -> String {
    let unit = etcd::unit(context.spec, context.node);
    let start = begins.map(|(members, state)| {
        let print = format!(
            "printf 'ETCD_INITIAL_CLUSTER=%s\\nETCD_INITIAL_CLUSTER_STATE={state}\\nETCD_INITIAL_CLUSTER_TOKEN=%s\\n' {members} \
             \"$(sed -n 's/^id = \"\\(.*\\)\"$/\\1/p' {})\"",
            identity::PATH
        );
        write::put(etcd::START_PATH, write::Source::Output(&print), Mode::PUBLIC, write::ROOT) + "\n"
    });
    format!(
        "{}{}\nsystemctl daemon-reload\nsystemctl -q enable {}",
        start.unwrap_or_default(),
        write::put(etcd::UNIT_PATH, write::Source::Text(&unit), Mode::PUBLIC, write::ROOT),
        EtcdLayout::UNIT
    )
}

/// The first start, with the members that it is formed with. It is not waited for: a member is up when most of them are.
fn form(context: &Context<'_>, alone: bool) -> Op {
    let members = match alone {
        true => etcd::initial_cluster(std::iter::once(context.node)),
        false => etcd::initial_cluster(context.spec.members()),
    };
    let script = format!(
        "{before}{put}\nsystemctl start --no-block {unit}",
        before = if alone { super::super::restore::before_init(context) } else { String::new() },
        put = put_unit(context, Some((&quote(&members), "new"))),
        unit = EtcdLayout::UNIT
    );
    op::node("etcd.start", "start etcd", script, START_S)
}

/// Joins as a learner, and gets a vote once it has the data. What an earlier member of this machine left is kept aside.
fn join_op(context: &Context<'_>) -> Op {
    let peer = etcd::peer_url(context.node);
    let members = format!(
        r#""$(kb_members | sed -n 's/.*"name":"\([^"]*\)","peerURLs":\["\([^"]*\)".*/\1=\2/p' | tr '\n' ','){}""#,
        format_args!("{}={peer}", context.node.name)
    );
    let otherwise = format!(
        r#"echo 'the new member of etcd got no vote in five minutes' >&2
    tail -n 3 "$KB_IN/promote.log" >&2
    journalctl --no-pager -n 5 -o cat -u {} >&2
    exit 1"#,
        EtcdLayout::UNIT
    );
    let promoted = Until {
        holds: r#"kb_curl -d "{\"ID\":\"${kb_id%%\"*}\"}" "$kb_url/v3/cluster/member/promote" > /dev/null 2> "$KB_IN/promote.log""#,
        seconds: 300,
        pause: "0.5",
        otherwise: &otherwise,
    };
    let script = format!(
        r#"{functions}kb_drop_learner
kb_settle || exit 1
systemctl -q stop {unit} 2> /dev/null || :
if [ -e {data}/member ]; then
  kb_aside={aside}/$(date -u +%Y%m%dT%H%M%SZ)
  mkdir -p "$kb_aside"
  mv {data}/member "$kb_aside/etcd-member"
fi
{put}
kb_curl -d {request} "$kb_url/v3/cluster/member/add" > /dev/null
systemctl start --no-block {unit}
kb_own=$(kb_members | grep -F {own})
kb_id=${{kb_own#'{{"ID":"'}}
{promoted}
kb_settle"#,
        functions = etcd_membership::functions(context),
        unit = EtcdLayout::UNIT,
        data = EtcdLayout::Service.data_folder(),
        aside = write::ASIDE,
        put = put_unit(context, Some((&members, "existing"))),
        promoted = promoted.text(),
        request = quote(&format!(r#"{{"peerURLs":["{peer}"],"isLearner":true}}"#)),
        own = quote(&format!("\"{peer}\"")),
    );
    op::node("etcd.join", "join etcd, and get a vote", script, JOIN_S)
}

fn restart(context: &Context<'_>) -> Op {
    op::node("etcd.restart", "restart etcd with what is wanted of it", restart_text(context), START_S)
}

/// POSIX text: the leadership to another first, then a restart, and all members well.
pub fn restart_text(context: &Context<'_>) -> String {
    format!(
        "{}{}\nsystemctl restart --no-block {}\nsleep 1\nkb_settle",
        etcd_membership::step_down(context),
        put_unit(context, None),
        EtcdLayout::UNIT
    )
}

/// POSIX text that waits until this machine's member says that it is healthy, which it does with a quorum alone.
pub(super) fn until_healthy(seconds: u32, else_say: &str) -> String {
    let (certificate, key) = EtcdLayout::Service.client_certificate();
    let wait = Until {
        holds: &format!(
            r#"case $(curl -q -s --max-time 3 --noproxy '*' --cacert {ca} --cert {certificate} --key {key} https://127.0.0.1:{port}/health) in *'"health":"true"'*) ;; *) false ;; esac"#,
            ca = EtcdLayout::Service.ca_certificate(),
            port = EtcdLayout::CLIENT_PORT,
        ),
        seconds,
        pause: "0.5",
        otherwise: &format!(
            "echo {} >&2\n    journalctl --no-pager -n 8 -o cat -u {} >&2\n    exit 1",
            quote(else_say),
            EtcdLayout::UNIT
        ),
    };
    wait.text() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        kind::testing::{World, change, kinds, reason},
        model::{facts::EtcdMember, observe::UnitSeen},
    };

    /// Two control planes and a worker with the witness.
    fn service(mut world: World) -> World {
        world.spec.nodes.retain(|node| node.name.as_str() != "cp3");
        world.spec.etcd = EtcdLayout::Service;
        world.spec.witness = Some("w1".parse().unwrap());
        if let Cluster::Live(_) = &world.cluster {
            let members = ["cp1", "cp2", "w1"].map(|name| EtcdMember {
                id: name.into(),
                name: name.into(),
                peer_urls: vec![etcd::peer_url(world.spec.node(&name.parse().unwrap()).unwrap())],
                learner: false,
            });
            world.etcd_mut().members = members.into();
        }
        world
    }

    /// As its own step leaves it.
    fn stands(world: &mut World, node: &str) {
        let text = etcd::unit(&world.spec, world.spec.node(&node.parse().unwrap()).unwrap());
        world.file(etcd::UNIT_PATH, &text);
        let unit = UnitSeen { active: "active".into(), enabled: "enabled".into(), ..UnitSeen::default() };
        world.seen.units.insert(EtcdLayout::UNIT.into(), unit);
        world.seen.facts.kubernetes.etcd_service = true;
    }

    #[test]
    fn all_members_are_formed_at_once_and_no_other_node_has_one() {
        let world = service(World::bare());
        for node in ["cp1", "cp2", "w1"] {
            let form = change(world.judge(node, judge));
            assert_eq!(
                (kinds(&form), form.late()),
                (vec!["etcd.install", "etcd.start"], vec![Late::EtcdMember]),
                "{node}"
            );
            assert_eq!(form.diff, ["+ etcd, one of 3 members: cp1, cp2, w1"]);
        }
        let mut stacked = World::bare();
        assert!(matches!(stacked.judge("cp1", judge), Verdict::Satisfied));
        stacked.spec.etcd = EtcdLayout::Service;
        assert!(matches!(stacked.judge("w1", judge), Verdict::Satisfied), "three members are enough");
    }

    #[test]
    fn who_stands_is_left_alone_and_who_differs_restarts_in_its_turn() {
        let mut world = service(World::live("w1"));
        stands(&mut world, "w1");
        assert!(matches!(world.judge("w1", judge), Verdict::Satisfied));
        world.seen.units.get_mut(EtcdLayout::UNIT).unwrap().active = "failed".into();
        let restart = change(world.judge("w1", judge));
        assert_eq!(kinds(&restart), ["etcd.install", "etcd.restart"]);
        assert!(restart.disrupts.is_some());
        world.seen.facts.kubernetes.etcd_service = false;
        assert_eq!(reason(world.judge("w1", judge)), "etcd counts on w1, whose data of etcd is gone");
    }

    #[test]
    fn who_is_no_member_of_what_lives_joins_it() {
        let mut world = service(World::live("w1"));
        world.etcd_mut().members.pop();
        assert_eq!(kinds(&change(world.judge("w1", judge))), ["etcd.install", "etcd.join"]);
        world.facts.clear();
        assert!(matches!(world.judge("w1", judge), Verdict::Unknown(_)));
    }

    #[test]
    fn a_witness_that_is_not_needed_leaves() {
        let mut world = service(World::live("w1"));
        stands(&mut world, "w1");
        world.spec.witness = None;
        assert_eq!(kinds(&change(world.judge("w1", judge))), [LEAVE]);
    }

    #[test]
    fn the_layout_of_what_lives_is_not_the_inventorys_to_change() {
        let mut world = World::live("cp1");
        world.spec.etcd_given = Some(EtcdLayout::Service);
        assert_eq!(reason(world.judge("cp1", judge)), "the cluster's etcd is stacked, the inventory says service");
    }
}
