//! What running kubeadm takes: its files with the token put in, and a node made bare again without losing anything.

use super::{
    super::{op, write},
    etcd_member,
};
use crate::{
    model::{encryption, etcd::EtcdLayout, op::Op},
    pki::SharedPath,
    render,
    shell::{quote, words},
};

/// POSIX text that writes a private file from a rendered one, with the token of the run in its place.
pub fn file_with_token(path: &str, text: &str) -> String {
    let parts: Vec<String> = text.split(render::kubeadm::TOKEN).map(quote).collect();
    format!("(umask 077; printf %s {} > {path})", parts.join(" \"$kb_token\" "))
}

/// The token of the run in `$kb_token`, and no proxy between kubeadm and the cluster.
pub const PROLOGUE: &str = "unset http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY
kb_token=$(cat \"$KB_IN/token\")
";

/// Runs kubeadm with its talk in a private file: `init` prints the token. After a failure the end of the talk is told
/// without it; a few lines only, so that what kubeadm said of the failure, on standard error before, stays in sight.
pub fn run(arguments: &str) -> String {
    format!(
        r#"kubeadm {arguments} > "$KB_IN/kubeadm.log" || {{
  kb_status=$?
  grep -v -F -e "$kb_token" "$KB_IN/kubeadm.log" | tail -n 6 >&2
  exit "$kb_status"
}}"#
    )
}

/// POSIX text by which a verb asks again, on the spot: nothing of a cluster may be here, neither etcd's data (`etcd`, absent
/// where a member as a service is meant to be there already) nor these files.
pub fn refuse_over_state(etcd: Option<EtcdLayout>, files: &[&str]) -> String {
    let member = etcd.map(|etcd| format!("{}/member", etcd.data_folder()));
    format!(
        "for kb_path in {}; do\n  if [ -e \"$kb_path\" ]; then\n    echo \"$kb_path is there: this machine carries a \
         cluster; nothing was changed\" >&2\n    exit 1\n  fi\ndone\n",
        words(member.as_deref().into_iter().chain(files.iter().copied()))
    )
}

