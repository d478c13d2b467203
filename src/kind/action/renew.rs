//! New certificates for what runs, signed by the authorities that are there.

use super::{
    super::{op, rotate, write},
    Context, etcd_client, join, kubeadm, upgrade,
};
use crate::{
    model::{
        cluster::EndpointKind,
        etcd::EtcdLayout,
        mode::Mode,
        op::{Late, Op},
    },
    render::{
        kubeadm::{NodeFacts, ca_path, discovery, init},
        static_pods::Component,
    },
    shell::{Until, quote},
};

const RENEW_S: u32 = 180;
const RESTART_S: u32 = 600;
const KUBELET_S: u32 = 240;

/// What stands for a token where kubeadm reads one and uses none.
const NO_TOKEN: &str = "kb_token=000000.0000000000000000\n";

pub use super::etcd_certificate::renew as member;

/// All certificates of a control plane anew, their keys, too; what was there is kept aside. Those of servers get the names
/// and addresses that the inventory gives now: kubeadm's renewal would copy the old ones.
pub fn certificates(context: &Context<'_>) -> Op {
    let facts = NodeFacts { resolved_stub: context.seen.facts.os.resolved_stub };
    let mut servers = vec![("apiserver", "apiserver")];
    if context.spec.etcd == EtcdLayout::Stacked {
        servers.extend([("etcd/server", "etcd-server"), ("etcd/peer", "etcd-peer")]);
    }
    let mut script = format!(
        r#"{NO_TOKEN}kb_aside={aside}/$(date -u +%Y%m%dT%H%M%SZ)-certificates
mkdir -p {aside}
mkdir -m 700 "$kb_aside"
cp -a /etc/kubernetes "$kb_aside/kubernetes"
{file}
kb_run() {{ kubeadm "$@" --config "$KB_IN/kubeadm.yaml" > "$KB_IN/kubeadm.log" 2>&1 || {{ tail -n 8 "$KB_IN/kubeadm.log" >&2; return 1; }}; }}
kb_run certs renew all
"#,
        aside = write::ASIDE,
        file = kubeadm::file_with_token("\"$KB_IN/kubeadm.yaml\"", &init(context.spec, context.node, facts)),
    );
    for (path, phase) in servers {
        let path = format!("{}/{path}", crate::pki::SharedPath::FOLDER);
        script.push_str(&format!(
            r#"mv {path}.crt "$KB_IN/server.crt"
mv {path}.key "$KB_IN/server.key"
kb_run init phase certs {phase} || {{ mv "$KB_IN/server.crt" {path}.crt; mv "$KB_IN/server.key" {path}.key; exit 1; }}
"#
        ));
    }
    if context.spec.etcd == EtcdLayout::Service {
        // To kubeadm, what etcd is asked with is not of its making.
        script.push_str(&etcd_client::sign(context));
        script.push('\n');
    }
    script.push_str(&rotate::configs());
    op::node("certs.renew", "sign all certificates of this control plane anew", script, RENEW_S)
}

/// Credentials for the kubelet of a control plane, which has the authority itself; and kubelet with them.
pub fn own_kubelet(context: &Context<'_>) -> Vec<Op> {
    let script = format!("{NO_TOKEN}{}\n{}", join::kubelet_credentials(context), rotate::configs());
    vec![op::node("kubelet.credentials", "sign new credentials for its kubelet", script, RENEW_S), upgrade::restart()]
}

