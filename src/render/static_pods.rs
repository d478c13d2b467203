//! The flags that kubeadm gives the programs of a control plane. Its own words are the code of `kubeadm/app/phases/controlplane`
//! and `phases/etcd`; compared with the manifests that kubeadm 1.30.14 and 1.31.13 write, which have the same.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use serde_json::Value;

use super::{extra_args, kubeadm};
use crate::model::{
    cluster::{API_SERVER_PORT, ClusterSpec},
    etcd::EtcdLayout,
    node::NodeSpec,
};

/// A program that kubeadm runs as a static pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    Etcd,
    ApiServer,
    ControllerManager,
    Scheduler,
}

impl Component {
    /// In the order in which they may be restarted: nobody before what it needs.
    pub const ALL: [Self; 4] = [Self::Etcd, Self::ApiServer, Self::ControllerManager, Self::Scheduler];

    /// The name of program, container and manifest.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
        }
    }

    /// The manifest's path on a control plane.
    pub fn manifest(self) -> String {
        format!("/etc/kubernetes/manifests/{}.yaml", self.name())
    }

    /// Flags that only say how a member was first started; each has its own, and they mean nothing later.
    pub const fn historical(self) -> &'static [&'static str] {
        match self {
            Self::Etcd => &["initial-cluster", "initial-cluster-state"],
            Self::ApiServer | Self::ControllerManager | Self::Scheduler => &[],
        }
    }

    /// The part of `ClusterConfiguration` with a user's own flags.
    const fn table(self) -> &'static str {
        match self {
            Self::Etcd => "/etcd/local/extraArgs",
            Self::ApiServer => "/apiServer/extraArgs",
            Self::ControllerManager => "/controllerManager/extraArgs",
            Self::Scheduler => "/scheduler/extraArgs",
        }
    }
}

/// Every flag of a component on a node, without the dashes; of etcd on whichever machine and however it runs.
pub fn flags(spec: &ClusterSpec, node: &NodeSpec, component: Component) -> BTreeMap<String, String> {
    let mut flags: BTreeMap<String, String> = match component {
        Component::Etcd => etcd(spec, node),
        Component::ApiServer => api_server(spec, node),
        Component::ControllerManager => controller_manager(spec),
        Component::Scheduler => client("scheduler"),
    };
    // A user's flags for etcd stand where kubeadm's own etcd would read them, whoever runs it.
    let config = match (component, spec.etcd) {
        (Component::Etcd, EtcdLayout::Service) => Value::Object(spec.overrides.cluster.clone()),
        _ => kubeadm::cluster(spec),
    };
    let own = config.pointer(component.table()).cloned().unwrap_or(Value::Null);
    for flag in extra_args::add_below(Some(&own), &[]).as_array().into_iter().flatten() {
        if let (Some(name), Some(value)) = (flag["name"].as_str(), flag["value"].as_str()) {
            flags.insert(name.to_owned(), value.to_owned());
        }
    }
    flags
}

fn of<const N: usize>(flags: [(&str, String); N]) -> BTreeMap<String, String> {
    flags.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn pki(file: &str) -> String {
    format!("/etc/kubernetes/pki/{file}")
}

pub(super) fn loopback(node: &NodeSpec) -> &'static str {
    match node.node_ip() {
        IpAddr::V4(_) => "127.0.0.1",
        IpAddr::V6(_) => "[::1]",
    }
}

fn etcd(spec: &ClusterSpec, node: &NodeSpec) -> BTreeMap<String, String> {
    let client = SocketAddr::new(node.node_ip(), EtcdLayout::CLIENT_PORT);
    let peer = SocketAddr::new(node.node_ip(), EtcdLayout::PEER_PORT);
    let loopback = loopback(node);
    let (ca, server, peers) = match spec.etcd {
        EtcdLayout::Stacked => (pki("etcd/ca.crt"), pki("etcd/server"), pki("etcd/peer")),
        EtcdLayout::Service => {
            let member = format!("{}/member", EtcdLayout::SERVICE_FOLDER);
            (spec.etcd.ca_certificate().to_owned(), member.clone(), member)
        }
    };
    of([
        ("advertise-client-urls", format!("https://{client}")),
        ("cert-file", format!("{server}.crt")),
        ("client-cert-auth", "true".to_owned()),
        ("data-dir", spec.etcd.data_folder().to_owned()),
        ("experimental-initial-corrupt-check", "true".to_owned()),
        ("experimental-watch-progress-notify-interval", "5s".to_owned()),
        ("initial-advertise-peer-urls", format!("https://{peer}")),
        ("key-file", format!("{server}.key")),
        ("listen-client-urls", format!("https://{loopback}:{},https://{client}", EtcdLayout::CLIENT_PORT)),
        ("listen-metrics-urls", format!("http://{loopback}:2381")),
        ("listen-peer-urls", format!("https://{peer}")),
        ("name", node.name.to_string()),
        ("peer-cert-file", format!("{peers}.crt")),
        ("peer-client-cert-auth", "true".to_owned()),
        ("peer-key-file", format!("{peers}.key")),
        ("peer-trusted-ca-file", ca.clone()),
        ("snapshot-count", "10000".to_owned()),
        ("trusted-ca-file", ca),
    ])
}