/// Makes a node bare again: its pods end, and what kubeadm, kubelet and etcd wrote goes aside, where it is kept. With
/// `keep_pki` the shared authorities stay where they are. `etcd` is the member that ends with it, absent where one runs as a
/// service and goes on. `proof` is POSIX text that must succeed before anything is touched.
///
/// `kubeadm reset` is not used: it deletes etcd's data, and it wants an API that answers.
pub fn set_aside(what: &str, proof: &str, etcd: Option<EtcdLayout>, keep_pki: bool) -> Op {
    let ends = match etcd {
        None => String::new(),
        Some(EtcdLayout::Service) => etcd_member::end(),
        Some(EtcdLayout::Stacked) => {
            // Half converted to a service, a cluster has members of both kinds, and a machine may have data of both.
            format!(
                r#"if [ -d {data} ]; then find {data} -mindepth 1 -maxdepth 1 -exec mv -t "$kb_aside/etcd" {{}} +; fi
if [ -d {service} ]; then
  (
    kb_aside=$kb_aside/service
    mkdir -m 700 "$kb_aside"
    {end}
  )
fi"#,
                data = EtcdLayout::Stacked.data_folder(),
                service = EtcdLayout::Service.data_folder(),
                end = etcd_member::end(),
            )
        }
    };
    let keys = [encryption::PATH, encryption::PENDING].map(|path| path.trim_start_matches(SharedPath::FOLDER));
    let kept = if keep_pki {
        words(SharedPath::ALL.iter().map(|path| path.as_str()).chain(keys.map(|path| path.trim_start_matches('/'))))
    } else {
        String::new()
    };
    // It lies apart where etcd is a service, and goes where it would lie if it were not.
    let etcd_key = match keep_pki {
        true => String::new(),
        false => format!(
            "\nif [ -e {key} ]; then\n  mkdir -p -m 700 \"$kb_aside/kubernetes/pki/etcd\"\n  \
             mv -f {key} \"$kb_aside/kubernetes/pki/etcd/ca.key\"\nfi",
            key = EtcdLayout::Service.ca_key()
        ),
    };
    let script = format!(
        r#"{proof}
kb_aside={aside}/$(date -u +%Y%m%dT%H%M%SZ)
mkdir -p {aside}
mkdir -m 700 "$kb_aside" "$kb_aside/etcd" "$kb_aside/kubelet"
systemctl stop kubelet.service || :
for kb_pod in $(crictl pods -q); do crictl -t 60s rmp -f "$kb_pod" > /dev/null; done
{ends}
if [ -d /etc/kubernetes ]; then
  cp -a /etc/kubernetes "$kb_aside/kubernetes"
  rm -rf /etc/kubernetes/*.conf /etc/kubernetes/manifests /etc/kubernetes/tmp /etc/kubernetes/pki {taken}
  for kb_file in {kept}; do
    if [ -e "$kb_aside/kubernetes/pki/$kb_file" ]; then
      mkdir -p -m 755 /etc/kubernetes/pki /etc/kubernetes/pki/etcd
      mkdir -p "/etc/kubernetes/pki/$(dirname "$kb_file")"
      cp -p "$kb_aside/kubernetes/pki/$kb_file" "/etc/kubernetes/pki/$kb_file"
    fi
  done
fi{etcd_key}
awk '$2 ~ "^/var/lib/kubelet/" {{ print $2 }}' /proc/mounts | sort -r | while read -r kb_mount; do umount "$kb_mount"; done
if [ -d /var/lib/kubelet ]; then find /var/lib/kubelet -mindepth 1 -maxdepth 1 -exec mv -t "$kb_aside/kubelet" {{}} +; fi
rm -f /var/lib/kbootstrap/stamps/kubelet.service"#,
        aside = write::ASIDE,
        taken = EtcdLayout::KEPT_MANIFEST,
    );
    op::node("node.set-aside", what, script, 300)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::testing::{programs, sh_with};

    #[test]
    fn the_token_goes_into_the_file_and_never_into_what_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().to_str().unwrap();
        std::fs::write(folder.path().join("token"), "abcdef.0123456789abcdef").unwrap();
        let path = programs(folder.path(), &[("kubeadm", "cat \"$KB_IN/config\"; echo wrong; exit 3")]);
        let text = format!("a: '{0}'\nb: {0}$(x)\n", render::kubeadm::TOKEN);
        let script = format!("{PROLOGUE}{}\n{}", file_with_token("\"$KB_IN/config\"", &text), run("init --config x"));
        let said = sh_with(&script, &[("KB_IN", input), ("PATH", &path)]).unwrap_err();
        assert_eq!(said, "wrong\n");
        let written = std::fs::read_to_string(folder.path().join("config")).unwrap();
        assert_eq!(written, "a: 'abcdef.0123456789abcdef'\nb: abcdef.0123456789abcdef$(x)\n");
        assert_eq!(mode(&folder.path().join("config")), 0o600);
    }

    fn mode(path: &std::path::Path) -> u32 {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_set_aside_is_kept_and_the_authorities_stay() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        let write = |path: &str| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, path.to_str().unwrap()).unwrap();
        };
        for path in ["kubernetes/admin.conf", "kubernetes/manifests/etcd.yaml", "kubernetes/pki/ca.crt"] {
            write(&format!("etc/{path}"));
        }
        write("etc/kubernetes/pki/apiserver.crt");
        write("etc/kubernetes/pki/etcd/ca.key");
        write("etc/kubernetes/pki/encryption/config.yaml");
        write("var/lib/etcd/member/wal/0");
        write("var/lib/kubelet/config.yaml");
        // Of a conversion that did not come to its end.
        write("etc/kubernetes/etcd.yaml.kbootstrap");
        write("var/lib/kbootstrap/etcd/member/wal/1");
        write("etc/kbootstrap/etcd/member.key");
        let path = programs(folder.path(), &[("systemctl", ":"), ("crictl", "echo \"$*\" >> \"${0%/*}/crictl.log\"")]);
        let prefix = |text: &str| {
            let root = root.to_str().unwrap();
            text.replace("/etc/kubernetes", &format!("{root}/etc/kubernetes"))
                .replace("/var/lib/", &format!("{root}/var/lib/"))
                .replace("/etc/kbootstrap", &format!("{root}/etc/kbootstrap"))
                .replace("/etc/systemd", &format!("{root}/etc/systemd"))
                .replace("/opt/", &format!("{root}/opt/"))
        };
        let op = set_aside("x", "", Some(EtcdLayout::Stacked), true);
        let crate::model::op::Work::Node { script, .. } = &op.work else { panic!() };
        sh_with(&prefix(script), &[("PATH", &path)]).unwrap();
        let aside: Vec<_> = std::fs::read_dir(root.join("var/lib/kbootstrap/aside")).unwrap().collect();
        let aside = aside[0].as_ref().unwrap().path();
        for path in [
            "etcd/member/wal/0",
            "service/etcd/member/wal/1",
            "kubelet/config.yaml",
            "kubernetes/pki/apiserver.crt",
            "kubernetes/admin.conf",
        ] {
            assert!(aside.join(path).exists(), "{path}");
        }
        assert_eq!(mode(&aside), 0o700);
        for (path, stays) in [
            ("etc/kubernetes/pki/ca.crt", true),
            ("etc/kubernetes/pki/etcd/ca.key", true),
            ("etc/kubernetes/pki/encryption/config.yaml", true),
            ("etc/kubernetes/pki/apiserver.crt", false),
            ("etc/kubernetes/admin.conf", false),
            ("etc/kubernetes/manifests", false),
            ("var/lib/etcd/member", false),
            ("etc/kubernetes/etcd.yaml.kbootstrap", false),
            ("var/lib/kbootstrap/etcd/member", false),
            ("etc/kbootstrap/etcd", false),
            ("var/lib/kubelet/config.yaml", false),
        ] {
            assert_eq!(root.join(path).exists(), stays, "{path}");
        }
    }

    #[test]
    fn the_key_of_etcds_authority_goes_aside_with_the_others_from_wherever_it_is() {
        for keep in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path().join("root");
            let key = root.join(EtcdLayout::Service.ca_key().trim_start_matches('/'));
            std::fs::create_dir_all(key.parent().unwrap()).unwrap();
            std::fs::write(&key, "key").unwrap();
            let path = programs(folder.path(), &[("systemctl", ":"), ("crictl", ":")]);
            let op = set_aside("x", "", None, keep);
            let crate::model::op::Work::Node { script, .. } = &op.work else { panic!() };
            let script = ["/etc/k", "/var/lib/k"]
                .iter()
                .fold(script.clone(), |text, at| text.replace(at, &format!("{}{at}", root.to_str().unwrap())));
            sh_with(&script, &[("PATH", &path)]).unwrap();
            let aside = std::fs::read_dir(root.join("var/lib/kbootstrap/aside")).unwrap().next().unwrap().unwrap();
            assert_eq!((key.exists(), aside.path().join("kubernetes/pki/etcd/ca.key").exists()), (keep, !keep));
        }
    }

    #[test]
    fn without_proof_nothing_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = programs(folder.path(), &[("systemctl", "touch \"${0%/*}/touched\""), ("mkdir", "exit 9")]);
        let op = set_aside("x", "echo no >&2\nexit 1", Some(EtcdLayout::Stacked), false);
        let crate::model::op::Work::Node { script, .. } = &op.work else { panic!() };
        assert_eq!(sh_with(script, &[("PATH", &path)]).unwrap_err(), "no\n");
        assert!(!folder.path().join("touched").exists());
    }
}