/// A kubelet that the cluster does not know any more asks for new credentials, with a token of this run.
pub fn kubelet_by_token(context: &Context<'_>) -> Op {
    let bootstrap = "/etc/kubernetes/bootstrap-kubelet.conf";
    let certified = Until {
        holds: "[ -s /etc/kubernetes/kubelet.conf ] && [ -s /var/lib/kubelet/pki/kubelet-client-current.pem ]",
        seconds: 180,
        pause: "1",
        otherwise: "echo 'kubelet got no certificate:' >&2
    journalctl --no-pager -n 15 -o cat -u kubelet.service >&2
    exit 1",
    };
    let script = format!(
        r#"kb_token=$(cat "$KB_IN/token")
{ca}{file}
trap 'rm -f {bootstrap}' EXIT
rm -f /etc/kubernetes/kubelet.conf /var/lib/kubelet/pki/kubelet-client-*
systemctl restart kubelet.service
{certified}
{configs}"#,
        // The proxy's is there; where there is none, the one of the join is gone with /run.
        ca = match context.spec.endpoint.kind {
            EndpointKind::LocalProxy => String::new(),
            EndpointKind::External => {
                let own = write::Source::Output("cat /etc/kubernetes/pki/ca.crt");
                write::put(ca_path(context.spec), own, Mode::PUBLIC, write::ROOT) + "\n"
            }
        },
        file = kubeadm::file_with_token(bootstrap, &discovery(context.spec, ca_path(context.spec))),
        certified = certified.text(),
        configs = rotate::configs(),
    );
    let what = "let its kubelet ask for a new certificate";
    op::node_with("kubelet.bootstrap", what, script, KUBELET_S, vec![Late::JoinToken])
}

/// Restarts the programs of a control plane one after the other, etcd first, each once the one before is well; and sees
/// that the new certificates are what is shown on their ports.
pub fn servers(context: &Context<'_>) -> Op {
    // kubelet lets rest what ended several times of late, for minutes at last; one that has just started does not.
    let otherwise = format!(
        r#"if [ -n "$kb_nudged" ]; then
      echo "$kb_name is not well with its new certificates" >&2
      crictl logs --tail 10 "$(crictl ps -a -q --name "^$kb_name$" | head -n 1)" >&2 || :
      exit 1
    fi
    kb_nudged=1
    systemctl restart kubelet.service
    {more}"#,
        more = Until::anew(120),
    );
    let well = Until {
        holds: r#"kb_now=$(crictl ps -q --name "^$kb_name$" --state Running | head -n 1) && [ -n "$kb_now" ] && [ "$kb_now" != "$kb_was" ] && kb_well "$kb_name""#,
        seconds: 20,
        pause: "1",
        otherwise: &otherwise,
    };
    let mut script = format!(
        r#"kb_restart() {{
  kb_name=$1 kb_nudged=
  kb_was=$(crictl ps -q --name "^$kb_name$" --state Running | head -n 1)
  [ -z "$kb_was" ] || crictl stop -t 30 "$kb_was" > /dev/null
{well}
}}
kb_shown() {{
  kb_port=$1 kb_file=$2
  shift 2
  [ "$(openssl x509 -noout -serial -in "$kb_file")" = "$(openssl s_client -connect "127.0.0.1:$kb_port" "$@" < /dev/null 2> /dev/null | openssl x509 -noout -serial)" ] || {{
    echo "port $kb_port does not show the certificate of $kb_file" >&2
    exit 1
  }}
}}
"#,
        well = well.text(),
    );
    let (certificate, key) = context.spec.etcd.client_certificate();
    script.push_str("kb_well() {\n  case $1 in\n");
    for component in Component::ALL {
        script.push_str(&format!("    {}) {} ;;\n", component.name(), super::static_pods::well(component)));
    }
    script.push_str("  esac\n}\n");
    if context.spec.etcd == EtcdLayout::Stacked {
        script.push_str(&format!(
            "kb_restart etcd\nkb_shown {} {}/etcd/server.crt -cert {} -key {}\n",
            EtcdLayout::CLIENT_PORT,
            crate::pki::SharedPath::FOLDER,
            quote(certificate),
            quote(key),
        ));
    }
    script.push_str(&format!(
        "kb_restart kube-apiserver\nkb_shown {} {}/apiserver.crt\n\
         kb_restart kube-controller-manager\nkb_restart kube-scheduler\n",
        crate::model::cluster::API_SERVER_PORT,
        crate::pki::SharedPath::FOLDER,
    ));
    op::node("servers.restart", "restart etcd and the API server with their new certificates", script, RESTART_S)
}
