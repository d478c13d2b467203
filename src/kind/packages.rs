//! Debian packages: all of a step in one transaction of apt.

use super::{Context, apt, diff, op, time};
use crate::{
    model::{
        observe::{PackageSeen, Read, Seen},
        plan::{Change, Verdict},
        step::{Package, PackageWish, Unless},
    },
    shell::words,
};

/// Longest time of an installation, slow mirrors and waiting for another's lock included.
const INSTALL_S: u32 = 1200;

/// Packages of Kubernetes itself: on a node that has joined, another version of these is an upgrade.
const OF_KUBERNETES: [&str; 3] = ["kubeadm", "kubelet", "kubectl"];

pub fn reads(wishes: &[PackageWish]) -> Vec<Read> {
    let mut reads: Vec<Read> = wishes.iter().map(|wish| Read::Package(wish.package.name.clone())).collect();
    if wishes.iter().any(|wish| wish.unless == Some(Unless::TimeKept)) {
        reads.extend(time::keeper_reads());
    }
    reads
}

pub fn judge(wishes: &[PackageWish], context: &Context<'_>) -> Verdict {
    let absent = PackageSeen::default();
    upgrade_of_a_member(&wanted(wishes, &absent, context), context).unwrap_or_else(|| judge_upgrade(wishes, context))
}

/// The wishes that count on this machine, each with what is there.
fn wanted<'a>(
    wishes: &'a [PackageWish],
    absent: &'a PackageSeen,
    context: &Context<'a>,
) -> Vec<(&'a PackageWish, &'a PackageSeen)> {
    wishes
        .iter()
        .filter(|wish| is_wanted(wish, context))
        .map(|wish| (wish, context.seen.packages.get(&wish.package.name).unwrap_or(absent)))
        .collect()
}

/// As `judge`, where a change of Kubernetes' version under a running node is what is wanted.
pub fn judge_upgrade(wishes: &[PackageWish], context: &Context<'_>) -> Verdict {
    let absent = PackageSeen::default();
    let wanted = wanted(wishes, &absent, context);
    let (mut diff, mut install, mut hold, mut restarts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (wish, seen) in &wanted {
        let package = &wish.package;
        let name = &package.name;
        let fits = seen.version.as_deref().is_some_and(|version| matches(package, version));
        if !fits || seen.broken.is_some() {
            let shall = package.version.as_deref().unwrap_or("any version");
            diff.push(match (&seen.broken, &seen.version) {
                (Some(state), _) => format!("~ {name}: {state} -> {shall}"),
                (None, Some(version)) => diff::value(name, version, shall),
                (None, None) => format!("+ {name} ({shall})"),
            });
            install.push(match &package.version {
                Some(version) => format!("{name}={version}"),
                None => name.clone(),
            });
            if seen.version.is_some() {
                restarts.push(name.as_str());
            }
        }
        if wish.hold && (!seen.held || !fits) {
            if fits {
                diff.push(format!("~ {name}: held"));
            }
            hold.push(name.as_str());
        }
    }
    if diff.is_empty() {
        return Verdict::Satisfied;
    }
    let disrupts = (context.has_joined() && !restarts.is_empty())
        .then(|| format!("another version of {} is installed on a node that has joined", restarts.join(", ")));
    let mut ops = Vec::new();
    if !install.is_empty() {
        let what = format!("install {}", install.join(" "));
        ops.push(op::node("apt.install", what, install_script(&install, &hold), INSTALL_S));
    } else {
        let script = format!("apt-mark hold {} > /dev/null", words(&hold));
        ops.push(op::node("apt.hold", format!("hold {}", hold.join(" ")), script, op::QUICK_S));
    }
    Verdict::Change(Change { diff, ops, disrupts })
}

/// The packages that are there, belong to the node's work, and of which another version is wanted: of the runtime, say.
pub fn changed_installed<'a>(wishes: &'a [PackageWish], seen: &Seen) -> impl Iterator<Item = &'a Package> {
    wishes.iter().filter(|wish| wish.hold).map(|wish| &wish.package).filter(|package| {
        let found = seen.packages.get(&package.name).and_then(|found| found.version.as_deref());
        found.is_some_and(|version| !matches(package, version))
    })
}

