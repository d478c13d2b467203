//! The packages of another version, their holds kept whatever happens.

use super::{
    super::super::{apt, op},
    Context, target,
};
use crate::{
    model::{op::Op, step::Package},
    render,
    shell::{quote, words},
};

const INSTALL_S: u32 = 1200;
const PROBE_S: u32 = 60;

/// kubeadm's package alone: it must be of the version that it brings the node to.
pub fn kubeadm_package(context: &Context<'_>) -> Op {
    let version = context.spec.release.package_version();
    let script = format!(
        "{functions}trap 'apt-mark hold kubeadm > /dev/null 2>&1 || :' EXIT\n\
         kb_twice kb_apt install --no-install-recommends --no-remove --allow-change-held-packages {package}\n\
         apt-mark hold kubeadm > /dev/null",
        functions = apt::FUNCTIONS,
        package = quote(&format!("kubeadm={version}")),
    );
    op::node("apt.install", format!("install kubeadm {version}"), script, INSTALL_S)
}

/// Fetches packages, and installs nothing: slow lines and missing packages are met before anything is out of service.
pub fn fetch(wanted: &[Package]) -> Op {
    let packages: Vec<String> =
        wanted.iter().filter_map(|package| Some(format!("{}={}", package.name, package.version.as_ref()?))).collect();
    let script = format!(
        "{functions}kb_twice kb_apt install --download-only --no-install-recommends --no-remove \
         --allow-downgrades --allow-change-held-packages {packages}",
        functions = apt::FUNCTIONS,
        packages = words(&packages),
    );
    op::node("apt.fetch", format!("fetch {}", packages.join(" ")), script, INSTALL_S)
}

/// Looks whether the version's repository has its packages. Nothing of the machine's own package lists is touched.
pub fn offered(context: &Context<'_>) -> Op {
    let url = context.spec.repository.deb_url(target(context));
    let wanted: Vec<String> = render::packages::kubernetes(context.spec)
        .into_iter()
        .filter_map(|Package { name, version }| Some(format!("{name}={}", version?)))
        .collect();
    let script = format!(
        r#"kb_list=$(curl -fsSL --connect-timeout 10 --max-time 40 --retry 1 {url}Packages) || {{
  echo 'the repository {plain} has no list of packages' >&2
  exit 1
}}
kb_there=$(printf '%s\n' "$kb_list" | awk '/^Package: / {{ p = $2 }} /^Version: / {{ print p "=" $2 }}')
kb_failed=0
for kb_package in {wanted}; do
  if ! printf '%s\n' "$kb_there" | grep -qxF -e "$kb_package"; then
    echo "{plain} has no $kb_package" >&2
    kb_failed=1
  fi
done
[ "$kb_failed" = 0 ]"#,
        url = quote(&url),
        plain = url,
        wanted = words(&wanted),
    );
    op::node("probe.packages", format!("look for {} in {url}", wanted.join(" ")), script, PROBE_S)
}
