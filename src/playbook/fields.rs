//! The fields of each kind, read from a step or from a patch. A patch has the step's own values to fall back on.

use std::{fmt::Display, str::FromStr};

use super::{
    Given, Name, PackageItem, Shape, TemplateKind,
    given::{from, given, is_table},
    text::{AbsPath, Id, Line, ModuleName, Owner, SysctlName, Text, UnitName, Word},
};
use crate::{
    diag::{
        Problem,
        toml::{Table, Value},
    },
    model::{
        image::ImageRef,
        invalid::Invalid,
        mode::Mode,
        package::{BaseUrl, KeyFingerprint, PackageName, PackageVersion},
        step::{Action, Assert, Directory, Package, Repository, Script, ServiceState, Unless},
        timeout::Timeout,
    },
};

/// The words of kinds.
pub const KINDS: [(&str, &str); 15] = [
    ("file", "file"),
    ("directory", "directory"),
    ("block", "block"),
    ("packages", "packages"),
    ("repository", "repository"),
    ("service", "service"),
    ("sysctls", "sysctls"),
    ("modules", "modules"),
    ("swap-off", "swap-off"),
    ("time", "time"),
    ("images", "images"),
    ("assert", "assert"),
    ("probe", "probe"),
    ("script", "script"),
    ("action", "action"),
];

/// Whose disk a probe may be of.
const DISKS: [(&str, ()); 1] = [("etcd", ())];

const ASSERTS: [(&str, Assert); 11] = [
    ("os", Assert::Os),
    ("systemd", Assert::Systemd),
    ("hostname", Assert::Hostname),
    ("identity", Assert::Identity),
    ("node-ip", Assert::NodeIp),
    ("clock", Assert::Clock),
    ("memory", Assert::Memory),
    ("cpus", Assert::Cpus),
    ("disk", Assert::Disk),
    ("ports", Assert::Ports),
    ("foreign-state", Assert::ForeignState),
];

const ACTIONS: [(&str, Action); 15] = [
    ("pki", Action::Pki),
    ("etcd-member", Action::EtcdMember),
    ("encryption", Action::Encryption),
    ("kubeadm-init", Action::KubeadmInit),
    ("kubeadm-join", Action::KubeadmJoin),
    ("static-pods", Action::StaticPods),
    ("kubelet-config", Action::KubeletConfig),
    ("node-labels", Action::NodeLabels),
    ("backup-schedule", Action::BackupSchedule),
    ("cluster-identity", Action::ClusterIdentity),
    ("cluster-config", Action::ClusterConfig),
    ("network", Action::Network),
    ("coredns-spread", Action::CorednsSpread),
    ("tokens", Action::Tokens),
    ("proof", Action::Proof),
];

const STATES: [(&str, ServiceState); 3] =
    [("running", ServiceState::Running), ("enabled", ServiceState::Enabled), ("masked", ServiceState::Masked)];

const UNLESS: [(&str, Unless); 1] = [("time-kept", Unless::TimeKept)];

/// How long a script may run where it does not say.
const SCRIPT_LIMIT: Timeout = Timeout::secs(300);

/// Reads the fields of a kind; absent where something is missing or wrong, which is then among the problems.
pub fn read(table: &mut Table<'_>, kind: &str, base: Option<&TemplateKind>) -> Option<TemplateKind> {
    match kind {
        "file" => file(table, base),
        "directory" => directory(table, base),
        "block" => block(table, base),
        "packages" => packages(table, base),
        "repository" => repository(table, base),
        "service" => service(table, base),
        "sysctls" => sysctls(table, base),
        "modules" => {
            let base = base.and_then(|base| match base {
                TemplateKind::Modules(modules) => Some(modules.clone()),
                _ => None,
            });
            let modules = table.value("modules").and_then(|value| lines::<ModuleName>(&value));
            needed(table, "modules", modules.or(base), "modules = [\"overlay\"]").map(TemplateKind::Modules)
        }
        "swap-off" => Some(TemplateKind::SwapOff),
        "time" => Some(TemplateKind::Time),
        "images" => images(table, base),
        "assert" => {
            let base = base.and_then(|base| if let TemplateKind::Assert(assert) = base { Some(*assert) } else { None });
            let that = table.choice("that", &ASSERTS).map(|at| at.value).or(base);
            needed(table, "that", that, "that = \"os\"").map(TemplateKind::Assert)
        }
        "probe" => probe(table, base),
        "script" => script(table, base),
        "action" => {
            let base = base.and_then(|base| if let TemplateKind::Action(action) = base { Some(*action) } else { None });
            let action = table.choice("action", &ACTIONS).map(|at| at.value).or(base);
            needed(table, "action", action, "action = \"kubeadm-join\"").map(TemplateKind::Action)
        }
        _ => None,
    }
}

