//! What a member of etcd as a service shows, and whom it trusts: its certificate, and its own copy of the authority's.

use super::{
    super::{op, write},
    Context,
    etcd_member::restart_text,
    etcd_membership,
};
use crate::{
    model::{
        etcd::EtcdLayout,
        mode::Mode,
        op::{Late, Op},
    },
    render::etcd,
};

const RESTART_S: u32 = 180;

/// Certificate and key from a run's inputs. The key comes last: with it, all is there.
fn own() -> String {
    let owner = format!("{0}:{0}", etcd::USER);
    format!(
        "{}\n{}",
        put("member.crt", write::Source::Input("etcd/member.crt"), Mode::PUBLIC, write::ROOT),
        put("member.key", write::Source::Input("etcd/member.key"), Mode::PRIVATE, &owner),
    )
}

fn put(name: &str, source: write::Source<'_>, mode: Mode, owner: &str) -> String {
    write::put(&format!("{}/{name}", EtcdLayout::SERVICE_FOLDER), source, mode, owner)
}

/// POSIX text that puts all of it in its place, from the files of [`Late::EtcdMember`].
pub fn bring() -> String {
    format!(
        "mkdir -p -m 755 {}\n{}\n{}",
        EtcdLayout::SERVICE_FOLDER,
        put("ca.crt", write::Source::Input("etcd/ca.crt"), Mode::PUBLIC, write::ROOT),
        own()
    )
}

/// The same where there is none yet.
pub fn bring_missing() -> String {
    format!("[ -s {}/member.key ] || {{\n{}\n}}", EtcdLayout::SERVICE_FOLDER, bring())
}

/// A new certificate for the member, which it shows from its restart on. `lives`: the other members go on, so its leadership
/// is handed on before, and they are all well after; where all certificates have ended, no member is until most have theirs.
pub fn renew(context: &Context<'_>, lives: bool) -> Op {
    let restart = match lives {
        true => restart_text(context),
        false => format!("systemctl restart --no-block {}", EtcdLayout::UNIT),
    };
    let what = "a new certificate for its member of etcd, and a restart";
    op::node_with("etcd.renew", what, format!("{}\n{restart}", bring()), RESTART_S, vec![Late::EtcdMember])
}

/// A certificate by the authority that takes the present one's place. Whom the member trusts stays: its age tells since when it
/// has read that.
pub fn reissue() -> Op {
    let what = "a certificate of the new authority for its member of etcd";
    op::node_with("etcd.reissue", what, own(), op::QUICK_S, vec![Late::NextEtcdMember])
}

/// The member reads whom it trusts once, when it starts. One that is at work ends only while all are well.
pub fn reread(context: &Context<'_>) -> Op {
    let script = format!(
        "{}if systemctl -q is-active {}; then kb_settle || exit 1; fi\n{}",
        etcd_membership::functions(context),
        EtcdLayout::UNIT,
        restart_text(context)
    );
    op::node("etcd.restart", "restart its member of etcd while the others are well", script, RESTART_S)
}
