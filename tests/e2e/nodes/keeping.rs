//! What is read and kept of a cluster: certificates, kubeconfigs for others, backups.

use std::fs;

use super::Fleet;

impl Fleet<'_> {
    /// Every node tells of its certificates, and no key of any is told.
    pub fn certificates_are_told(&self) {
        let told = self.lab.kbootstrap(&["certs", "status", &self.inventory]).success();
        for word in ["cp1\n", "w2\n", "/etc/kubernetes/pki/etcd/peer.crt", "kubelet-client-current.pem", "364 days"] {
            assert!(told.contains(word), "nothing is said of {word:?}: {told}");
        }
        self.lab.kbootstrap(&["certs", "status", &self.inventory, "--fail-under", "400d"]).failure(1);
        let file = self.lab.folder().join("jane.kubeconfig").display().to_string();
        let jane = ["kubeconfig", &self.inventory, "--user", "jane", "--group", "devs", "--ttl", "10m", "--to", &file];
        let made = self.lab.kbootstrap(&jane);
        assert!(made.ok(), "{made}");
        let kubectl = crate::lab::asset("kubernetes-1.30.14", "kubectl");
        let who = self.lab.run(&kubectl, &["--kubeconfig", &file, "auth", "whoami"]).success();
        assert!(who.contains("jane") && who.contains("devs"), "{who}");
        let may = self.lab.run(&kubectl, &["--kubeconfig", &file, "get", "nodes"]);
        assert!(!may.ok() && may.stderr.contains("jane"), "she may nothing yet: {may}");
    }

    /// Taken while objects are written, opened by its key alone, and nothing of it stays on the node.
    pub fn a_backup_is_whole(&self) {
        let folder = self.lab.folder();
        let (recipient, identity) = self.lab.age_key("backup.key");
        let nobody = self.lab.kbootstrap(&["backup", &self.inventory]).failure(2);
        assert!(nobody.contains("age-keygen"), "{nobody}");
        let archive = folder.join("one.backup.age").display().to_string();
        let write = "sudo sh -c 'for i in $(seq 200); do kubectl --kubeconfig /etc/kubernetes/admin.conf create configmap \
                     backup-$i --from-literal=a=$i; done > /dev/null 2>&1 &'";
        self.lab.ssh("cp1", write).success();
        let taken = self.lab.kbootstrap(&["backup", &self.inventory, "--to", &archive, "--recipient", &recipient]);
        assert!(taken.ok() && taken.stdout.trim() == archive, "{taken}");
        let verified = self.lab.kbootstrap(&["backup", "verify", &archive, "--identity", &identity]).success();
        assert!(verified.contains(&format!("cluster {}", self.lab.cluster())), "{verified}");
        println!("  {verified}");
        let bytes = fs::read(&archive).expect("an archive");
        let cut = folder.join("cut.backup.age").display().to_string();
        fs::write(&cut, &bytes[..bytes.len() / 2]).expect("written");
        self.lab.kbootstrap(&["backup", "verify", &cut, "--identity", &identity]).failure(1);
        let again = self.lab.kbootstrap(&["backup", &self.inventory, "--to", &archive, "--recipient", &recipient]);
        assert_eq!(again.code, Some(2), "what is there is never written over: {again}");
        for node in crate::lab::CONTROL_PLANES {
            let left =
                self.lab.ssh(node, "sudo ls /var/lib/kbootstrap/backup/drafts /var/lib/etcd/kbootstrap-snapshot.db");
            assert_eq!(left.stdout, "", "left on {node}");
        }
        self.lab
            .ssh("cp1", "sudo kubectl --kubeconfig /etc/kubernetes/admin.conf delete configmap --all --wait=false")
            .success();
    }
}