/// The value, or the problem that there is none.
fn needed<T>(table: &mut Table<'_>, key: &'static str, value: Option<T>, example: &'static str) -> Option<T> {
    if value.is_none() {
        table.need(key, example);
    }
    value
}

fn parsed<T: FromStr<Err = Invalid> + Display>(table: &mut Table<'_>, key: &'static str) -> Option<String> {
    table.parsed::<T>(key).map(|at| at.value.to_string())
}

fn mode_and_owner(table: &mut Table<'_>, base: Option<(Mode, &String)>, default: Mode) -> (Mode, String) {
    let mode = table.parsed::<Mode>("mode").map(|at| at.value);
    let owner = parsed::<Owner>(table, "owner");
    (
        mode.or(base.map(|(mode, _)| mode)).unwrap_or(default),
        owner.or(base.map(|(_, owner)| owner.clone())).unwrap_or_else(|| "root:root".to_owned()),
    )
}

fn file(table: &mut Table<'_>, base: Option<&TemplateKind>) -> Option<TemplateKind> {
    let base = base.and_then(|base| match base {
        TemplateKind::File { path, content, mode, owner } => Some((path, content, *mode, owner)),
        _ => None,
    });
    let path = parsed::<AbsPath>(table, "path").or(base.map(|base| base.0.clone()));
    let path = needed(table, "path", path, "path = \"/etc/example.conf\"");
    let text = |value: &Value<'_>| value.parsed::<Text>().map(|at| at.value.to_string());
    let content = table.value("content").and_then(|value| given(&value, Shape::Text, text));
    let content = needed(table, "content", content.or(base.map(|base| base.1.clone())), "content = \"…\"");
    let (mode, owner) = mode_and_owner(table, base.map(|base| (base.2, base.3)), Mode::PUBLIC);
    Some(TemplateKind::File { path: path?, content: content?, mode, owner })
}

fn directory(table: &mut Table<'_>, base: Option<&TemplateKind>) -> Option<TemplateKind> {
    let base = base.and_then(|base| if let TemplateKind::Directory(it) = base { Some(it) } else { None });
    let path = parsed::<AbsPath>(table, "path").or(base.map(|base| base.path.clone()));
    let path = needed(table, "path", path, "path = \"/etc/example\"");
    let (mode, owner) = mode_and_owner(table, base.map(|base| (base.mode, &base.owner)), Mode::FOLDER);
    Some(TemplateKind::Directory(Directory { path: path?, mode, owner }))
}

fn block(table: &mut Table<'_>, base: Option<&TemplateKind>) -> Option<TemplateKind> {
    let base = base.and_then(|base| match base {
        TemplateKind::Block { path, name, lines, optional } => Some((path, name, lines, *optional)),
        _ => None,
    });
    let path = parsed::<AbsPath>(table, "path").or(base.map(|base| base.0.clone()));
    let path = needed(table, "path", path, "path = \"/etc/hosts\"");
    let name = parsed::<Word>(table, "name").or(base.map(|base| base.1.clone()));
    let name = needed(table, "name", name, "name = \"hosts\"");
    let block = table.value("lines").and_then(|value| lines::<Line>(&value)).or(base.map(|base| base.2.clone()));
    let block = needed(table, "lines", block, "lines = [\"…\"]");
    let optional = table.boolean("optional").map(|at| at.value).or(base.map(|base| base.3)).unwrap_or(false);
    Some(TemplateKind::Block { path: path?, name: name?, lines: block?, optional })
}

/// A list of texts of one type, or a name for one.
fn lines<T: FromStr<Err = Invalid> + Display>(value: &Value<'_>) -> Option<Given<Vec<String>>> {
    given(value, Shape::Lines, texts::<T>)
}

/// A list of texts; absent where one of them is wrong.
fn texts<T: FromStr<Err = Invalid> + Display>(value: &Value<'_>) -> Option<Vec<String>> {
    let all: Vec<Option<String>> =
        value.array().iter().map(|value| value.parsed::<T>().map(|at| at.value.to_string())).collect();
    all.into_iter().collect()
}

fn packages(table: &mut Table<'_>, base: Option<&TemplateKind>) -> Option<TemplateKind> {
    let base = base.and_then(|base| if let TemplateKind::Packages(items) = base { Some(items.clone()) } else { None });
    let items = table.value("packages").map(|value| {
        let all: Vec<Option<PackageItem>> = value.array().iter().map(package).collect();
        all.into_iter().collect::<Option<Vec<_>>>()
    });
    let items =
        needed(table, "packages", items.map_or(Some(base), |items| items.map(Some)).flatten(), "packages = [\"curl\"]");
    items.map(TemplateKind::Packages)
}

