//! The shared authorities on the control plane that leads.

use super::{
    super::{op, shared, write},
    Context,
};
use crate::{
    model::{
        etcd::EtcdLayout,
        live::Cluster,
        observe::{ContentRead, FileSeen, Read},
        op::{Late, Op},
        plan::Verdict,
    },
    pki::SharedPath,
    shell::quote,
};

/// Where the key of etcd's authority may lie.
pub fn reads() -> Vec<Read> {
    EtcdLayout::ALL.map(|etcd| Read::File { path: etcd.ca_key().to_owned(), content: ContentRead::Never }).into()
}

pub fn judge(context: &Context<'_>) -> Verdict {
    if !context.node.is_control_plane() {
        return Verdict::Satisfied;
    }
    if let Some(from) = misplaced(context) {
        let to = context.spec.etcd.ca_key();
        return op::change(
            vec![format!("~ {from} -> {to}: out of what kubeadm reads")],
            vec![move_etcd_key(from, context)],
        );
    }
    // In a living cluster each control plane gets them with its join.
    if !context.leads() || context.live().is_some() {
        return Verdict::Satisfied;
    }
    if let Cluster::Unknown { reason } = context.cluster {
        return Verdict::Unknown(reason.clone());
    }
    let there = &context.seen.facts.kubernetes.shared_pki;
    if there.len() == SharedPath::ALL.len() {
        return Verdict::Satisfied;
    }
    if !there.is_empty() {
        return op::refused(
            format!("{} has some of the shared authorities ({}), not all", SharedPath::FOLDER, there.join(", ")),
            format!("complete them, or move {} away to have new ones made", SharedPath::FOLDER),
        );
    }
    let diff = vec![format!("+ {}: ca, front-proxy-ca, etcd/ca, sa", SharedPath::FOLDER)];
    op::change(diff, vec![write_op(context.spec.etcd)])
}

