//! What every use of apt shares, as shell functions.

/// `kb_apt`, `kb_lists_fresh`, `kb_lists`: apt without questions, restarts of other services, or a race for its locks.
///
/// `DPkg::Lock::Timeout` waits for dpkg's lock but not for that of the package lists (apt-daily, cloud-init on a first
/// boot), so an update that finds it taken is tried again.
pub const FUNCTIONS: &str = r#"export LC_ALL=C DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 APT_LISTCHANGES_FRONTEND=none
kb_apt() {
  apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confdef \
    -o Dpkg::Options::=--force-confold -o Acquire::Retries=3 "$@"
}
kb_lists_fresh() {
  [ -n "$(find /var/lib/kbootstrap/stamps/apt-lists /var/lib/apt/periodic/update-success-stamp -mmin -1440 2> /dev/null)" ]
}
kb_update() {
  kb_try=0
  while ! kb_said=$(kb_apt update "$@" 2>&1); do
    case $kb_said in *'Could not get lock'*) ;; *) kb_try=100 ;; esac
    [ "$kb_try" -lt 100 ] || { printf '%s\n' "$kb_said" >&2; return 100; }
    kb_try=$((kb_try + 1))
    sleep 3
  done
}
kb_lists() {
  kb_update || echo 'going on with the package lists that are there' >&2
  mkdir -p /var/lib/kbootstrap/stamps
  : > /var/lib/kbootstrap/stamps/apt-lists
}
"#;
