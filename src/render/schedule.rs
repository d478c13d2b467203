//! Backups that a control plane takes by itself: a script of ours, and the service and the timer that run it.
//!
//! An archive is made as the command `backup` makes it, with the same manifest, and is encrypted by `age` on the node: what
//! opens it is nowhere there. Each control plane takes and keeps its own, so that one that is left is enough.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use super::{HEADER, s3, snapshot};
use crate::{
    model::{
        backup::{SCHEMA, Schedule},
        cluster::ClusterSpec,
        etcd::EtcdLayout,
        node::NodeSpec,
        s3::S3Spec,
    },
    shell::{quote, words},
};

/// Where archives lie, root's alone; beside them what became of the last attempts.
pub const FOLDER: &str = "/var/lib/kbootstrap/backup/scheduled";
/// How the names of archives end.
pub const SUFFIX: &str = ".backup.age";
/// A line on the last one that came out well: Unix time, name, revision, keys.
pub const GOOD: &str = "/var/lib/kbootstrap/backup/scheduled/last-good";
/// Why the last attempt failed: Unix time, words. In memory first: a full disk is among the reasons.
pub const FAILURES: [&str; 2] = ["/run/kube-backup/failure", "/var/lib/kbootstrap/backup/scheduled/last-failure"];

pub const SCRIPT_PATH: &str = "/etc/kbootstrap/backup.sh";
// Not `kbootstrap-…`: units of that name are work of a run, which the next run waits for.
pub const SERVICE: &str = "kube-backup.service";
pub const SERVICE_PATH: &str = "/etc/systemd/system/kube-backup.service";
pub const TIMER: &str = "kube-backup.timer";
pub const TIMER_PATH: &str = "/etc/systemd/system/kube-backup.timer";

/// A key that every cluster of kubeadm has: ConfigMap `kube-system/kubeadm-config`.
const ALWAYS_THERE: &str = "/registry/configmaps/kube-system/kubeadm-config";

/// The script of one control plane.
///
/// It prunes after a good backup alone, so a cluster that can't be backed up any more keeps what it has. Nothing has an
/// archive's name before it is whole and on the disk. With the word `ended` it tidies up after itself, however it ended.
pub fn script(spec: &ClusterSpec, node: &NodeSpec, schedule: &Schedule) -> String {
    let machines: Vec<serde_json::Value> = spec
        .control_planes()
        .map(|node| json!({ "name": node.name.as_str(), "address": node.address.to_string() }))
        .collect();
    let (cert, key) = spec.etcd.client_certificate();
    let recipients = spec.backup.recipients.iter().flat_map(|one| ["-r", one.as_str()]);
    format!(
        r#"#!/bin/sh
{HEADER}# Takes a backup of the cluster on this control plane; {SERVICE} runs it, at the times of {TIMER}.
set -eu
umask 077
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
kb_folder={FOLDER}
kb_new=$kb_folder/.new
kb_said={run}/said
kb_words() {{ tail -n 3 "$kb_said" 2> /dev/null | tr -s '[:space:][:cntrl:]' ' ' | cut -c 1-400; }}
kb_failed() {{
  printf '%s %s\n' "$(date +%s)" "$1" > {failure}
  cp {failure} {kept_failure} || :
}}
if [ "${{1-}}" = ended ]; then
  rm -rf "$kb_new"
  flock -n {lock} rm -rf {draft} {draft}.part || :
  [ "${{SERVICE_RESULT-}}" != success ] || exit 0
  cat "$kb_said" >&2 2> /dev/null || :
  kb_why=$(kb_words)
  case $kb_why in '' | ' ') kb_why="it ended by ${{SERVICE_RESULT-}} (${{EXIT_CODE-}} ${{EXIT_STATUS-}})" ;; esac
  kb_failed "$kb_why"
  exit 0
fi
exec 2> "$kb_said"
mkdir -p "$kb_folder"
chmod 700 /var/lib/kbootstrap/backup "$kb_folder"
rm -rf "$kb_new"
mkdir "$kb_new"
kb_id=$(sed -n 's/^id = "\(.*\)"$/\1/p' {identity})
kb_version=$(sed -n 's/^ *image: .*kube-apiserver:v//p' /etc/kubernetes/manifests/kube-apiserver.yaml)
[ -n "$kb_id" ] && [ -n "$kb_version" ] || {{ echo 'this machine is no control plane of a cluster of kbootstrap' >&2; exit 1; }}
kb_count=$(curl -q -s --noproxy '*' --max-time 10 --cacert {ca} --cert {cert} --key {key} -d '{range}' https://127.0.0.1:{port}/v3/kv/range) || :
case $kb_count in *'"count":"1"'*) ;; *) echo 'the member of etcd on this node does not answer, or has no quorum' >&2; exit 1 ;; esac
kb_now=$(date +%s)
{parts}
kb_keys=$(sed -n 's/^ *- name: \([A-Za-z0-9.-]*\)$/"\1"/p' {keys} 2> /dev/null | paste -s -d , -)
printf '{{"schema":"{SCHEMA}","cluster":"{cluster}","id":"%s","kubernetes":"%s","node":"{node}","taken":"%s","program":"{SERVICE}","control_planes":%s,"keys":[%s],"etcd":%s,"parts":%s}}\n' \
  "$kb_id" "$kb_version" "$(date -u -d "@$kb_now" +%Y-%m-%dT%H:%M:%SZ)" {machines} "$kb_keys" "$(cat "$kb_new/etcd.json")" "$(cat "$kb_new/parts.json")" > "$kb_new/manifest.json"