/// `"curl"`, `{ name = "containerd", version = "1.7.*", hold = true }` or `{ from = "base-packages" }`.
fn package(value: &Value<'_>) -> Option<PackageItem> {
    if !is_table(value) {
        let name = value.parsed::<PackageName>()?.value.to_string();
        return Some(PackageItem { what: Given::Literal(Package { name, version: None }), hold: false, unless: None });
    }
    let mut table = value.table()?;
    let hold = table.boolean("hold").is_some_and(|at| at.value);
    let unless = table.choice("unless", &UNLESS).map(|at| at.value);
    let what = match table.value("from") {
        Some(word) => named(&word, Shape::Packages).map(Given::From),
        None => {
            let name = parsed::<PackageName>(&mut table, "name");
            let version = parsed::<PackageVersion>(&mut table, "version");
            needed(&mut table, "name", name, "name = \"curl\"").map(|name| Given::Literal(Package { name, version }))
        }
    };
    table.finish(|_| None);
    Some(PackageItem { what: what?, hold, unless })
}

/// A name where the table around it has more keys than `from`.
fn named(word: &Value<'_>, shape: Shape) -> Option<Name> {
    let names: Vec<(&'static str, Name)> =
        Name::ALL.iter().filter(|name| name.shape() == shape).map(|name| (name.as_str(), *name)).collect();
    word.choice(&names).map(|at| at.value)
}

fn repository(table: &mut Table<'_>, base: Option<&TemplateKind>) -> Option<TemplateKind> {
    let base = base.and_then(|base| if let TemplateKind::Repository(it) = base { Some(it.clone()) } else { None });
    if let Some(word) = table.value("from") {
        return named(&word, Shape::Repository).map(Given::From).map(TemplateKind::Repository);
    }
    let of =
        |given: Option<&Given<Repository>>| if let Some(Given::Literal(it)) = given { Some(it.clone()) } else { None };
    let base_literal = of(base.as_ref());
    let before = |pick: fn(&Repository) -> &String| base_literal.as_ref().map(|base| pick(base).clone());
    let name = parsed::<Word>(table, "name").or(before(|it| &it.name));
    let source = parsed::<Line>(table, "source").or(before(|it| &it.source));
    let key_url = parsed::<BaseUrl>(table, "key-url").or(before(|it| &it.key_url));
    let fingerprint = parsed::<KeyFingerprint>(table, "fingerprint").or(before(|it| &it.fingerprint));
    if let (None, None, None, None, Some(base)) = (&name, &source, &key_url, &fingerprint, base) {
        return Some(TemplateKind::Repository(base));
    }
    let name = needed(table, "name", name, "name = \"example\"");
    let source = needed(table, "source", source, "source = \"https://example.org/deb stable main\"");
    let key_url = needed(table, "key-url", key_url, "key-url = \"https://example.org/key.asc\"");
    let fingerprint = needed(table, "fingerprint", fingerprint, "fingerprint = \"40 hexadecimal digits\"");
    let repository = Repository { name: name?, source: source?, key_url: key_url?, fingerprint: fingerprint? };
    Some(TemplateKind::Repository(Given::Literal(repository)))
}

fn service(table: &mut Table<'_>, base: Option<&TemplateKind>) -> Option<TemplateKind> {
    let base = base.and_then(|base| match base {
        TemplateKind::Service { unit, state, watches, reload, check } => Some((unit, *state, watches, *reload, check)),
        _ => None,
    });
    let unit = parsed::<UnitName>(table, "unit").or(base.map(|base| base.0.clone()));
    let unit = needed(table, "unit", unit, "unit = \"example.service\"");
    let state = table.choice("state", &STATES).map(|at| at.value).or(base.map(|base| base.1));
    let watches = table.value("watches").map(|value| texts::<AbsPath>(&value));
    let reload = table.boolean("reload").map(|at| at.value).or(base.map(|base| base.3)).unwrap_or(false);
    let check = parsed::<Text>(table, "check").or(base.and_then(|base| base.4.clone()));
    let watches = match watches {
        Some(watches) => watches?,
        None => base.map(|base| base.2.clone()).unwrap_or_default(),
    };
    Some(TemplateKind::Service { unit: unit?, state: state.unwrap_or(ServiceState::Running), watches, reload, check })
}

fn sysctls(table: &mut Table<'_>, base: Option<&TemplateKind>) -> Option<TemplateKind> {
    let base = base.and_then(|base| match base {
        TemplateKind::Sysctls { exact, at_least } => Some((exact, at_least)),
        _ => None,
    });
    let exact = match table.value("values") {
        Some(value) if from_alone(&value) => from(&value, Shape::Sysctls).map(Given::From),
        Some(value) => parameters(&value, |value| {
            if let Some(serde_json::Value::Number(number)) = value.json() {
                return Some(number.to_string());
            }
            value.parsed::<Line>().map(|at| at.value.to_string())
        })
        .map(Given::Literal),
        None => base.map(|base| base.0.clone()).or(Some(Given::Literal(Vec::new()))),
    };
    let at_least = match table.value("at-least") {
        Some(value) => parameters(&value, |value| value.number(0, u64::MAX).map(|at| at.value)),
        None => Some(base.map(|base| base.1.clone()).unwrap_or_default()),
    };
    Some(TemplateKind::Sysctls { exact: exact?, at_least: at_least? })
}

/// Whether a table is `{ from = … }`, and not parameters by name.
fn from_alone(value: &Value<'_>) -> bool {
    matches!(value.json(), Some(serde_json::Value::Object(map)) if map.contains_key("from"))
}

fn parameters<T>(value: &Value<'_>, one: impl Fn(&Value<'_>) -> Option<T>) -> Option<Vec<(String, T)>> {
    let table = value.table()?;
    let all: Vec<Option<(String, T)>> = table
        .entries()
        .into_iter()
        .map(|(key, value)| match key.value.parse::<SysctlName>() {
            Ok(name) => Some((name.to_string(), one(&value)?)),
            Err(why) => {
                table.document().push(Problem::at(key.span, why.message()).maybe_hint(why.way_out()));
                None
            }
        })
        .collect();
    all.into_iter().collect()
}

