//! The tables that stand once.

use super::ssh;
use crate::diag::Problem;
use crate::diag::toml::{At, Table, Value};
use crate::inventory::Places;
use crate::inventory::keys::elsewhere;
use crate::inventory::owned;
use crate::inventory::raw::{
    Backup, Cluster, Encryption, Endpoint, Etcd, Network, Overrides, Repository, Runtime, S3, Time,
};
use crate::model::cluster::{EndpointKind, Mtu, NetworkKind, RuntimeKind};
use crate::model::encryption::EncryptionProvider;
use crate::model::etcd::EtcdLayout;
use crate::model::invalid::Invalid;
use crate::model::net::Cidr;
use crate::model::release::Release;
use crate::model::version::KubeVersion;

/// `[cluster]`, its endpoint already taken.
pub fn cluster(mut table: Table<'_>) -> Cluster {
    table.need("name", "`name = \"lab\"`");
    table.need("kubernetes", "the version, such as `kubernetes = \"1.30.14\"`");
    let (pod_cidrs, pods_refused) = cidrs(table.value("pod-cidr"));
    let (service_cidrs, services_refused) = cidrs(table.value("service-cidr"));
    let cluster = Cluster {
        name: table.parsed("name"),
        kubernetes: table.value("kubernetes").and_then(|value| release(&value)),
        pod_cidrs,
        service_cidrs,
        networks_refused: pods_refused || services_refused,
        node_mask_v4: table.number("node-mask", 1, 32),
        node_mask_v6: table.number("node-mask-v6", 1, 128),
        dns_domain: table.parsed("dns-domain"),
        extra_sans: table.list("extra-sans"),
        image_repository: table.parsed("image-repository"),
    };
    table.finish(elsewhere);
    cluster
}

/// One network or more, and whether any was refused.
fn cidrs(value: Option<Value<'_>>) -> (Vec<At<Cidr>>, bool) {
    let values = value.map(|value| value.one_or_more()).unwrap_or_default();
    let cidrs: Vec<At<Cidr>> = values.iter().filter_map(Value::parsed).collect();
    let refused = cidrs.len() < values.len();
    (cidrs, refused)
}

/// A version that the program knows.
fn release(value: &Value<'_>) -> Option<At<Release>> {
    let version = value.parsed::<KubeVersion>()?;
    let Some(release) = Release::of(version.value) else {
        let near = Release::known().filter(|known| known.minor() == version.value.minor()).max();
        let newest = near.map(|near| format!("; the newest of that minor version is `{near}`")).unwrap_or_default();
        let why = Invalid::new(format!("Kubernetes {} is not known to this version of kbootstrap", version.value));
        value.refuse(&why.hint(format!("known are {}{newest}", Release::known_in_words())));
        return None;
    };
    Some(version.map(|_| release))
}

/// `[cluster.endpoint]`
pub fn endpoint(mut table: Table<'_>) -> Endpoint {
    let endpoint = Endpoint {
        kind: table.value("kind").and_then(|kind| endpoint_kind(&kind)),
        name: table.parsed("name"),
        port: table.number("port", 1, 65535),
    };
    if endpoint.kind.as_ref().is_some_and(|kind| kind.value == EndpointKind::External) {
        table.need("name", "the name of your load balancer, such as `name = \"api.example.com\"`");
    }
    table.finish(elsewhere);
    endpoint
}

fn endpoint_kind(value: &Value<'_>) -> Option<At<EndpointKind>> {
    // A word that is known and not yet had: an address of the cluster's own that moves between control planes.
    if value.as_text() == Some("vip") {
        let why = Invalid::new("an address that moves between control planes is not supported yet");
        value.refuse(&why.hint("`local-proxy` needs no load balancer and no shared network; `external` uses your own"));
        return None;
    }
    value.choice(&[("local-proxy", EndpointKind::LocalProxy), ("external", EndpointKind::External)])
}

/// `[repository]`
pub fn repository(mut table: Table<'_>) -> Repository {
    let repository = Repository { url: table.parsed("url"), key_fingerprint: table.parsed("key-fingerprint") };
    table.finish(elsewhere);
    repository
}

/// `[runtime]`
pub fn runtime(mut table: Table<'_>) -> Runtime {
    let kind = table.value("kind");
    kind.and_then(|kind| kind.choice(&[("containerd", RuntimeKind::Containerd)]));
    let runtime = Runtime { package: table.parsed("package"), version: table.parsed("version") };
    table.finish(elsewhere);
    runtime
}