kb_name={cluster}-$(date -u -d "@$kb_now" +%Y%m%d-%H%M%S){SUFFIX}
{{
  tar -C "$kb_new" --format=gnu --owner=0 --group=0 --numeric-owner --mode=600 -cf - manifest.json etcd.db files.tar
  : > "$kb_new/whole"
}} | age {recipients} -o "$kb_new/archive"
[ -e "$kb_new/whole" ] || {{ echo 'the archive is not whole' >&2; exit 1; }}
sync "$kb_new/archive"
mv -T "$kb_new/archive" "$kb_folder/$kb_name"
sync "$kb_folder"
kb_word() {{ sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" "$kb_new/etcd.json"; }}
printf '%s %s %s %s\n' "$kb_now" "$kb_name" "$(kb_word revision)" "$(kb_word totalKey)" > "$kb_new/good"
mv -T "$kb_new/good" {GOOD}
rm -rf "$kb_new" {failure} {kept_failure}
kb_archives() {{ ls "$kb_folder" | grep '^{cluster}-[0-9]\{{8\}}-[0-9]\{{6\}}{suffix}$'; }}
kb_archives | grep -vxF "$kb_name" | sort -r | tail -n +{keep} | while read -r kb_old; do
  rm -f "$kb_folder/$kb_old"
done
{send}"#,
        run = "/run/kube-backup",
        lock = snapshot::LOCK,
        draft = snapshot::draft(spec.etcd),
        failure = FAILURES[0],
        kept_failure = FAILURES[1],
        identity = super::identity::PATH,
        ca = spec.etcd.ca_certificate(),
        // A member that is cut off from the others would write an old state down, again and again.
        range = json!({ "key": STANDARD.encode(ALWAYS_THERE), "count_only": true }),
        port = EtcdLayout::CLIENT_PORT,
        parts = snapshot::parts(spec.etcd),
        cluster = spec.name,
        node = node.name,
        keys = crate::model::encryption::PATH,
        machines = quote(&serde_json::Value::from(machines).to_string()),
        recipients = words(recipients),
        suffix = SUFFIX.replace('.', "\\."),
        // The new one is among those that are kept.
        keep = schedule.keep,
        send = spec.backup.s3.as_ref().map(|s3| send(s3, node)).unwrap_or_default(),
    )
}

