//! Things reached out to before anything is changed, from the node that will need them.

mod disk;

pub use disk::{REMARK, begins_member};

use super::{Context, op, repository::KEY_FUNCTION};
use crate::{
    model::{plan::Verdict, step::Probe},
    shell::{quote, words},
};

/// Longest time of a probe: slow links, and one more try.
const PROBE_S: u32 = 120;

pub fn judge(probe: &Probe, context: &Context<'_>) -> Verdict {
    let (kind, what, script) = match probe {
        Probe::Repository { key_url, fingerprint } => {
            ("probe.repository", format!("fetch {key_url}"), repository_script(key_url, fingerprint))
        }
        Probe::EtcdDisk if context.spec.is_member(context.node) => {
            return Verdict::Probe(vec![disk::probe(context.spec.etcd)]);
        }
        Probe::EtcdDisk => return Verdict::Satisfied,
        Probe::Registry { urls } => ("probe.registry", format!("ask {}", urls.join(", ")), registry_script(urls)),
    };
    Verdict::Probe(vec![op::node(kind, what, script, PROBE_S)])
}

/// A machine without certificates of authorities gets them by a step of its own, so there it cannot be asked yet.
fn repository_script(key_url: &str, fingerprint: &str) -> String {
    format!(
        r#"{KEY_FUNCTION}if [ ! -s /etc/ssl/certs/ca-certificates.crt ]; then
  echo 'not asked: the machine has no certificates of authorities yet'
  exit 0
fi
kb_new=$(mktemp -d)
trap 'rm -rf "$kb_new"' EXIT
kb_key {} {} "$kb_new/key""#,
        quote(key_url),
        quote(fingerprint)
    )
}

/// 401 is an answer as good as any: a registry that wants to know who asks is there.
fn registry_script(urls: &[String]) -> String {
    format!(
        r#"if ! command -v curl > /dev/null || [ ! -s /etc/ssl/certs/ca-certificates.crt ]; then
  echo 'not asked: the machine has no curl, or no certificates of authorities yet'
  exit 0
fi
kb_failed=0
for kb_url in {}; do
  if ! kb_code=$(curl -sSL -o /dev/null -w '%{{http_code}}' --connect-timeout 10 --max-time 40 --retry 1 "$kb_url"); then
    echo "the registry at $kb_url does not answer" >&2
    kb_failed=1
    continue
  fi
  case $kb_code in
    2??|401|403) ;;
    *) echo "the registry at $kb_url answers $kb_code" >&2; kb_failed=1 ;;
  esac
done
[ "$kb_failed" = 0 ]"#,
        words(urls)
    )
}
