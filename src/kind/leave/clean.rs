//! What a node of a cluster has on it besides the cluster's state: how it is found, and how it goes.

use super::rules;
use crate::{
    kind::write,
    model::cluster::{ClusterSpec, NetworkKind},
    render::{containerd, crictl, endpoint, identity, packages, schedule},
    shell::{quote, words},
};

/// Files and folders that are this program's, or its network's, and nobody else's.
const OWN: &[&str] = &[
    "/etc/kbootstrap",
    crate::facts::listing::RESTORE,
    crate::kind::restore::INCOMING,
    crate::render::etcd::UNIT_PATH,
    crate::render::etcd::START_PATH,
    "/opt/kbootstrap",
    endpoint::UNIT_PATH,
    schedule::SERVICE_PATH,
    schedule::TIMER_PATH,
    "/etc/sysctl.d/99-zz-kbootstrap.conf",
    "/etc/sysctl.d/10-kbootstrap.conf",
    "/etc/modules-load.d/kbootstrap.conf",
    packages::NEEDRESTART_PATH,
    "/etc/chrony/sources.d/kbootstrap.sources",
    "/etc/systemd/timesyncd.conf.d/kbootstrap.conf",
    // The folders that they lie in stay: containerd watches the first.
    "/etc/cni/net.d/10-flannel.conflist",
    "/etc/cni/net.d/10-kuberouter.conflist",
    "/var/lib/cni/networks/cbr0",
    "/var/lib/cni/networks/kubernetes",
    "/var/lib/cni/flannel",
    "/run/flannel",
    "/var/log/pods",
    "/var/log/containers",
];

/// What belongs to the packages, and goes with them.
const OF_PACKAGES: &[&str] = &[
    containerd::PATH,
    crictl::PATH,
    "/etc/apt/sources.list.d/kubernetes.list",
    "/etc/apt/keyrings/kubernetes-apt-keyring.gpg",
];

/// Files of others in which lines are ours.
const WITH_LINES: &[&str] = &["/etc/hosts", "/etc/cloud/templates/hosts.debian.tmpl"];

/// Links of the pod networks.
const LINKS: &[&str] = &["cni0", "flannel.1", "flannel-v6.1", "kube-bridge", "kube-dummy-if", "kube-ipvs0"];

/// Packages that this program holds.
fn held(spec: &ClusterSpec) -> Vec<String> {
    let all = packages::runtime(spec).into_iter().chain(packages::kubernetes(spec));
    all.map(|package| package.name).collect()
}

/// POSIX text that only reads: a line for each thing that is there.
pub fn finding(spec: &ClusterSpec, purge: bool) -> String {
    let mut script = format!(
        r#"for kb_path in {own} {identity}; do
  if [ -e "$kb_path" ] || [ -L "$kb_path" ]; then echo "$kb_path"; fi
done
for kb_path in {with_lines}; do
  if grep -qs '^# BEGIN kbootstrap ' "$kb_path"; then echo "lines in $kb_path"; fi
done
for kb_link in {links}; do
  if ip link show dev "$kb_link" > /dev/null 2>&1; then echo "link $kb_link"; fi
done
if [ -e /run/systemd/units/invocation:{unit} ]; then echo 'unit {unit}'; fi
apt-mark showhold {held} 2> /dev/null | sed 's/^/hold on /'
{rules}"#,
        own = words(OWN),
        identity = quote(identity::PATH),
        with_lines = words(WITH_LINES),
        links = words(LINKS),
        unit = endpoint::UNIT,
        held = words(held(spec)),
        rules = rules::finding(),
    );
    if purge {
        script.push_str(&format!(
            "\ndpkg-query -W -f '${{db:Status-Abbrev}} ${{binary:Package}}\\n' {} 2> /dev/null | sed -n 's/^.i./package/p'",
            words(purged(spec))
        ));
    }
    script.push_str("\n:");
    script
}

/// Packages that go when all shall go. The runtime stays: it may serve others.
fn purged(spec: &ClusterSpec) -> Vec<String> {
    let all = packages::kubernetes(spec).into_iter().chain(packages::endpoint(spec));
    all.map(|package| package.name).collect()
}

/// POSIX text that takes all of it off.
pub fn script(spec: &ClusterSpec, purge: bool) -> String {
    let mut script = format!(
        r#"kb_work=$(mktemp -d)
trap 'rm -rf "$kb_work"' EXIT
systemctl -q disable --now {unit} {timer} 2> /dev/null || :
systemctl stop {backup} 2> /dev/null || :
for kb_link in {links}; do
  if ip link show dev "$kb_link" > /dev/null 2>&1; then ip link delete dev "$kb_link"; fi
done
{routes}
{rules}
if [ -d /var/lib/cni/results ]; then find /var/lib/cni/results \( -name 'cbr0-*' -o -name 'kubernetes-*' \) -delete; fi
dpkg-query -S /opt/cni/bin/flannel > /dev/null 2>&1 || rm -f /opt/cni/bin/flannel
for kb_path in {with_lines}; do
  if grep -qs '^# BEGIN kbootstrap ' "$kb_path"; then
    cp -p "$kb_path" "$kb_path.kbootstrap"
    awk '/^# BEGIN kbootstrap / {{ inside = 1 }} !inside {{ print }} /^# END kbootstrap / {{ inside = 0 }}' "$kb_path" > "$kb_path.kbootstrap"
    mv -fT "$kb_path.kbootstrap" "$kb_path"
  fi
done
rm -rf {own}
systemctl daemon-reload
systemctl -q disable kubelet.service 2> /dev/null || :
kb_held=$(apt-mark showhold {held} 2> /dev/null) || kb_held=
if [ -n "$kb_held" ]; then apt-mark unhold $kb_held > /dev/null; fi
rm -f {stamps}/kubelet.service {stamps}/{unit} {stamps}/encryption
rmdir /etc/kubernetes 2> /dev/null || :
"#,
        unit = endpoint::UNIT,
        timer = schedule::TIMER,
        backup = schedule::SERVICE,
        links = words(LINKS),
        routes = routes(spec),
        rules = rules::removing(),
        with_lines = words(WITH_LINES),
        own = words(OWN),
        held = words(held(spec)),
        stamps = write::STAMPS,
    );
    if purge {
        script.push_str(&purging(spec));
    }
    script.push_str(&format!("rm -f {}", quote(identity::PATH)));
    script
}

/// Routes to the pods of other nodes that lead over no link of a pod network, as only `routed` has them: all others go
/// with their links.
fn routes(spec: &ClusterSpec) -> String {
    if spec.network.kind != NetworkKind::Routed {
        return String::new();
    }
    let flush = |cidr: &crate::model::net::Cidr| {
        let family = if cidr.network().is_ipv4() { "-4" } else { "-6" };
        format!("ip {family} route flush root {} 2> /dev/null || :", quote(&cidr.to_string()))
    };
    spec.pod_cidrs.iter().map(flush).collect::<Vec<_>>().join("\n")
}

fn purging(spec: &ClusterSpec) -> String {
    format!(
        r#"kb_there=$(dpkg-query -W -f '${{binary:Package}} ' {names} 2> /dev/null) || :
if [ -n "$kb_there" ]; then DEBIAN_FRONTEND=noninteractive apt-get -y -q purge $kb_there; fi
systemctl -q unmask haproxy.service 2> /dev/null || :
rm -rf {files} {stamps} /var/lib/kubelet/* /opt/cni/bin
"#,
        names = words(purged(spec)),
        files = words(OF_PACKAGES),
        stamps = write::STAMPS,
    )
}