/// What could not be sent is sent with a later one. It is no failure of the backup itself, which would be taken anew each
/// half hour then, in the place of old ones.
fn send(s3: &S3Spec, node: &NodeSpec) -> String {
    format!(
        r#"{upload}
: >> "$kb_folder/sent"
for kb_name in $(kb_archives); do
  if grep -qxF "$kb_name" "$kb_folder/sent"; then continue; fi
  if kb_upload "$kb_folder/$kb_name" "$kb_name"; then
    printf '%s\n' "$kb_name" >> "$kb_folder/sent"
  else
    kb_failed "$kb_name is kept here, and was not sent to {endpoint}: $(kb_words)"
    break
  fi
done
"#,
        upload = s3::upload(s3, node),
        endpoint = s3.endpoint,
    )
}

/// `kube-backup.service`. What failed is tried again each half hour: a member that restarts, or an upgrade that goes on, is
/// through by then. Who starts it by hand is never refused for having done so too often: nobody would be told of a backup
/// that was not even begun.
pub fn service() -> String {
    format!(
        "{HEADER}\
[Unit]
Description=Encrypted backup of the cluster, kept on this control plane
After=network.target containerd.service kubelet.service
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart=/bin/sh {SCRIPT_PATH}
ExecStopPost=/bin/sh {SCRIPT_PATH} ended
Restart=on-failure
RestartSec=30min
TimeoutStartSec=1h
RuntimeDirectory=kube-backup
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=yes
UMask=0077
Nice=10
IOSchedulingPriority=7
NoNewPrivileges=yes
"
    )
}

/// `kube-backup.timer`. Each machine has its own moment within a quarter of an hour, always the same one, so that not all
/// members write a snapshot at once. What was missed while a machine was off is made up for.
pub fn timer(schedule: &Schedule) -> String {
    format!(
        "{HEADER}\
[Unit]
Description=When backups of the cluster are taken

[Timer]
OnCalendar={}
RandomizedDelaySec=15min
FixedRandomDelay=yes
Persistent=yes

[Install]
WantedBy=timers.target
",
        schedule.calendar
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample;

    fn scheduled() -> (ClusterSpec, Schedule) {
        let mut spec = sample::cluster();
        let schedule = Schedule { calendar: "daily".parse().unwrap(), keep: 7 };
        let recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kudmp87qqkcyqv3";
        spec.backup.recipients = vec![recipient.parse().unwrap()];
        spec.backup.schedule = Some(schedule.clone());
        (spec, schedule)
    }

    #[test]
    fn of_a_control_plane() {
        let (spec, schedule) = scheduled();
        let text = script(&spec, &spec.nodes[1], &schedule);
        let understood = std::process::Command::new("/bin/sh").args(["-n", "-c", &text]).status();
        assert!(understood.unwrap().success(), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn of_one_that_sends_them() {
        let (mut spec, schedule) = scheduled();
        spec.backup.s3 = Some(S3Spec {
            endpoint: "https://s3.example.com:9000".parse().unwrap(),
            bucket: "backups".parse().unwrap(),
            region: "us-east-1".parse().unwrap(),
            prefix: "clusters/".parse().unwrap(),
            credentials: "/home/operator/.aws/credentials".into(),
            digest: None,
        });
        let text = script(&spec, &spec.nodes[0], &schedule);
        let understood = std::process::Command::new("/bin/sh").args(["-n", "-c", &text]).status();
        assert!(understood.unwrap().success(), "{text}");
        assert!(!text.contains("/home/operator"));
        insta::assert_snapshot!(send(spec.backup.s3.as_ref().unwrap(), &spec.nodes[0]));
    }

    #[test]
    fn units() {
        insta::assert_snapshot!(format!("{}\n{}", service(), timer(&scheduled().1)));
    }
}