/// Where the key of etcd's authority lies, if that is the other layout's place: a version of this program before this one
/// left it among what kubeadm reads. Which layout is right is not known of a cluster that does not answer.
fn misplaced(context: &Context<'_>) -> Option<&'static str> {
    if let Cluster::Unknown { .. } = context.cluster {
        return None;
    }
    let there = |path: &str| matches!(context.seen.files.get(path), Some(FileSeen::File { .. }));
    let others = EtcdLayout::ALL.into_iter().filter(|etcd| *etcd != context.spec.etcd);
    others.map(EtcdLayout::ca_key).find(|path| there(path))
}

fn move_etcd_key(from: &str, context: &Context<'_>) -> Op {
    let etcd = context.spec.etcd;
    let what = format!("move the key of etcd's authority to {}", etcd.ca_key());
    op::node("pki.move", what, moves_etcd_key(from, etcd), op::QUICK_S)
}

/// POSIX text that puts the key of etcd's authority where this layout has it. Who reads it meanwhile finds it in either place:
/// it is in the new one before it leaves the old.
pub fn moves_etcd_key(from: &str, etcd: EtcdLayout) -> String {
    let to = etcd.ca_key();
    format!(
        r#"if [ -e {from} ]; then
  if [ -e {to} ] && ! cmp -s {from} {to}; then
    echo '{from} and {to} are different keys; neither was changed' >&2
    exit 1
  fi
{put}
  rm -f {from}
fi"#,
        put = shared::put_etcd_key(etcd, write::Source::Output(&format!("cat {from}"))),
    )
}

/// Writes the eight files, those of their folder all at once: they are put together beside it, and renamed. What has a place
/// of its own comes before them, and is nothing without them: a key of a run that died between is kept aside. Files that are
/// there stay; where they are others, nothing is written.
pub fn write_op(etcd: EtcdLayout) -> Op {
    let folder = SharedPath::FOLDER;
    let draft = "/etc/kubernetes/.pki.kbootstrap";
    let (inside, outside): (Vec<SharedPath>, Vec<SharedPath>) =
        SharedPath::ALL.into_iter().partition(|path| path.at(etcd).starts_with(folder));
    let mut script = format!(
        r#"kb_same=0 kb_other=
for kb_file in {names}; do
  if [ ! -e {folder}/"$kb_file" ]; then continue; fi
  if cmp -s "$KB_IN/pki/$kb_file" {folder}/"$kb_file"; then kb_same=$((kb_same + 1)); else kb_other=$kb_file; fi
done
"#,
        names = crate::shell::words(inside.iter().map(|path| path.as_str())),
    );
    for path in &outside {
        script.push_str(&format!(
            r#"if [ -e {at} ] && ! cmp -s "$KB_IN/pki/{path}" {at}; then
  if [ -n "$kb_other" ] || [ "$kb_same" != 0 ]; then
    kb_other={path}
  else
    kb_aside={aside}/$(date -u +%Y%m%dT%H%M%SZ)
    mkdir -p {aside}
    mkdir -p -m 700 "$kb_aside"
    mv -f {at} "$kb_aside/"
  fi
fi
"#,
            at = path.at(etcd),
            aside = write::ASIDE,
        ));
    }
    script.push_str(&format!(
        r#"if [ -n "$kb_other" ] || {{ [ "$kb_same" != 0 ] && [ "$kb_same" != {count} ]; }}; then
  echo "{folder} has authorities of another origin (${{kb_other:-not all of them}}); nothing was written" >&2
  exit 1
fi
"#,
        count = inside.len()
    ));
    if outside.contains(&SharedPath::EtcdCaKey) {
        let input = format!("pki/{}", SharedPath::EtcdCaKey);
        script.push_str(&shared::put_etcd_key(etcd, write::Source::Input(&input)));
        script.push('\n');
    }
    script.push_str(&format!(
        r#"if [ "$kb_same" = {count} ]; then exit 0; fi
rm -rf {draft}
mkdir -p -m 755 /etc/kubernetes {draft} {draft}/etcd
"#,
        count = inside.len()
    ));
    for path in inside {
        script.push_str(&format!(
            "install -m {} -o root -g root \"$KB_IN\"/pki/{path} {draft}/{path}\n",
            path.mode(),
            path = quote(path.as_str())
        ));
    }
    script.push_str(&format!(
        r#"rmdir {folder}/etcd 2> /dev/null || :
if ! rmdir {folder} 2> /dev/null && [ -e {folder} ]; then
  echo "{folder} is not empty; nothing was written" >&2
  rm -rf {draft}
  exit 1
fi
mv -T {draft} {folder}"#
    ));
    op::node_with("pki.write", "write the shared authorities", script, op::QUICK_S, vec![Late::SharedPki])
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::kind::testing::{World, change, kinds, reason, sh_with};

    #[test]
    fn only_the_leader_of_what_does_not_live_yet_gets_new_ones() {
        let mut world = World::bare();
        assert_eq!(change(world.judge("cp1", judge)).late(), [Late::SharedPki]);
        assert!(matches!(world.judge("cp2", judge), Verdict::Satisfied));
        world.seen.facts.kubernetes.shared_pki = vec!["ca.crt".into()];
        assert!(reason(world.judge("cp1", judge)).contains("(ca.crt), not all"));
        world.seen.facts.kubernetes.shared_pki = SharedPath::ALL.iter().map(ToString::to_string).collect();
        assert!(matches!(world.judge("cp1", judge), Verdict::Satisfied));
        assert!(matches!(World::live("cp1").judge("cp1", judge), Verdict::Satisfied));
    }

    /// A machine whose folders are below `root`, and what it is given below `root/in`.
    fn run(root: &Path, op: &Op) -> Result<String, String> {
        let crate::model::op::Work::Node { script, .. } = &op.work else { panic!() };
        // An ordinary user may run this test: nobody can be made root then.
        let mut script = script.replace("-o root -g root", "").replace("chown root:root", ": chown");
        for folder in ["/etc/kubernetes", "/etc/kbootstrap", "/var/lib/kbootstrap"] {
            script = script.replace(folder, &format!("{}{folder}", root.display()));
        }
        sh_with(&script, &[("KB_IN", root.join("in").to_str().unwrap())])
    }

    fn lay(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Where a shared file lies below `root`.
    fn at(root: &Path, path: SharedPath, etcd: EtcdLayout) -> PathBuf {
        root.join(path.at(etcd).trim_start_matches('/'))
    }

    fn mode(path: &Path) -> u32 {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn all_or_nothing_and_never_over_others() {
        for etcd in EtcdLayout::ALL {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path();
            let pki = root.join("etc/kubernetes/pki");
            for path in SharedPath::ALL {
                lay(&root.join("in/pki").join(path.as_str()), &format!("new {path}"));
            }
            let run = || run(root, &write_op(etcd));

            std::fs::create_dir_all(pki.join("etcd")).unwrap();
            lay(&pki.join("ca.crt"), "other");
            assert!(run().unwrap_err().contains("another origin (ca.crt)"));
            assert!(SharedPath::ALL[1..].iter().all(|path| !at(root, *path, etcd).exists()));
            std::fs::remove_file(pki.join("ca.crt")).unwrap();

            lay(&pki.join("apiserver.crt"), "leaf");
            assert!(run().unwrap_err().contains("is not empty"));
            std::fs::remove_file(pki.join("apiserver.crt")).unwrap();

            run().unwrap();
            for path in SharedPath::ALL {
                let there = at(root, path, etcd);
                assert_eq!(mode(&there), u32::from(path.mode().bits()), "{path}");
                assert_eq!(std::fs::read_to_string(&there).unwrap(), format!("new {path}"));
            }
            run().unwrap();
            assert_eq!(std::fs::read_dir(root.join("etc/kubernetes")).unwrap().count(), 1, "no draft is left");
            lay(&at(root, SharedPath::EtcdCaKey, etcd), "other");
            assert!(run().unwrap_err().contains("another origin (etcd/ca.key)"));
        }
    }

    #[test]
    fn a_key_alone_is_of_a_run_that_died_and_is_kept_aside() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for path in SharedPath::ALL {
            lay(&root.join("in/pki").join(path.as_str()), "new");
        }
        let key = at(root, SharedPath::EtcdCaKey, EtcdLayout::Service);
        lay(&key, "of before");
        run(root, &write_op(EtcdLayout::Service)).unwrap();
        assert_eq!(std::fs::read_to_string(&key).unwrap(), "new");
        let aside = std::fs::read_dir(root.join("var/lib/kbootstrap/aside")).unwrap().next().unwrap().unwrap();
        assert_eq!(std::fs::read_to_string(aside.path().join("etcd-ca.key")).unwrap(), "of before");
        assert_eq!(mode(&aside.path()), 0o700);
    }

    #[test]
    fn a_key_where_kubeadm_reads_moves_out_of_there() {
        let (old, new) = (EtcdLayout::Stacked.ca_key(), EtcdLayout::Service.ca_key());
        let mut world = World::live("cp2");
        world.file(old, "key");
        assert!(matches!(world.judge("cp2", judge), Verdict::Satisfied), "kubeadm runs etcd, and reads it");
        world.spec.etcd = EtcdLayout::Service;
        let change = change(world.judge("cp2", judge));
        assert_eq!((kinds(&change), change.disrupts.is_some()), (vec!["pki.move"], false));
        assert!(change.diff[0].contains(old) && change.diff[0].contains(new), "{:?}", change.diff);
        assert!(matches!(world.judge("w1", judge), Verdict::Satisfied));

        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let (from, to) =
            [EtcdLayout::Stacked, EtcdLayout::Service].map(|etcd| at(root, SharedPath::EtcdCaKey, etcd)).into();
        lay(&from, "key");
        lay(&to, "other");
        assert!(run(root, &change.ops[0]).unwrap_err().contains("are different keys"));
        assert!(from.exists());
        std::fs::remove_dir_all(to.parent().unwrap()).unwrap();
        for _ in 0..2 {
            run(root, &change.ops[0]).unwrap();
            assert_eq!((from.exists(), std::fs::read_to_string(&to).unwrap()), (false, "key".to_owned()));
            assert_eq!((mode(&to), mode(to.parent().unwrap())), (0o600, 0o700));
        }
        world.cluster = Cluster::Unknown { reason: "?".into() };
        assert!(matches!(world.judge("cp2", judge), Verdict::Satisfied), "nobody says which layout is right");
    }
}