fn api_server(spec: &ClusterSpec, node: &NodeSpec) -> BTreeMap<String, String> {
    of([
        ("advertise-address", node.node_ip().to_string()),
        ("allow-privileged", "true".to_owned()),
        ("authorization-mode", "Node,RBAC".to_owned()),
        ("client-ca-file", pki("ca.crt")),
        ("enable-admission-plugins", "NodeRestriction".to_owned()),
        ("enable-bootstrap-token-auth", "true".to_owned()),
        ("etcd-cafile", pki("etcd/ca.crt")),
        ("etcd-certfile", pki("apiserver-etcd-client.crt")),
        ("etcd-keyfile", pki("apiserver-etcd-client.key")),
        ("etcd-servers", format!("https://{}:{}", loopback(node), EtcdLayout::CLIENT_PORT)),
        ("kubelet-client-certificate", pki("apiserver-kubelet-client.crt")),
        ("kubelet-client-key", pki("apiserver-kubelet-client.key")),
        ("kubelet-preferred-address-types", "InternalIP,ExternalIP,Hostname".to_owned()),
        ("proxy-client-cert-file", pki("front-proxy-client.crt")),
        ("proxy-client-key-file", pki("front-proxy-client.key")),
        ("requestheader-allowed-names", "front-proxy-client".to_owned()),
        ("requestheader-client-ca-file", pki("front-proxy-ca.crt")),
        ("requestheader-extra-headers-prefix", "X-Remote-Extra-".to_owned()),
        ("requestheader-group-headers", "X-Remote-Group".to_owned()),
        ("requestheader-username-headers", "X-Remote-User".to_owned()),
        ("secure-port", API_SERVER_PORT.to_string()),
        ("service-account-issuer", format!("https://kubernetes.default.svc.{}", spec.dns_domain)),
        ("service-account-key-file", pki("sa.pub")),
        ("service-account-signing-key-file", pki("sa.key")),
        ("service-cluster-ip-range", spec.service_cidrs.to_string()),
        ("tls-cert-file", pki("apiserver.crt")),
        ("tls-private-key-file", pki("apiserver.key")),
    ])
}

fn controller_manager(spec: &ClusterSpec) -> BTreeMap<String, String> {
    let mut flags = client("controller-manager");
    flags.extend(of([
        ("allocate-node-cidrs", "true".to_owned()),
        ("client-ca-file", pki("ca.crt")),
        ("cluster-cidr", spec.pod_cidrs.to_string()),
        ("cluster-name", spec.name.to_string()),
        ("cluster-signing-cert-file", pki("ca.crt")),
        ("cluster-signing-key-file", pki("ca.key")),
        ("controllers", "*,bootstrapsigner,tokencleaner".to_owned()),
        ("requestheader-client-ca-file", pki("front-proxy-ca.crt")),
        ("root-ca-file", pki("ca.crt")),
        ("service-account-private-key-file", pki("sa.key")),
        ("service-cluster-ip-range", spec.service_cidrs.to_string()),
        ("use-service-account-credentials", "true".to_owned()),
    ]));
    flags
}

/// What the two that work through the API server share.
fn client(name: &str) -> BTreeMap<String, String> {
    let config = format!("/etc/kubernetes/{name}.conf");
    of([
        ("authentication-kubeconfig", config.clone()),
        ("authorization-kubeconfig", config.clone()),
        ("bind-address", "127.0.0.1".to_owned()),
        ("kubeconfig", config),
        ("leader-elect", "true".to_owned()),
    ])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::render::sample;

    fn shown(spec: &ClusterSpec) -> String {
        let of = |component: Component| {
            let flags = flags(spec, &spec.nodes[0], component);
            let lines = flags.iter().map(|(name, value)| format!("  --{name}={value}\n"));
            format!("{}\n{}", component.name(), lines.collect::<String>())
        };
        Component::ALL.map(of).concat()
    }

    #[test]
    fn flags_as_kubeadm_gives_them() {
        insta::assert_snapshot!(shown(&sample::cluster()));
    }

    /// Both forms of the API end in the same flags.
    #[test]
    fn the_next_version_has_the_same() {
        assert_eq!(shown(&sample::cluster()), shown(&sample::of_version("1.31.13")));
    }

    #[test]
    fn encryption_is_two_flags_of_the_api_server() {
        for version in ["1.30.14", "1.31.13"] {
            let plain = sample::of_version(version);
            let mut spec = plain.clone();
            spec.encryption = Some(crate::model::encryption::EncryptionProvider::Secretbox);
            let of_server = |spec: &ClusterSpec| flags(spec, &spec.nodes[0], Component::ApiServer);
            let (mut with, without) = (of_server(&spec), of_server(&plain));
            with.retain(|flag, _| !without.contains_key(flag));
            let path = "/etc/kubernetes/pki/encryption/config.yaml".to_owned();
            let reload = "encryption-provider-config-automatic-reload";
            assert_eq!(with, of([("encryption-provider-config", path), (reload, "true".to_owned())]));
        }
    }

    #[test]
    fn a_users_flag_comes_last() {
        let mut spec = sample::cluster();
        let table = json!({"apiServer": {"extraArgs": {"v": 4, "authorization-mode": "Node"}}});
        spec.overrides.cluster = table.as_object().unwrap().clone();
        let flags = flags(&spec, &spec.nodes[0], Component::ApiServer);
        assert_eq!((flags["v"].as_str(), flags["authorization-mode"].as_str()), ("4", "Node"));
    }
}
