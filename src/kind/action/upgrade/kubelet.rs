//! kubelet, started in its new version.

use super::super::super::op;
use crate::model::op::Op;

/// systemd's own limit for stopping and for starting is 90 s each.
const RESTART_S: u32 = 240;

/// Restarts kubelet, and waits until it answers for its own health. One that ends at once again is told by its last words.
pub fn restart() -> Op {
    let script = r#"systemctl daemon-reload
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
done"#;
    op::node("kubelet.restart", "restart kubelet", script, RESTART_S)
}
