//! `when`: the closed table of conditions, decided before a plan is shown.

use crate::{
    diag::{Problem, toml::Table},
    model::{
        cluster::{ClusterSpec, EndpointKind, NetworkKind, RuntimeKind},
        node::{NodeSpec, Role},
        step::Only,
    },
};

/// On which nodes of which clusters a step belongs. Empty lists mean any; all of the lists must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct When {
    pub role: Vec<Role>,
    /// What only the machine can tell.
    pub machine: Only,
    pub runtime: Vec<RuntimeKind>,
    /// Minor versions.
    pub kubernetes: Vec<u16>,
    pub endpoint: Vec<EndpointKind>,
    pub network: Vec<NetworkKind>,
    /// Whether the program sees to the time.
    pub time_managed: Option<bool>,
}

const OS: [(&str, &str); 6] = [
    ("debian", "debian"),
    ("debian-12", "debian-12"),
    ("debian-13", "debian-13"),
    ("ubuntu", "ubuntu"),
    ("ubuntu-22.04", "ubuntu-22.04"),
    ("ubuntu-24.04", "ubuntu-24.04"),
];

impl When {
    /// Reads the table `when`; wrong words are among the document's problems.
    pub fn read(mut table: Table<'_>) -> Self {
        let texts = |words: Vec<&str>| words.into_iter().map(str::to_owned).collect();
        let when = Self {
            role: words(&mut table, "role", &[("control-plane", Role::ControlPlane), ("worker", Role::Worker)]),
            machine: Only {
                os: texts(words(&mut table, "os", &OS)),
                arch: texts(words(&mut table, "arch", &[("amd64", "amd64"), ("arm64", "arm64")])),
            },
            runtime: words(&mut table, "runtime", &[("containerd", RuntimeKind::Containerd)]),
            kubernetes: words(&mut table, "kubernetes", &[("1.30", 30), ("1.31", 31)]),
            endpoint: words(
                &mut table,
                "endpoint",
                &[("local-proxy", EndpointKind::LocalProxy), ("external", EndpointKind::External)],
            ),
            network: words(
                &mut table,
                "network",
                &[("flannel", NetworkKind::Flannel), ("routed", NetworkKind::Routed), ("none", NetworkKind::None)],
            ),
            time_managed: table.choice("time", &[("managed", true), ("unmanaged", false)]).map(|at| at.value),
        };
        table.finish(|_| None);
        when
    }

    /// Each condition in words: `role control-plane`.
    pub fn words(&self) -> Vec<String> {
        fn list<T: ToString>(name: &str, words: impl IntoIterator<Item = T>) -> Option<String> {
            let words: Vec<String> = words.into_iter().map(|word| word.to_string()).collect();
            (!words.is_empty()).then(|| format!("{name} {}", words.join(" or ")))
        }
        let time = self.time_managed.map(|managed| if managed { "managed" } else { "unmanaged" });
        [
            list("role", &self.role),
            list("os", &self.machine.os),
            list("arch", &self.machine.arch),
            list("runtime", &self.runtime),
            list("kubernetes", self.kubernetes.iter().map(|minor| format!("1.{minor}"))),
            list("endpoint", &self.endpoint),
            list("network", &self.network),
            list("time", time),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Whether the part holds that the inventory decides; the machine's part goes with the step.
    pub fn holds(&self, spec: &ClusterSpec, node: Option<&NodeSpec>) -> bool {
        fn fits<T: PartialEq>(list: &[T], value: &T) -> bool {
            list.is_empty() || list.contains(value)
        }
        node.is_none_or(|node| fits(&self.role, &node.role))
            && fits(&self.runtime, &spec.runtime.kind)
            && fits(&self.kubernetes, &spec.kubernetes().minor())
            && fits(&self.endpoint, &spec.endpoint.kind)
            && fits(&self.network, &spec.network.kind)
            && self.time_managed.is_none_or(|managed| managed == spec.time.manage)
    }
}

/// One word or a list of words.
fn words<T: Copy>(table: &mut Table<'_>, key: &'static str, known: &[(&'static str, T)]) -> Vec<T> {
    let Some(value) = table.value(key) else { return Vec::new() };
    let values = value.one_or_more();
    if values.is_empty() {
        // A list of none would read as "any", the opposite of what it says.
        let problem = Problem::at(value.span(), format!("{}: a condition without a word is never met", value.path()));
        table.document().push(problem.hint("name at least one, or leave the condition out"));
    }
    values.iter().filter_map(|value| value.choice(known)).map(|at| at.value).collect()
}
