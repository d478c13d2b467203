//! The shared authorities on the control plane that leads.

use super::{super::op, Context};
use crate::{
    model::{
        live::Cluster,
        op::{Late, Op},
        plan::Verdict,
    },
    pki::SharedPath,
    shell::quote,
};

pub fn judge(context: &Context<'_>) -> Verdict {
    // In a living cluster each control plane gets them with its join.
    if !context.node.is_control_plane() || !context.leads() || context.live().is_some() {
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
    op::change(diff, vec![write_op()])
}

/// Writes the eight files all at once: they are put together beside their folder, which is then renamed. Files that are
/// there stay; where they are others, nothing is written.
pub fn write_op() -> Op {
    let folder = SharedPath::FOLDER;
    let draft = "/etc/kubernetes/.pki.kbootstrap";
    let mut script = format!("kb_same=0 kb_other=\nfor kb_file in {}; do\n", words());
    script.push_str(&format!(
        r#"  if [ ! -e {folder}/"$kb_file" ]; then continue; fi
  if cmp -s "$KB_IN/pki/$kb_file" {folder}/"$kb_file"; then kb_same=$((kb_same + 1)); else kb_other=$kb_file; fi
done
if [ "$kb_same" = {count} ]; then exit 0; fi
if [ -n "$kb_other" ] || [ "$kb_same" != 0 ]; then
  echo "{folder} has authorities of another origin (${{kb_other:-not all of them}}); nothing was written" >&2
  exit 1
fi
rm -rf {draft}
mkdir -p -m 755 /etc/kubernetes {draft} {draft}/etcd
"#,
        count = SharedPath::ALL.len()
    ));
    for path in SharedPath::ALL {
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

fn words() -> String {
    crate::shell::words(SharedPath::ALL.iter().map(|path| path.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::testing::{World, change, reason, sh_with};

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

    #[test]
    fn all_or_nothing_and_never_over_others() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let kubernetes = root.join("kubernetes");
        for path in SharedPath::ALL {
            let path = root.join("in/pki").join(path.as_str());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, format!("new {}", path.display())).unwrap();
        }
        let op = write_op();
        let crate::model::op::Work::Node { script, .. } = &op.work else { panic!() };
        // An ordinary user may run this test: nobody can be made root then.
        let script = script.replace("/etc/kubernetes", kubernetes.to_str().unwrap()).replace("-o root -g root", "");
        let input = root.join("in");
        let run = || sh_with(&script, &[("KB_IN", input.to_str().unwrap())]);

        std::fs::create_dir_all(kubernetes.join("pki/etcd")).unwrap();
        std::fs::write(kubernetes.join("pki/ca.crt"), "other").unwrap();
        assert!(run().unwrap_err().contains("another origin (ca.crt)"));
        assert!(!kubernetes.join("pki/sa.key").exists());
        std::fs::remove_file(kubernetes.join("pki/ca.crt")).unwrap();

        std::fs::write(kubernetes.join("pki/apiserver.crt"), "leaf").unwrap();
        assert!(run().unwrap_err().contains("is not empty"));
        std::fs::remove_file(kubernetes.join("pki/apiserver.crt")).unwrap();

        run().unwrap();
        for path in SharedPath::ALL {
            use std::os::unix::fs::PermissionsExt;
            let there = kubernetes.join("pki").join(path.as_str());
            let mode = std::fs::metadata(&there).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, u32::from(path.mode().bits()), "{path}");
            assert!(std::fs::read_to_string(&there).unwrap().starts_with("new "));
        }
        run().unwrap();
        assert_eq!(std::fs::read_dir(&kubernetes).unwrap().count(), 1, "no draft is left");
    }
}
