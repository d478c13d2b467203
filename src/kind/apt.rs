//! What every use of apt shares, as shell functions.

/// `kb_apt`, `kb_lists_fresh`, `kb_twice`: apt without questions, restarts of other services, or a race for its locks.
///
/// `kb_twice` runs what follows it; where that fails, what another run left half done is finished, the lists are read
/// anew, and it is run once more. An update gets four minutes: on a disk that has become full apt waits for ever. Where
/// there is little room to begin with, nothing is tried.
///
/// `DPkg::Lock::Timeout` waits for dpkg's lock but not for that of the package lists (apt-daily, cloud-init on a first
/// boot), so an update that finds it taken is tried again.
pub const FUNCTIONS: &str = r#"export LC_ALL=C DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 APT_LISTCHANGES_FRONTEND=none
kb_apt() {
  timeout -k 10 "${kb_limit:-1100}" apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confdef \
    -o Dpkg::Options::=--force-confold -o Acquire::Retries=3 "$@"
}
kb_lists_fresh() {
  [ -n "$(find /var/lib/kbootstrap/stamps/apt-lists /var/lib/apt/periodic/update-success-stamp -mmin -1440 2> /dev/null)" ]
}
kb_update() {
  kb_try=0
  kb_limit=240
  while ! kb_said=$(kb_apt update "$@" 2>&1); do
    case $kb_said in *'Could not get lock'*) ;; *) kb_try=100 ;; esac
    [ "$kb_try" -lt 100 ] || { printf '%s\n' "$kb_said" >&2; kb_limit=1100; return 100; }
    kb_try=$((kb_try + 1))
    sleep 3
  done
  kb_limit=1100
}
kb_room() {
  kb_free=$(df -Pk /var/lib/apt /var/lib/dpkg /var/cache/apt | awk 'NR > 1 && (least == "" || $4 < least) { least = $4 } END { print least }')
  [ "$kb_free" -ge 65536 ] || { echo "no room for packages: $kb_free KiB are free under /var/lib or /var/cache/apt, and it takes 64 MiB" >&2; return 1; }
}
kb_twice() {
  kb_room
  "$@" || {
    kb_room
    dpkg --configure -a
    kb_lists
    "$@"
  }
}
kb_lists() {
  kb_update || echo 'going on with the package lists that are there' >&2
  mkdir -p /var/lib/kbootstrap/stamps
  : > /var/lib/kbootstrap/stamps/apt-lists
}
"#;