fn is_wanted(wish: &PackageWish, context: &Context<'_>) -> bool {
    match wish.unless {
        // Once it is installed it stays under our eyes: it may be what keeps the time.
        Some(Unless::TimeKept) => {
            let installed = context.seen.packages.get(&wish.package.name).is_some_and(|seen| seen.version.is_some());
            installed || !time::is_kept(context)
        }
        None => true,
    }
}

/// Whether an installed version is a wanted one.
fn matches(package: &Package, version: &str) -> bool {
    match package.version.as_deref() {
        None => true,
        Some(wanted) => match wanted.strip_suffix('*') {
            Some(beginning) => version.starts_with(beginning),
            None => version == wanted,
        },
    }
}

/// Changing Kubernetes' version under a running node is an upgrade, which has an order of its own.
fn upgrade_of_a_member(wanted: &[(&PackageWish, &PackageSeen)], context: &Context<'_>) -> Option<Verdict> {
    if !context.has_joined() {
        return None;
    }
    let (package, version) = wanted.iter().find_map(|(wish, seen)| {
        let (package, version) = (&wish.package, seen.version.as_deref()?);
        (OF_KUBERNETES.contains(&package.name.as_str()) && !matches(package, version)).then_some((package, version))
    })?;
    let shall = package.version.as_deref().unwrap_or_default();
    let bare = |version: &str| version.split('-').next().unwrap_or_default().to_owned();
    let parsed = |version: &str| super::action::upgrade::package_version(version);
    let hint = match (parsed(version), parsed(shall)) {
        (Some(found), Some(wanted)) if found > wanted => {
            format!(
                "nothing is taken back: `kbootstrap upgrade INVENTORY --to {found}` goes on with an upgrade that has begun"
            )
        }
        _ => format!(
            "`kbootstrap upgrade INVENTORY --to {}` rolls it node by node; else set the inventory's `kubernetes` to {}",
            bare(shall),
            bare(version)
        ),
    };
    Some(op::refused(
        format!("cannot change {} of a node that has joined: found {version}, wanted {shall}", package.name),
        hint,
    ))
}

