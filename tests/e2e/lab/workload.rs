//! Pods at work behind a service, as users have them: they may move, and never all at once.

use super::Lab;

/// The cluster's own address that the workload's service answers at.
pub const SERVICE: &str = "http://10.96.77.77/hostname";

impl Lab {
    /// Has them in namespace `rolling`; returns once all are up.
    pub fn start_workload(&self) {
        let manifest = include_str!("workload.yaml");
        let apply = format!(
            "sudo tee /root/workload.yaml > /dev/null <<'Y'\n{manifest}\nY\n\
             sudo kubectl --kubeconfig /etc/kubernetes/admin.conf apply -f /root/workload.yaml"
        );
        self.ssh("cp1", &apply).success();
        self.kubectl("cp1", "-n rolling rollout status deployment/web --timeout=90s").success();
    }
}
