//! Law: the authorities of a cluster are exchanged for new ones through kills, and nobody who asks it notices; at the end
//! nothing of the old ones is left, nor believed.

use crate::lab::{
    CONTROL_PLANES, Lab,
    kills::{self, Moment},
    probe::Prober,
    workload::SERVICE,
};

/// Asks the API five times a second and checks it against the authority that the node has now, as its programs do when they
/// start. Failed is what failed after one immediate retry.
const VERIFYING: &str = r#"api=$(awk '/^127.0.0.1 api[.]/ { print $2 }' /etc/hosts)
cat > /tmp/verify.sh <<V
: > /tmp/verify.log
ask() { curl -q -sS --noproxy '*' --max-time 5 --cacert /etc/kubernetes/pki/ca.crt -o /dev/null https://$api:7443/api/v1/namespaces/kube-public/configmaps/cluster-info 2>> /tmp/verify.last; }
asked=0
while [ ! -e /tmp/verify-stop ]; do
  asked=\$((asked + 1))
  ask || ask || { date +%T >> /tmp/verify.log; tail -n 1 /tmp/verify.last >> /tmp/verify.log; }
  echo \$asked > /tmp/verify.asked
  sleep 0.2
done
V
systemd-run -q --collect --unit=verify sh /tmp/verify.sh"#;

fn root(lab: &Lab, node: &str, text: &str) -> String {
    lab.ssh(node, &format!("sudo sh -eu -s << 'AS-ROOT'\n{text}\nAS-ROOT")).success()
}

fn arguments<'a>(inventory: &'a str, step: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["certs", "rotate-ca", inventory, step, "--yes"], more].concat()
}

/// A step that is killed at each of these moments, and gone on with.
fn through_kills(lab: &Lab, step: &str, more: &[&str], kills: &[Moment]) {
    let inventory = lab.inventory().display().to_string();
    // The dead run's locks free themselves within 20 seconds.
    kills::through_kills(lab, &arguments(&inventory, step, &[more, &["--wait"]].concat()), kills);
}

fn refused(lab: &Lab, step: &str, words: &[&str]) {
    let inventory = lab.inventory().display().to_string();
    let said = lab.kbootstrap(&arguments(&inventory, step, &[]));
    assert_eq!(said.code, Some(1), "{said}");
    for word in words {
        assert!(said.stderr.contains(word), "nothing is said of {word:?}: {said}");
    }
}

#[test]
#[ignore = "long: `tests/run e2e --long` runs it"]
fn authorities_are_exchanged_while_the_cluster_serves() {
    let lab = Lab::formed("rotate-ca");
    let inventory = lab.inventory().display().to_string();
    root(&lab, "cp1", "cp /etc/kubernetes/admin.conf /root/old.conf");
    lab.start_workload();
    let digests = "cd /etc/kubernetes/pki; sha256sum ca.key front-proxy-ca.key etcd/ca.key | cut -d ' ' -f 1";
    let old: Vec<String> = root(&lab, "cp1", digests).lines().map(str::to_owned).collect();
    refused(&lab, "continue", &["nothing was begun"]);
    let prober = Prober::with(&lab, "w1", &[("service", SERVICE)]);
    root(&lab, "w1", VERIFYING);

    through_kills(
        &lab,
        "start",
        &[],
        &[("op-finished", "cp2", "rotate.stage"), ("op-finished", "cp2", "rotate.trust")],
    );
    // What is half done is nobody's drift.
    let plan = lab.kbootstrap(&["plan", &inventory, "--exit-code"]);
    assert_eq!(plan.code, Some(0), "{plan}");
    refused(
        &lab,
        "continue",
        &[
            "Deployment rolling/web (3)",
            "Deployment kube-system/coredns (2)",
            "DaemonSet kube-system/kube-proxy (5)",
            "--restart",
        ],
    );
    refused(&lab, "finish", &["is still the old one here", "its kubelet has a certificate of the old authority"]);

    through_kills(&lab, "continue", &["--restart"], &[("op-started", "cp2", "rotate.servers")]);
    let plan = lab.kbootstrap(&["plan", &inventory, "--exit-code"]);
    assert_eq!(plan.code, Some(0), "{plan}");
    refused(&lab, "start", &["the new authorities sign here already"]);

    through_kills(&lab, "finish", &[], &[("op-finished", "cp1", "rotate.trust")]);
    prober.end_well(1000);
    let asked: u64 = root(&lab, "w1", "touch /tmp/verify-stop; sleep 1; cat /tmp/verify.asked").trim().parse().unwrap();
    let failed = root(&lab, "w1", "cat /tmp/verify.log");
    println!("  verifying: {asked} asked");
    assert!(asked > 500 && failed.is_empty(), "{asked} asked, failed:\n{failed}");

    all_is_of_the_new(&lab);
    nothing_of_the_old_is_left(&lab, &old);
    lab.assert_converged();
    let proven = lab.kbootstrap(&["status", &inventory, "--prove"]);
    assert!(proven.ok(), "{proven}");
    let again = lab.kbootstrap(&arguments(&inventory, "finish", &[]));
    assert!(again.ok(), "{again}");
}

