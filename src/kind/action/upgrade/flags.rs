//! Whether the programs of the new version take the flags that they will be given.

use super::{super::super::op, Context};
use crate::{
    model::op::Op,
    render::{
        images,
        static_pods::{Component, flags},
    },
    shell::{quote, words},
};

const TRY_S: u32 = 180;

/// Asks each new program of a control plane for its version with all the flags of its manifest: one that is not known any
/// more, or a feature gate that is gone, is refused before the version is told. The image is mounted for it, and nothing
/// is started. etcd's own version says nothing of Kubernetes, and its flags do not change within one minor version.
pub fn try_flags(context: &Context<'_>) -> Op {
    let mut script = String::from(
        r#"kb_root=$(mktemp -d)
trap 'ctr -n k8s.io images unmount --rm "$kb_root" > /dev/null 2>&1 || umount "$kb_root" 2> /dev/null || :; rmdir "$kb_root" 2> /dev/null || :' EXIT
kb_try() {
  kb_image=$1 kb_name=$2
  shift 2
  ctr -n k8s.io images mount "$kb_image" "$kb_root" > /dev/null
  kb_failed=0
  kb_said=$(chroot "$kb_root" "$kb_name" "$@" --version 2>&1) || kb_failed=1
  ctr -n k8s.io images unmount --rm "$kb_root" > /dev/null
  if [ "$kb_failed" = 1 ]; then
    printf '%s of the new version does not take its flags:\n%s\n' "$kb_name" "$(printf '%s\n' "$kb_said" | grep -i error | head -n 5)" >&2
    exit 1
  fi
}
"#,
    );
    for component in [Component::ApiServer, Component::ControllerManager, Component::Scheduler] {
        let image = images::of_component(context.spec, component).to_string();
        let all = flags(context.spec, context.node, component);
        let all: Vec<String> = all.iter().map(|(flag, value)| format!("--{flag}={value}")).collect();
        script.push_str(&format!("kb_try {} {} {}\n", quote(&image), component.name(), words(&all)));
    }
    op::node("flags.try", "ask the new programs whether they take their flags".to_owned(), script, TRY_S)
}
