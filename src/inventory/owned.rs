//! Keys of override tables that the program itself owns, and what to use instead.
//!
//! Merging such a key would either be without effect or make the cluster differ from what the rest of the program
//! believes; both are worse than an error.

mod list;

use list::{Instead, OWNED};

use crate::diag::toml::Table;
use crate::diag::{Problem, did_you_mean};

/// Fields of kubeadm's `ClusterConfiguration`, v1beta3 and v1beta4. A field that is none of them would be ignored with
/// a warning that nobody reads.
const CLUSTER_FIELDS: &[&str] = &[
    "apiServer",
    "apiVersion",
    "caCertificateValidityPeriod",
    "certificateValidityPeriod",
    "certificatesDir",
    "clusterName",
    "controlPlaneEndpoint",
    "controllerManager",
    "dns",
    "encryptionAlgorithm",
    "etcd",
    "featureGates",
    "imageRepository",
    "kind",
    "kubernetesVersion",
    "networking",
    "proxy",
    "scheduler",
];

/// Looks through the override table of this name.
pub fn check(name: &str, table: &Table<'_>) {
    for owned in OWNED.iter().filter(|owned| owned.table == name) {
        let Some((span, _)) = table.find(owned.path) else { continue };
        let problem = Problem::at(span, format!("`{}` can't be overridden", owned.path.join(".")));
        table.document().push(match owned.instead {
            Instead::Key(key) => problem.label("kbootstrap sets it").hint(format!("use `{key}`")),
            Instead::Reason(reason) => problem.label(reason).hint("leave it out"),
        });
    }
    if name == "cluster" {
        fields(table);
        extra_args(table, &["apiServer", "extraArgs"]);
        extra_args(table, &["controllerManager", "extraArgs"]);
        extra_args(table, &["scheduler", "extraArgs"]);
        extra_args(table, &["etcd", "local", "extraArgs"]);
    }
}

/// Fields at the top of `ClusterConfiguration`.
fn fields(table: &Table<'_>) {
    for (key, _) in table.entries() {
        if !CLUSTER_FIELDS.contains(&key.value) {
            let message = format!("ClusterConfiguration has no field `{}`", key.value.escape_debug());
            let meant = did_you_mean(key.value, CLUSTER_FIELDS.iter().copied());
            let hint = meant.map(|meant| format!("did you mean `{meant}`?"));
            table.document().push(Problem::at(key.span, message).maybe_hint(hint));
        }
    }
}

/// Flags of a component: kubeadm takes strings only, and names without dashes before them.
fn extra_args(table: &Table<'_>, path: &[&str]) {
    let Some(args) = table.find(path).and_then(|(_, args)| args.table()) else { return };
    for (key, value) in args.entries() {
        value.text();
        if key.value.starts_with('-') {
            let bare = key.value.trim_start_matches('-');
            let problem = Problem::at(key.span, "a flag is named without dashes here");
            args.document().push(problem.hint(format!("write `{}`", bare.escape_debug())));
        }
    }
}
