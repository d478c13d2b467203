//! Images that are there before anything asks for them.

use super::{Context, op};
use crate::{
    model::{observe::Read, plan::Verdict},
    shell::words,
};

const LIST: &str = ":images";
/// Asked of containerd itself: a CRI client needs a configuration that may not be there yet. A socket that nobody
/// answers on is not waited for.
const LIST_SCRIPT: &str = "[ -S /run/containerd/containerd.sock ] && ctr --connect-timeout 2s -n k8s.io images ls -q";

/// Longest time of all pulls together: a slow line and some hundred megabytes.
const PULL_S: u32 = 1800;

pub fn reads() -> Vec<Read> {
    vec![Read::Command { id: LIST.into(), script: LIST_SCRIPT.into() }]
}

pub fn judge(images: &[String], context: &Context<'_>) -> Verdict {
    // No answer means no runtime yet: pulling what is there already does no harm.
    let there = context.seen.commands.get(LIST).filter(|answer| answer.code == 0);
    let there = there.map(|answer| String::from_utf8_lossy(&answer.stdout)).unwrap_or_default();
    let missing: Vec<&String> = images.iter().filter(|image| !there.lines().any(|line| line == *image)).collect();
    if missing.is_empty() {
        return Verdict::Satisfied;
    }
    let diff = missing.iter().map(|image| format!("+ {image}")).collect();
    let what = format!("pull {} images", missing.len());
    op::change(diff, vec![op::node("image.pull", what, script(&missing), PULL_S)])
}

/// All at once, each three times at most with a growing pause; what will not come by asking again is not asked again.
fn script(images: &[&String]) -> String {
    let images = words(images);
    format!(
        r#"kb_said=$(mktemp -d)
trap 'rm -rf "$kb_said"' EXIT
kb_pull() {{
  kb_try=1
  until crictl pull "$1" > "$kb_said/$2" 2>&1; do
    [ "$kb_try" -lt 3 ] || return 1
    if grep -qiE 'not found|unauthorized|denied|invalid' "$kb_said/$2"; then return 1; fi
    sleep $((kb_try * 2))
    kb_try=$((kb_try + 1))
  done
}}
kb_n=0
for kb_image in {images}; do
  kb_n=$((kb_n + 1))
  kb_pull "$kb_image" "$kb_n" &
  eval "kb_pid_$kb_n=\$!"
done
kb_n=0 kb_failed=0
for kb_image in {images}; do
  kb_n=$((kb_n + 1))
  eval "wait \"\$kb_pid_$kb_n\"" || {{
    echo "could not pull $kb_image:" >&2
    tail -n 2 "$kb_said/$kb_n" >&2
    kb_failed=1
  }}
done
[ "$kb_failed" = 0 ]"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::testing::{programs, sh_with};

    #[test]
    fn pulls_all_and_names_what_failed() {
        let folder = tempfile::tempdir().unwrap();
        let body = "case $2 in b/gone:1) echo 'rpc: not found' >&2; exit 1;; c/flaky:1) [ \"$(grep -c flaky \"${0%/*}/log\")\" -ge 3 ];; esac";
        let log = "echo \"$*\" >> \"${0%/*}/log\"";
        let path = programs(folder.path(), &[("crictl", &format!("{log}\n{body}")), ("sleep", ":")]);
        let images = ["a/a:1", "b/gone:1", "c/flaky:1"].map(String::from);
        let said = sh_with(&script(&images.iter().collect::<Vec<_>>()), &[("PATH", &path)]).unwrap_err();
        assert_eq!(said, "could not pull b/gone:1:\nrpc: not found\n");
        let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
        let asked = |name: &str| log.lines().filter(|line| line.contains(name)).count();
        assert_eq!((asked("a/a:1"), asked("b/gone:1"), asked("c/flaky:1")), (1, 1, 3));
    }
}
