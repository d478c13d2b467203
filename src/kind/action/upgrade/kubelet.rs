//! kubelet, started with another configuration or in another version.

use super::super::{super::op, kubelet};
use crate::{model::op::Op, shell::Until};

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
    // containerd may have been restarted just now.
    let answered = Until {
        holds: "kb_old=$(kb_pods 2> /dev/null)",
        seconds: 30,
        pause: "0.5",
        otherwise: "kb_pods > /dev/null || exit 1",
    };
    let anew = Until {
        holds: r#"kb_now=$(kb_pods 2> /dev/null) && ! printf '%s\n' "$kb_now" | grep -qxF -e "${kb_old:-none}""#,
        seconds: ANEW_S,
        pause: "0.5",
        otherwise: "break",
    };
    let script = format!(
        r#"kb_pods() {{
  crictl ps -q --state Running --label io.kubernetes.pod.namespace=kube-system --name '^(etcd|kube-apiserver|kube-controller-manager|kube-scheduler)$'
}}
{answered}
{restart}
{anew}"#,
        answered = answered.text(),
        restart = text(),
        anew = anew.text(),
    );
    op::node(RESTART, "restart kubelet, and see static pods made anew", script, RESTART_S + ANEW_S)
}

/// What was written for it, it has read.
fn text() -> String {
    let up = Until {
        holds: "curl -fsS -o /dev/null --noproxy '*' --max-time 2 http://127.0.0.1:10248/healthz 2> /dev/null",
        seconds: 60,
        pause: "0.5",
        otherwise: "echo 'kubelet does not come up:' >&2
    journalctl --no-pager -n 20 -o cat -u kubelet.service >&2
    exit 1",
    };
    format!("systemctl daemon-reload\nsystemctl restart kubelet.service\n{}\nrm -f {}", up.text(), kubelet::DUE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        kind::testing::{in_no_time, programs, sh_with},
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
        let all = [("crictl", crictl.as_str()), ("systemctl", ":"), ("curl", ":"), ("rm", ":")];
        let path = programs(folder.path(), &all);
        let Work::Node { script, .. } = restart_with_static_pods().work else { panic!("a node's") };
        sh_with(&in_no_time(folder.path(), &script), &[("PATH", &path)]).unwrap();
        let asked = std::fs::read_to_string(folder.path().join("asked")).unwrap().lines().count();
        assert_eq!(asked, 6);
    }
}
