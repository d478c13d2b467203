//! The facts of nodes for a person.

use std::fmt::Write;

use crate::{
    model::{
        facts::{Clock, Disk, Facts, Hardware, Identity, Kubernetes, ListeningPort, Os, Runs},
        node::NodeSpec,
        observe::Observation,
    },
    shell::escape::escape_untrusted,
    ui::Paint,
};

/// A paragraph per node: a heading, then a line per domain.
pub fn of<'a>(nodes: impl IntoIterator<Item = (&'a NodeSpec, &'a Observation)>, colour: bool) -> String {
    let paint = Paint { colour };
    let mut text = String::new();
    for (node, observation) in nodes {
        if !text.is_empty() {
            text.push('\n');
        }
        let heading = format!("{}  {}  {}", node.name, node.role, node.address);
        let _ = writeln!(text, "{}", paint.bold(heading));
        match observation {
            Observation::Seen(seen) => {
                for (name, value) in lines(&seen.facts) {
                    // All of it was said by a machine that may not be ours.
                    let value = escape_untrusted(value.as_bytes());
                    let _ = writeln!(text, "  {name:<12}{value}");
                }
            }
            Observation::Unknown { error, hint } => {
                let _ = writeln!(text, "  {:<12}{}", paint.red("unknown"), error);
                if let Some(hint) = hint {
                    let _ = writeln!(text, "  {:<12}{hint}", "hint");
                }
            }
        }
    }
    text
}

fn lines(facts: &Facts) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("system", os(&facts.os)),
        ("identity", identity(&facts.identity)),
        ("clock", clock(&facts.clock)),
        ("hardware", hardware(&facts.hardware)),
    ];
    lines.extend(disks(facts).into_iter().map(|disk| ("disk", disk)));
    let addressed = facts.links.iter().filter(|link| link.name != "lo");
    lines.extend(addressed.map(|link| {
        let addresses = if link.addresses.is_empty() { "no address".to_owned() } else { link.addresses.join(" ") };
        ("link", format!("{} {addresses}, MTU {}, {}", link.name, link.mtu, link.mac))
    }));
    lines.push(("ports", ports(&facts.ports)));
    lines.push(("kubernetes", kubernetes(&facts.kubernetes)));
    lines.extend(etcd(&facts.kubernetes).map(|etcd| ("etcd", etcd)));
    lines.extend(runs(&facts.runs).into_iter().map(|run| ("at work", run)));
    lines
}

fn os(os: &Os) -> String {
    let systemd = os.systemd.map_or("no systemd".to_owned(), |version| format!("systemd {version}"));
    let stub = if os.resolved_stub { ", names by systemd-resolved" } else { "" };
    format!("{} on {}, Linux {}, {systemd}{stub}", os.pretty, os.arch, os.kernel)
}

fn identity(identity: &Identity) -> String {
    let machine = match identity.machine_id.as_str() {
        "" => "no machine id".to_owned(),
        id => format!("machine id {id}"),
    };
    let uuid = identity.product_uuid.as_ref().map(|uuid| format!(", product uuid {uuid}"));
    format!("host name {}, {machine}{}", identity.hostname, uuid.unwrap_or_default())
}

fn clock(clock: &Clock) -> String {
    let offset = match clock.offset_s {
        None => "offset not known".to_owned(),
        Some(offset) if offset.abs() < 0.0005 => "agrees with this machine's".to_owned(),
        Some(offset) => {
            format!("{:.3} s {} this machine's", offset.abs(), if offset > 0.0 { "ahead of" } else { "behind" })
        }
    };
    let keeper = clock.daemon.as_ref().map_or("kept by nothing".to_owned(), |daemon| format!("kept by {daemon}"));
    format!("{offset}, {keeper}")
}

fn hardware(hardware: &Hardware) -> String {
    let cpus = if hardware.cpus == 1 { "processor" } else { "processors" };
    let swap = match (hardware.swaps.as_slice(), hardware.fstab_swaps.len()) {
        ([], 0) => "no swap".to_owned(),
        ([], _) => "no swap until the next boot (fstab)".to_owned(),
        (swaps, _) => format!("swap on {}", swaps.join(", ")),
    };
    format!("{} {cpus}, {} memory, {swap}", hardware.cpus, gibibytes(hardware.memory_bytes))
}

/// A line per file system: folders that tell the same share one.
fn disks(facts: &Facts) -> Vec<String> {
    let mut systems: Vec<(&Disk, Vec<&str>)> = Vec::new();
    for (folder, disk) in &facts.disks {
        match systems.iter_mut().find(|(known, _)| *known == disk) {
            Some((_, folders)) => folders.push(folder),
            None => systems.push((disk, vec![folder])),
        }
    }
    let line = |(disk, folders): (&Disk, Vec<&str>)| {
        format!("{} of {} free: {}", gibibytes(disk.free_bytes), gibibytes(disk.size_bytes), folders.join(" "))
    };
    systems.into_iter().map(line).collect()
}

fn ports(ports: &[ListeningPort]) -> String {
    let port = |port: &ListeningPort| match &port.program {
        Some(program) => format!("{} {program}", port.port),
        None => port.port.to_string(),
    };
    match ports {
        [] => "none listened on".to_owned(),
        ports => ports.iter().map(port).collect::<Vec<_>>().join(", "),
    }
}