fn images(table: &mut Table<'_>, base: Option<&TemplateKind>) -> Option<TemplateKind> {
    let base = base.and_then(|base| if let TemplateKind::Images(images) = base { Some(images.clone()) } else { None });
    let image = |value: &Value<'_>| value.parsed::<ImageRef>().map(|at| at.value.to_string());
    let images = match table.value("images") {
        Some(value) => {
            let all: Vec<_> = value.array().iter().map(|value| given(value, Shape::Images, image)).collect();
            all.into_iter().collect::<Option<Vec<_>>>()
        }
        None => base,
    };
    needed(table, "images", images, "images = [{ from = \"images\" }]").map(TemplateKind::Images)
}

fn probe(table: &mut Table<'_>, base: Option<&TemplateKind>) -> Option<TemplateKind> {
    let repository = table.value("repository");
    let urls = table.value("urls");
    let disk = table.value("disk");
    match (repository, urls, disk) {
        (Some(repository), None, None) => from(&repository, Shape::Repository).map(TemplateKind::ProbeRepository),
        (None, Some(urls), None) => given(&urls, Shape::Urls, texts::<Line>).map(TemplateKind::ProbeRegistry),
        (None, None, Some(disk)) => disk.choice(&DISKS).map(|_| TemplateKind::ProbeEtcdDisk),
        (None, None, None) if base.is_some() => base.cloned(),
        (None, None, None) => needed(table, "urls", None, "urls = { from = \"registry-urls\" }"),
        (_, Some(second), _) | (_, _, Some(second)) => {
            table
                .document()
                .push(Problem::at(second.span(), "a probe is of a repository, of addresses or of a disk: one of them"));
            None
        }
    }
}

fn script(table: &mut Table<'_>, base: Option<&TemplateKind>) -> Option<TemplateKind> {
    let base = base.and_then(|base| if let TemplateKind::Script(script) = base { Some(script) } else { None });
    let check = parsed::<Text>(table, "check").or(base.map(|base| base.check.clone()));
    let check = needed(table, "check", check, "check = \"test -e /etc/example\"");
    let run = parsed::<Text>(table, "run").or(base.map(|base| base.run.clone()));
    let run = needed(table, "run", run, "run = \"…\"");
    let timeout = table.parsed::<Timeout>("timeout").map(|at| at.value).or(base.map(|base| base.timeout));
    Some(TemplateKind::Script(Script { check: check?, run: run?, timeout: timeout.unwrap_or(SCRIPT_LIMIT) }))
}

/// The id of a step that is to be changed, skipped or stood beside.
pub fn reference(table: &mut Table<'_>, key: &'static str) -> Option<crate::diag::toml::At<Id>> {
    table.parsed::<Id>(key)
}