/// `[network]`
pub fn network(mut table: Table<'_>) -> Network {
    let kinds = [("flannel", NetworkKind::Flannel), ("routed", NetworkKind::Routed), ("none", NetworkKind::None)];
    let value = table.value("mtu");
    let mtu = value.as_ref().and_then(|value| {
        let bytes = value.number(0, u64::from(u16::MAX))?;
        match Mtu::new(u16::try_from(bytes.value).ok()?) {
            Ok(mtu) => Some(bytes.map(|_| mtu)),
            Err(why) => {
                value.refuse(&why);
                None
            }
        }
    });
    let network = Network {
        kind: table.choice("kind", &kinds),
        mtu,
        flannel: table.parsed("flannel"),
        kube_router: table.parsed("kube-router"),
    };
    let kind = network.kind.as_ref().map(|kind| kind.value).unwrap_or_default();
    let idle = [
        network.flannel.as_ref().filter(|_| kind != NetworkKind::Flannel),
        network.kube_router.as_ref().filter(|_| kind == NetworkKind::None),
    ];
    for tag in idle.into_iter().flatten() {
        let problem = Problem::at(tag.span.clone(), "this network has no such part, so its version has no effect");
        table.document().push(problem.hint("leave it out"));
    }
    table.finish(elsewhere);
    network
}

/// `[time]`
pub fn time(mut table: Table<'_>) -> Time {
    let time = Time { manage: table.boolean("manage"), servers: table.list("servers") };
    if let (Some(At { value: false, span }), Some(server)) = (&time.manage, time.servers.first()) {
        let problem = Problem::at(server.span.clone(), "servers have no effect where time is not managed");
        table.document().push(problem.other(span.clone(), "not managed").hint("remove one of the two"));
    }
    table.finish(elsewhere);
    time
}

/// `[etcd]`
pub fn etcd(mut table: Table<'_>) -> Etcd {
    let layouts = [("stacked", EtcdLayout::Stacked), ("service", EtcdLayout::Service)];
    let etcd = Etcd { layout: table.choice("layout", &layouts) };
    table.finish(elsewhere);
    etcd
}

/// `[backup]`
pub fn backup(mut table: Table<'_>, places: &Places) -> Backup {
    let given = table.value("recipients").is_some();
    let backup = Backup {
        recipients: table.list("recipients"),
        schedule: table.parsed("schedule"),
        keep: table.number("keep", 1, 1000),
        s3: table.table("s3").filter(|table| !table.entries().is_empty()).map(|table| s3(table, places)),
    };
    if let (Some(schedule), true) = (&backup.schedule, backup.recipients.is_empty()) {
        // One that was given and refused is a problem already.
        if !given || table.find(&["recipients"]).is_some_and(|(_, value)| value.array().is_empty()) {
            let problem = Problem::at(schedule.span.clone(), "backups by a schedule need somebody to encrypt them to");
            table
                .document()
                .push(problem.hint("make a key with age-keygen, and give its recipient: recipients = [\"age1…\"]"));
        }
    }
    if let (Some(keep), false) = (&backup.keep, table.find(&["schedule"]).is_some()) {
        let problem = Problem::at(keep.span.clone(), "`keep` has no effect where nothing is scheduled");
        table.document().push(problem.hint("add a schedule, such as schedule = \"daily\", or leave it out"));
    }
    if let (Some((span, _)), false) = (table.find(&["s3"]), table.find(&["schedule"]).is_some())
        && backup.s3.is_some()
    {
        let problem = Problem::at(span, "`s3` has no effect where nothing is scheduled");
        table.document().push(problem.hint("add a schedule, such as schedule = \"daily\", or leave it out"));
    }
    table.finish(elsewhere);
    backup
}

/// `[backup.s3]`
fn s3(mut table: Table<'_>, places: &Places) -> S3 {
    table.need("endpoint", "`endpoint = \"https://s3.example.com\"`");
    table.need("bucket", "`bucket = \"backups\"`");
    table.need("credentials", "`credentials = \"~/.aws/credentials\"`, the file with the account's key");
    let s3 = S3 {
        endpoint: table.parsed("endpoint"),
        bucket: table.parsed("bucket"),
        region: table.parsed("region"),
        prefix: table.parsed("prefix"),
        credentials: table.value("credentials").and_then(|value| ssh::paths(&value, places).into_iter().next()),
    };
    table.finish(elsewhere);
    s3
}

/// `[encryption]`
pub fn encryption(mut table: Table<'_>) -> Encryption {
    let encryption = Encryption { provider: table.choice("provider", &[("secretbox", EncryptionProvider::Secretbox)]) };
    table.finish(elsewhere);
    encryption
}

/// `[override.*]`
pub fn overrides(mut table: Table<'_>) -> Overrides {
    let mut json = |key| {
        let table: Option<Table<'_>> = table.table(key);
        if let Some(table) = &table {
            owned::check(key, table);
        }
        table.and_then(|table| table.json()).unwrap_or_default()
    };
    let overrides = Overrides {
        cluster: json("cluster"),
        kubelet: json("kubelet"),
        kube_proxy: json("kube-proxy"),
        containerd: json("containerd"),
    };
    table.finish(elsewhere);
    overrides
}
