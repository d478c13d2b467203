//! kubelet, started with another configuration or in another version.

use super::super::{super::op, kubelet};
use crate::model::op::Op;

/// systemd's own limit for stopping and for starting is 90 s each.
const RESTART_S: u32 = 240;
/// An API server goes on for ten seconds after it was told to end, and kubelet gives no static pod more than thirty.
const ANEW_S: u32 = 45;

/// The kind of [`restart`].
pub const RESTART: &str = "kubelet.restart";

/// Restarts kubelet, and waits until it answers for its own health. One that ends at once again is told by its last words.
pub fn restart() -> Op {
    op::node(RESTART, "restart kubelet", text(), RESTART_S)
}

/// The same on a control plane for another minor version of kubelet, which reckons otherwise what a container is made of and
/// so makes every static pod anew, a few seconds after it says that it is well (Kubernetes' documents want a node drained for
/// that). Waits until the old ones are gone: only what comes then is worth a look. One that stays is taken as it is.
pub fn restart_with_static_pods() -> Op {
    let script = format!(
        r#"kb_pods() {{
  crictl ps -q --state Running --label io.kubernetes.pod.namespace=kube-system --name '^(etcd|kube-apiserver|kube-controller-manager|kube-scheduler)$'
}}
# containerd may have been restarted just now.
kb_left=60
until kb_old=$(kb_pods 2> /dev/null); do
  if [ "$kb_left" = 0 ]; then kb_pods > /dev/null; fi
  kb_left=$((kb_left - 1))
  sleep 0.5
done
{restart}
kb_left={looks}
while [ "$kb_left" != 0 ]; do
  if kb_now=$(kb_pods 2> /dev/null) && ! printf '%s\n' "$kb_now" | grep -qxF -e "${{kb_old:-none}}"; then break; fi
  kb_left=$((kb_left - 1))
  sleep 0.5
done"#,
        restart = text(),
        looks = ANEW_S * 2,
    );
    op::node(RESTART, "restart kubelet, and see static pods made anew", script, RESTART_S + ANEW_S)
}

/// What was written for it, it has read.
fn text() -> String {
    format!(
        r#"systemctl daemon-reload
systemctl restart kubelet.service
kb_left=120
until curl -fsS -o /dev/null --noproxy '*' --max-time 2 http://127.0.0.1:10248/healthz 2> /dev/null; do
  if [ "$kb_left" = 0 ]; then
    echo 'kubelet does not come up:' >&2
    journalctl --no-pager -n 20 -o cat -u kubelet.service >&2
    exit 1
  fi
  kb_left=$((kb_left - 1))
  sleep 0.5
done
rm -f {due}"#,
        due = kubelet::DUE
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        kind::testing::{programs, sh_with},
        model::op::Work,
    };

    #[test]
    fn static_pods_of_before_are_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().to_str().unwrap();
        // containerd answers at the second question, and the old ones are gone some questions after the restart.
        let crictl = format!(
            "echo >> {state}/asked\nn=$(wc -l < {state}/asked)\n[ $n -gt 1 ] || exit 1\n\
             if [ $n -lt 6 ]; then echo old1; echo old2; else echo new1; fi"
        );
        let all = [("crictl", crictl.as_str()), ("systemctl", ":"), ("curl", ":"), ("sleep", ":"), ("rm", ":")];
        let path = programs(folder.path(), &all);
        let Work::Node { script, .. } = restart_with_static_pods().work else { panic!("a node's") };
        sh_with(&script, &[("PATH", &path)]).unwrap();
        let asked = std::fs::read_to_string(folder.path().join("asked")).unwrap().lines().count();
        assert_eq!(asked, 6);
    }
}