fn all_is_of_the_new(lab: &Lab) {
    for node in CONTROL_PLANES {
        let verified = root(
            lab,
            node,
            r#"cd /etc/kubernetes/pki
for name in apiserver apiserver-kubelet-client; do openssl verify -CAfile ca.crt $name.crt; done
openssl verify -CAfile front-proxy-ca.crt front-proxy-client.crt
for name in apiserver-etcd-client etcd/server etcd/peer etcd/healthcheck-client; do openssl verify -CAfile etcd/ca.crt $name.crt; done
for name in admin controller-manager scheduler; do
  sed -n 's/^ *client-certificate-data: //p' /etc/kubernetes/$name.conf | base64 -d > /tmp/own.crt
  openssl verify -CAfile ca.crt /tmp/own.crt
done
cat ca.crt front-proxy-ca.crt etcd/ca.crt | grep -c BEGIN"#,
        );
        assert_eq!(verified.lines().filter(|line| line.ends_with(": OK")).count(), 10, "{node}: {verified}");
        assert_eq!(verified.lines().last(), Some("3"), "{node}");
    }
    for node in lab.nodes() {
        let own = root(
            lab,
            &node,
            "openssl verify -CAfile /etc/kubernetes/pki/ca.crt /var/lib/kubelet/pki/kubelet-client-current.pem\n\
             sha256sum /etc/kubernetes/pki/ca.crt | cut -d ' ' -f 1",
        );
        let first = root(lab, "cp1", "sha256sum /etc/kubernetes/pki/ca.crt | cut -d ' ' -f 1");
        assert!(own.contains(": OK") && own.ends_with(&first), "{node}: {own}");
    }
}

fn nothing_of_the_old_is_left(lab: &Lab, old: &[String]) {
    for node in CONTROL_PLANES {
        let keys = root(lab, node, "find /etc/kubernetes /var/lib/kbootstrap -name '*.key' -exec sha256sum {} +");
        assert!(old.iter().all(|digest| !keys.contains(digest)), "{node}: {keys}");
    }
    // The old administrator neither believes the API server nor is believed.
    let code = root(
        lab,
        "cp1",
        r#"sed -n 's/^ *client-certificate-data: //p' /root/old.conf | base64 -d > /tmp/old.crt
sed -n 's/^ *client-key-data: //p' /root/old.conf | base64 -d > /tmp/old.key
kubectl --kubeconfig /root/old.conf get nodes 2>&1 | grep -o 'unknown authority' || :
curl -s -k -o /dev/null -w '%{http_code}' --cert /tmp/old.crt --key /tmp/old.key https://127.0.0.1:6443/api"#,
    );
    assert_eq!(code.split_whitespace().collect::<Vec<_>>(), ["unknown", "authority", "401"]);
    for (namespace, map) in [("kube-public", "cluster-info"), ("kube-system", "extension-apiserver-authentication")] {
        let text = lab.kubectl("cp1", &format!("-n {namespace} get configmap {map} -o yaml")).success();
        assert!(text.matches("BEGIN CERTIFICATE").count() <= 2, "{text}");
    }
}