/// Nothing is ever removed for what we install (`--no-remove`): a machine with Docker's own containerd is told so by
/// apt, and keeps it.
fn install_script(install: &[String], hold: &[&str]) -> String {
    // Whatever the end: an unattended upgrade must never move what is to be held.
    let keep = match hold {
        [] => String::new(),
        hold => format!("trap 'apt-mark hold {} > /dev/null 2>&1 || :' EXIT\n", words(hold)),
    };
    let mut script = format!(
        "{functions}{keep}kb_room\nkb_lists_fresh || kb_lists\nkb_twice kb_apt install --no-install-recommends --no-remove \
         --allow-downgrades --allow-change-held-packages {install}",
        functions = apt::FUNCTIONS,
        install = words(install),
    );
    if !hold.is_empty() {
        script.push_str(&format!("\napt-mark hold {} > /dev/null", words(hold)));
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        kind::testing::{World, change, kinds, reason, script},
        model::observe::CommandSeen,
    };

    fn wish(name: &str, version: Option<&str>, hold: bool) -> PackageWish {
        let package = Package { name: name.into(), version: version.map(String::from) };
        PackageWish { package, hold, unless: None }
    }

    fn seen(version: &str, held: bool) -> PackageSeen {
        PackageSeen { version: Some(version.into()), held, broken: None }
    }

    fn verdict(world: &World, wishes: &[PackageWish]) -> Verdict {
        world.judge("w1", |context| judge(wishes, context))
    }

    #[test]
    fn what_is_missing_comes_in_one_transaction() {
        let wishes = [wish("curl", None, false), wish("kubelet", Some("1.30.14-1.1"), true), wish("runc", None, true)];
        let mut world = World::bare();
        world.seen.packages.insert("curl".into(), seen("7.88", false));
        let all = change(verdict(&world, &wishes));
        assert_eq!(all.diff, ["+ kubelet (1.30.14-1.1)", "+ runc (any version)"]);
        assert_eq!((kinds(&all), all.disrupts.as_deref()), (vec!["apt.install"], None));
        assert!(script(&all, 0).contains("'kubelet=1.30.14-1.1' runc\n"));
        assert!(script(&all, 0).ends_with("apt-mark hold kubelet runc > /dev/null"));
        world.seen.packages.insert("kubelet".into(), seen("1.30.14-1.1", true));
        world.seen.packages.insert("runc".into(), seen("1.1", false));
        let hold = change(verdict(&world, &wishes));
        assert_eq!((kinds(&hold), hold.diff), (vec!["apt.hold"], vec!["~ runc: held".to_owned()]));
        world.seen.packages.insert("runc".into(), seen("1.1", true));
        assert!(matches!(verdict(&world, &wishes), Verdict::Satisfied));
    }

    #[test]
    fn versions_fit_whole_or_by_their_beginning() {
        let mut world = World::bare();
        world.seen.packages.insert("containerd".into(), seen("1.7.27-1", false));
        assert!(matches!(verdict(&world, &[wish("containerd", Some("1.7.*"), false)]), Verdict::Satisfied));
        let other = change(verdict(&world, &[wish("containerd", Some("1.6.20~ds1"), false)]));
        assert_eq!(other.diff, ["~ containerd: 1.7.27-1 -> 1.6.20~ds1"]);
    }

    #[test]
    fn half_configured_packages_are_finished() {
        let mut world = World::bare();
        let broken = PackageSeen { broken: Some("half-configured".into()), ..PackageSeen::default() };
        world.seen.packages.insert("runc".into(), broken);
        let repair = change(verdict(&world, &[wish("runc", None, false)]));
        assert_eq!(repair.diff, ["~ runc: half-configured -> any version"]);
        assert!(script(&repair, 0).contains("dpkg --configure -a"));
    }

    #[test]
    fn another_kubernetes_under_a_node_that_joined_is_an_upgrade() {
        let mut world = World::live("w1");
        world.seen.packages.insert("kubelet".into(), seen("1.30.13-1.1", true));
        let said = reason(verdict(&world, &[wish("kubelet", Some("1.30.14-1.1"), true)]));
        assert_eq!(said, "cannot change kubelet of a node that has joined: found 1.30.13-1.1, wanted 1.30.14-1.1");
        world.seen.packages.insert("containerd".into(), seen("1.6", true));
        let runtime = change(verdict(&world, &[wish("containerd", Some("1.7.*"), true)]));
        assert!(runtime.disrupts.is_some(), "whoever runs pods is asked");
    }

    #[test]
    fn a_time_daemon_is_installed_only_where_nobody_keeps_the_time() {
        let wishes = [PackageWish { unless: Some(Unless::TimeKept), ..wish("chrony", None, false) }];
        let mut world = World::bare();
        assert_eq!(change(verdict(&world, &wishes)).diff, ["+ chrony (any version)"]);
        world.seen.facts.clock.daemon = Some("systemd-timesyncd".into());
        assert!(matches!(verdict(&world, &wishes), Verdict::Satisfied));
        world.seen.facts.clock.daemon = None;
        let hosts_clock = CommandSeen { code: 0, stdout: b"0\n".to_vec() };
        world.seen.commands.insert(":own-clock".into(), hosts_clock);
        assert!(matches!(verdict(&world, &wishes), Verdict::Satisfied), "in a container the clock is the host's");
    }
}
