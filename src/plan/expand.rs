//! From a playbook and the wanted cluster to the steps of each node: `when` decided, every value resolved.

use super::values;
use crate::{
    model::{
        cluster::ClusterSpec,
        node::NodeSpec,
        step::{Block, Content, File, PackageWish, Probe, Service, ServiceState, Step, StepKind, Sysctls, Time, Watch},
    },
    playbook::{Chain, Given, PackageItem, Playbook, Template, TemplateKind},
};

/// The steps of a node, in the order in which it goes through them.
///
/// Steps whose `when` asks for a machine's own facts are among them, with the question in [`Step::only`].
pub fn node_steps(playbook: &Playbook, spec: &ClusterSpec, node: &NodeSpec) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for template in playbook.steps_of(Chain::Node).filter(|template| template.when.holds(spec, Some(node))) {
        let kind = resolve(template, spec, node, &steps);
        steps.push(step(template, kind));
    }
    steps
}

/// The steps of the cluster's own chain.
pub fn cluster_steps(playbook: &Playbook, spec: &ClusterSpec) -> Vec<Step> {
    playbook
        .steps_of(Chain::Cluster)
        .filter(|template| template.when.holds(spec, None))
        .filter_map(|template| match &template.kind {
            TemplateKind::Action(action) => Some(step(template, StepKind::Action(*action))),
            // A playbook with any other kind there is refused when it is read.
            _ => None,
        })
        .collect()
}

fn step(template: &Template, kind: StepKind) -> Step {
    Step { id: template.id.clone(), title: template.title.clone(), only: template.when.machine.clone(), kind }
}

fn resolve(template: &Template, spec: &ClusterSpec, node: &NodeSpec, before: &[Step]) -> StepKind {
    match &template.kind {
        TemplateKind::File { path, content, mode, owner } => {
            let content = match content {
                Given::Literal(text) => Content::Text(text.clone()),
                Given::From(name) => values::text(*name, spec, node),
            };
            StepKind::File(File { path: path.clone(), content, mode: *mode, owner: owner.clone() })
        }
        TemplateKind::Directory(directory) => StepKind::Directory(directory.clone()),
        TemplateKind::Block { path, name, lines, optional } => StepKind::Block(Block {
            path: path.clone(),
            name: name.clone(),
            lines: given(lines, |name| values::lines(name, spec, node)),
            optional: *optional,
        }),
        TemplateKind::Packages(items) => StepKind::Packages(packages(items, spec)),
        TemplateKind::Repository(repository) => {
            StepKind::Repository(given(repository, |name| values::repository(name, spec)))
        }
        TemplateKind::Service { unit, state, watches, reload, check } => StepKind::Service(Service {
            unit: unit.clone(),
            state: *state,
            watches: if *state == ServiceState::Running { watched(watches, before) } else { Vec::new() },
            reload: *reload,
            check: check.clone(),
        }),
        TemplateKind::Sysctls { exact, at_least } => {
            let mut exact = given(exact, |name| values::sysctls(name, spec));
            // Who says "at least" of a parameter knows more than who says what it usually is.
            exact.retain(|(name, _)| !at_least.iter().any(|(named, _)| named == name));
            StepKind::Sysctls(Sysctls { exact, at_least: at_least.clone() })
        }
        TemplateKind::Modules(modules) => StepKind::Modules(given(modules, |name| values::lines(name, spec, node))),
        TemplateKind::SwapOff => StepKind::SwapOff,
        TemplateKind::Time => {
            StepKind::Time(Time { servers: spec.time.servers.iter().map(ToString::to_string).collect() })
        }
        TemplateKind::Images(images) => {
            let mut all: Vec<String> = Vec::new();
            for image in images {
                let images = match image {
                    Given::Literal(image) => vec![image.clone()],
                    Given::From(name) => values::images(*name, spec, node),
                };
                all.extend(images.into_iter().filter(|image| !all.contains(image)).collect::<Vec<_>>());
            }
            StepKind::Images(all)
        }
        TemplateKind::Assert(assert) => StepKind::Assert(*assert),
        TemplateKind::ProbeRepository(name) => {
            let repository = values::repository(*name, spec);
            let probe = Probe::Repository { key_url: repository.key_url, fingerprint: repository.fingerprint };
            StepKind::Probe(probe)
        }
        TemplateKind::ProbeRegistry(urls) => {
            StepKind::Probe(Probe::Registry { urls: given(urls, |name| values::urls(name, spec, node)) })
        }
        TemplateKind::ProbeEtcdDisk => StepKind::Probe(Probe::EtcdDisk),
        TemplateKind::Script(script) => StepKind::Script(script.clone()),
        TemplateKind::Action(action) => StepKind::Action(*action),
    }
}