fn kubernetes(kubernetes: &Kubernetes) -> String {
    let mut parts = Vec::new();
    match &kubernetes.identity {
        Some(identity) => parts.push(format!("cluster {} ({})", identity.name, identity.id)),
        None if kubernetes.has_state() => parts.push("of an unknown cluster".to_owned()),
        None => {}
    }
    parts.extend(kubernetes.configs.iter().chain(&kubernetes.manifests).cloned());
    if kubernetes.etcd_data {
        parts.push("data of etcd".to_owned());
    }
    if kubernetes.restoring {
        parts.push("a snapshot that is being restored".to_owned());
    }
    parts.extend(kubernetes.readyz.map(|code| match code {
        200 => "API server ready".to_owned(),
        code => format!("API server not ready ({code})"),
    }));
    if parts.is_empty() { "no trace".to_owned() } else { parts.join(", ") }
}

fn etcd(kubernetes: &Kubernetes) -> Option<String> {
    let etcd = kubernetes.etcd.as_ref()?;
    let member = |member: &crate::model::facts::EtcdMember| {
        let name = if member.name.is_empty() { "(not started)" } else { &member.name };
        let leads = etcd.leader.as_ref() == Some(&member.id);
        format!("{name}{}{}", if member.learner { " (learner)" } else { "" }, if leads { " (leader)" } else { "" })
    };
    let members: Vec<String> = etcd.members.iter().map(member).collect();
    let quorum = if etcd.leader.is_none() { ", no leader" } else { "" };
    let alarms = match etcd.alarms.as_slice() {
        [] => String::new(),
        alarms => format!(", ALARM {}", alarms.join(", ")),
    };
    let mebibytes = etcd.db_bytes as f64 / f64::from(1 << 20);
    Some(format!("{}, {mebibytes:.1} MiB, members {}{quorum}{alarms}", etcd.version, members.join(", ")))
}

fn runs(runs: &Runs) -> Vec<String> {
    let holder = runs.lock_holder.as_ref().map(|holder| format!("locked by {holder}"));
    runs.active_batches.iter().cloned().chain(holder).collect()
}

fn gibibytes(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::model::{
        facts::{ClusterIdentity, Etcd, EtcdMember, Link},
        name::NodeName,
        node::Role,
        observe::Seen,
    };
    use crate::ui::json::facts::Document;

    fn spec(name: &str, address: [u8; 4], role: Role) -> NodeSpec {
        NodeSpec::new(NodeName::new(name).expect("a name"), IpAddr::from(address), role)
    }

    fn control_plane() -> Facts {
        let disk = Disk { size_bytes: 20 << 30, free_bytes: 15 << 30 };
        let member = |id: &str, name: &str, learner| EtcdMember {
            id: id.into(),
            name: name.into(),
            peer_urls: vec!["https://10.77.0.11:2380".into()],
            learner,
        };
        let port = |port, program: &str| ListeningPort { port, program: Some(program.into()) };
        Facts {
            os: Os {
                id: "ubuntu".into(),
                version: "24.04".into(),
                codename: "noble".into(),
                pretty: "Ubuntu 24.04.1 LTS".into(),
                kernel: "6.8.0-41-generic".into(),
                arch: "amd64".into(),
                systemd: Some(255),
                resolved_stub: true,
            },
            identity: Identity { hostname: "cp1".into(), machine_id: "0f".repeat(16), product_uuid: None },
            clock: Clock { unix: 1_700_000_000.5, offset_s: Some(-0.0021), daemon: Some("chrony".into()) },
            hardware: Hardware {
                cpus: 2,
                memory_bytes: 4 << 30,
                swaps: vec!["/swap\u{1b}[31m.img".into()],
                fstab_swaps: Vec::new(),
            },
            disks: [("/", disk.clone()), ("/var/lib", disk)].map(|(path, disk)| (path.to_owned(), disk)).into(),
            links: vec![Link {
                name: "eth0".into(),
                mac: "02:00:0a:4d:00:0b".into(),
                mtu: 1500,
                addresses: vec!["10.77.0.11/24".into()],
            }],
            ports: vec![port(22, "sshd"), port(6443, "kube-apiserver")],
            kubernetes: Kubernetes {
                identity: Some(ClusterIdentity { id: "ab".repeat(16), name: "demo".into(), ca_sha256: "cd".into() }),
                configs: vec!["admin.conf".into()],
                manifests: vec!["etcd.yaml".into()],
                etcd_data: true,
                etcd: Some(Etcd {
                    members: vec![member("a", "cp1", false), member("b", "", true)],
                    leader: Some("a".into()),
                    member: "a".into(),
                    db_bytes: 3 << 20,
                    db_in_use_bytes: 2 << 20,
                    version: "3.5.15".into(),
                    alarms: vec!["NOSPACE".into()],
                    kubeadm_config: Some(true),
                }),
                readyz: Some(200),
                ..Kubernetes::default()
            },
            runs: Runs {
                active_batches: vec!["kbootstrap-batch-1-2.service".into()],
                lock_holder: Some("alice".into()),
            },
        }
    }

    fn nodes() -> [(NodeSpec, Observation); 3] {
        let seen = |facts| Observation::Seen(Box::new(Seen { facts, ..Seen::default() }));
        let unknown = Observation::Unknown {
            error: "node w2 (10.77.0.22:22): can't connect: connection refused".into(),
            hint: Some("is the machine up?".into()),
        };
        [
            (spec("cp1", [10, 77, 0, 11], Role::ControlPlane), seen(control_plane())),
            (spec("w1", [10, 77, 0, 21], Role::Worker), seen(Facts::default())),
            (spec("w2", [10, 77, 0, 22], Role::Worker), unknown),
        ]
    }

    #[test]
    fn for_people() {
        let nodes = nodes();
        insta::assert_snapshot!(of(nodes.iter().map(|(spec, seen)| (spec, seen)), false));
    }

    #[test]
    fn for_programs() {
        let nodes = nodes();
        insta::assert_json_snapshot!(Document::of(nodes.iter().map(|(spec, seen)| (spec, seen))));
    }
}