fn given<T: Clone>(value: &Given<T>, from: impl FnOnce(crate::playbook::Name) -> T) -> T {
    match value {
        Given::Literal(value) => value.clone(),
        Given::From(name) => from(*name),
    }
}

fn packages(items: &[PackageItem], spec: &ClusterSpec) -> Vec<PackageWish> {
    let mut wishes: Vec<PackageWish> = Vec::new();
    for item in items {
        let packages = match &item.what {
            Given::Literal(package) => vec![package.clone()],
            Given::From(name) => values::packages(*name, spec),
        };
        for package in packages {
            // A later word on a package is the last.
            wishes.retain(|wish| wish.package.name != package.name);
            wishes.push(PackageWish { package, hold: item.hold, unless: item.unless });
        }
    }
    wishes
}

/// Watched files with what earlier steps put there: a restart is due by what will be there, not by what is.
fn watched(paths: &[String], before: &[Step]) -> Vec<Watch> {
    let content = |path: &str| {
        before.iter().rev().find_map(|step| match &step.kind {
            StepKind::File(file) if file.path == path => Some(file.content.clone()),
            _ => None,
        })
    };
    paths.iter().map(|path| Watch { path: path.clone(), wanted: content(path) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        kind,
        model::{
            cluster::EndpointKind,
            name::ClusterName,
            node::Role,
            release::Release,
            step::{LateFile, StepId},
        },
        playbook,
    };

    fn spec() -> ClusterSpec {
        let node = |name: &str, ip: &str, role| NodeSpec::new(name.parse().unwrap(), ip.parse().unwrap(), role);
        let nodes = vec![node("cp1", "10.0.0.11", Role::ControlPlane), node("w1", "10.0.0.21", Role::Worker)];
        let release = Release::of("1.30.14".parse().unwrap()).unwrap();
        ClusterSpec::new(ClusterName::new("lab").unwrap(), release, nodes)
    }

    fn steps(spec: &ClusterSpec, node: usize) -> Vec<Step> {
        node_steps(&playbook::builtin(), spec, &spec.nodes[node])
    }

    fn has(steps: &[Step], id: &str) -> bool {
        steps.iter().any(|step| step.id == StepId::new(id))
    }

    #[test]
    fn when_decides_by_role_and_endpoint() {
        let mut spec = spec();
        assert!(has(&steps(&spec, 0), "kubernetes.init") && !has(&steps(&spec, 1), "kubernetes.init"));
        assert!(has(&steps(&spec, 1), "endpoint.service"));
        spec.endpoint.kind = EndpointKind::External;
        assert!(!has(&steps(&spec, 1), "endpoint.service"));
        spec.time.manage = false;
        assert!(!has(&steps(&spec, 1), "packages.time"));
    }

    /// A restart is due by what earlier steps write: every file that the built-in playbook watches is one of its own.
    #[test]
    fn watched_files_know_what_they_will_hold() {
        let spec = spec();
        let mut watches = Vec::new();
        for step in steps(&spec, 1) {
            if let StepKind::Service(service) = step.kind {
                watches.extend(service.watches);
            }
        }
        assert_eq!(watches.len(), 4);
        assert!(watches.iter().all(|watch| watch.wanted.is_some()));
        assert!(watches.iter().any(|watch| watch.wanted == Some(Content::Late(LateFile::ClusterCa))));
    }

    #[test]
    fn at_least_outranks_the_usual_value() {
        let kinds = steps(&spec(), 0).into_iter().map(|step| step.kind);
        let sysctls: Vec<Sysctls> =
            kinds.filter_map(|kind| if let StepKind::Sysctls(it) = kind { Some(it) } else { None }).collect();
        assert!(sysctls[0].exact.iter().all(|(name, _)| !name.starts_with("fs.inotify")));
        assert_eq!(sysctls[0].at_least.len(), 2);
    }

    /// Reads of different steps never take each other's answer: an id stands for one script.
    #[test]
    fn an_id_of_a_command_stands_for_one_script() {
        let mut scripts = std::collections::BTreeMap::new();
        for step in steps(&spec(), 0) {
            for read in kind::reads(&step) {
                if let crate::model::observe::Read::Command { id, script } = read {
                    let known = scripts.insert(id.clone(), script.clone()).unwrap_or_else(|| script.clone());
                    assert_eq!(known, script, "{id}");
                }
            }
        }
        assert!(scripts.len() >= 3);
    }

    #[test]
    fn the_clusters_steps_are_actions() {
        let steps = cluster_steps(&playbook::builtin(), &spec());
        let ids: Vec<&str> = steps.iter().map(|step| step.id.as_str()).collect();
        let wanted =
            ["network", "identity", "config", "coredns", "tokens", "proof"].map(|name| format!("cluster.{name}"));
        assert_eq!(ids, wanted);
    }
}
