//! The ops by which a node's authorities are exchanged. Certificates are in their text; keys come as late inputs, or lie on
//! the control plane already.

use super::{AUTHORITIES, CONFIGS, FOLDER, SIGNING};
use crate::{
    kind::{Context, op, shared, upgrade, write},
    model::{
        etcd::EtcdLayout,
        mode::Mode,
        op::{Late, Op},
    },
    pki::{SharedPath, Trusted, bundle_text},
    shell::{Until, words},
};

const PROVE_S: u32 = 180;
/// The name under which a control plane keeps itself as it was before.
const KEPT: &str = "rotate-ca";

/// The pairs of files that are exchanged, without their endings.
fn stems() -> String {
    words(AUTHORITIES.map(|authority| authority.files().0.as_str().trim_end_matches(".crt").to_owned()))
}

/// A snapshot of etcd and `/etc/kubernetes` as they are before anything is changed.
pub fn backup(context: &Context<'_>) -> Op {
    upgrade::keep(KEPT, "", context)
}

/// Lays old and new authorities aside, all at once. Whose key does not belong to its certificate is not begun with.
pub fn stage(etcd: EtcdLayout) -> Op {
    let script = format!(
        r#"umask 077
{places}kb_draft={FOLDER}.draft
rm -rf "$kb_draft"
mkdir -p "$kb_draft/old/etcd" "$kb_draft/new/etcd"
for kb_stem in {stems}; do
  install -m 600 "$KB_IN/next/$kb_stem.crt" "$kb_draft/new/$kb_stem.crt"
  install -m 600 "$KB_IN/next/$kb_stem.key" "$kb_draft/new/$kb_stem.key"
  openssl x509 -in "$(kb_place "$kb_stem.crt")" -out "$kb_draft/old/$kb_stem.crt"
  install -m 600 "$(kb_place "$kb_stem.key")" "$kb_draft/old/$kb_stem.key"
  if [ "$(openssl x509 -noout -pubkey -in "$kb_draft/old/$kb_stem.crt")" != "$(openssl pkey -pubout -in "$kb_draft/old/$kb_stem.key")" ]; then
    echo "$(kb_place "$kb_stem.key") is not the key of the first certificate in $(kb_place "$kb_stem.crt"); nothing was changed" >&2
    exit 1
  fi
done
cp "$kb_draft/old/ca.crt" "$kb_draft/signing.crt"
rm -rf {FOLDER}
mv -T "$kb_draft" {FOLDER}"#,
        stems = stems(),
        places = shared::places(etcd),
    );
    let what = "lay the new authorities beside the old";
    op::node_with("authorities.stage", what, script, op::QUICK_S, vec![Late::NextPki])
}

/// Puts these certificates into these files of authorities, and makes every kubeconfig trust what `ca.crt` then does.
pub fn trust(files: &[(String, Vec<Trusted>)]) -> Op {
    let mut script = String::new();
    for (path, certificates) in files {
        let text = bundle_text(certificates);
        script.push_str(&write::put(path, write::Source::Text(&text), Mode::PUBLIC, write::ROOT));
        script.push('\n');
    }
    script.push_str(&configs());
    op::node("trust.write", "write whom this node trusts", script, op::QUICK_S)
}

/// POSIX text after which the node's kubeconfigs trust all that its `ca.crt` holds: kubeadm 1.30 writes the first of several
/// only, and kubelet a path. One that is right is not written again: its age tells who has read it.
pub fn configs() -> String {
    format!(
        r#"kb_ca=$(base64 -w0 {ca})
for kb_name in {configs}; do
  kb_file=/etc/kubernetes/$kb_name kb_draft=/etc/kubernetes/.$kb_name.kbootstrap
  [ -f "$kb_file" ] || continue
  (umask 077; sed "s|^\( *\)certificate-authority\(-data\)\{{0,1\}}: .*|\1certificate-authority-data: $kb_ca|" "$kb_file" > "$kb_draft")
  chmod --reference="$kb_file" "$kb_draft"
  chown --reference="$kb_file" "$kb_draft"
  if cmp -s "$kb_draft" "$kb_file"; then rm -f "$kb_draft"; else mv -fT "$kb_draft" "$kb_file"; fi
done"#,
        // The same whatever the layout of etcd.
        ca = SharedPath::CaCrt.at(EtcdLayout::Stacked),
        configs = words(CONFIGS),
    )
}

/// Asks the servers of this control plane with certificates that the new authorities sign here and now: only who has loaded
/// them answers. Whoever is not known may still be forbidden all; who is not believed is told 401.
pub fn prove() -> Op {
    let holds = "case $(kb_ask \"$@\") in 200|403) ;; *) false ;; esac";
    let believed = Until { holds, seconds: 45, pause: "1", otherwise: "return 1" };
    let script = format!(
        r#"umask 077
kb_sign() {{
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$KB_IN/proof.key" -subj "/CN=$2" -out "$KB_IN/proof.csr" 2> /dev/null
  printf 'extendedKeyUsage=clientAuth\n' > "$KB_IN/proof.ext"
  openssl x509 -req -in "$KB_IN/proof.csr" -CA {FOLDER}/new/$1.crt -CAkey {FOLDER}/new/$1.key -set_serial 1 -days 1 \
    -extfile "$KB_IN/proof.ext" -out "$KB_IN/proof.crt" 2> /dev/null
}}
kb_ask() {{ curl -s -k --max-time 5 --noproxy '*' -o /dev/null -w '%{{http_code}}' --cert "$KB_IN/proof.crt" --key "$KB_IN/proof.key" "$@" || :; }}
kb_believed() {{
{believed}
}}
kb_failed() {{ echo "$1 does not trust the new authority yet" >&2; exit 1; }}
kb_sign ca kbootstrap-proof
kb_believed https://127.0.0.1:6443/api || kb_failed 'the API server'
kb_sign front-proxy-ca front-proxy-client
kb_believed -H 'X-Remote-User: kbootstrap-proof' https://127.0.0.1:6443/api || kb_failed 'the front proxy of the API server'
kb_sign etcd/ca kbootstrap-proof
kb_believed -d '{{}}' https://127.0.0.1:2379/v3/cluster/member/list || kb_failed etcd
rm -f "$KB_IN"/proof.*"#,
        believed = believed.text(),
    );
    op::node("trust.prove", "ask its servers with certificates of the new authorities", script, PROVE_S)
}

/// The new authorities sign from now on. Their keys are put before what says so.
pub fn authority(files: &[(SharedPath, Vec<Trusted>)], etcd: EtcdLayout) -> Op {
    let mut script = format!(
        r#"umask 077
{places}for kb_stem in {stems}; do
  if [ "$(openssl x509 -noout -pubkey -in "{FOLDER}/new/$kb_stem.crt")" != "$(openssl pkey -pubout -in "{FOLDER}/new/$kb_stem.key")" ]; then
    echo "{FOLDER}/new/$kb_stem.key is not the key of the certificate beside it; nothing was changed" >&2
    exit 1
  fi
done
for kb_stem in {stems}; do
  kb_key=$(kb_place "$kb_stem.key")
  install -m 600 -o root -g root "{FOLDER}/new/$kb_stem.key" "$kb_key.kbootstrap"
  mv -fT "$kb_key.kbootstrap" "$kb_key"
done
install -m 600 {FOLDER}/new/ca.crt {SIGNING}.new
mv -fT {SIGNING}.new {SIGNING}
umask 022
"#,
        stems = stems(),
        places = shared::places(etcd),
    );
    for (path, certificates) in files {
        let text = bundle_text(certificates);
        script.push_str(&write::put(&path.at(etcd), write::Source::Text(&text), Mode::PUBLIC, write::ROOT));
        script.push('\n');
    }
    op::node("authorities.switch", "let the new authorities sign", script, op::QUICK_S)
}

/// The old keys and all copies of them that this program made go.
pub fn clean() -> Op {
    let script = format!(
        r#"for kb_pki in {aside}/*/kubernetes/pki; do
  [ -d "$kb_pki" ] || continue
  for kb_stem in {stems}; do
    if cmp -s "$kb_pki/$kb_stem.key" "{FOLDER}/old/$kb_stem.key"; then rm -f "$kb_pki/$kb_stem.key"; fi
  done
  rm -rf "$kb_pki/rotation"
done
rm -rf {kept} {kept}.new {FOLDER}.draft {FOLDER}"#,
        kept = format_args!("{}/{KEPT}", upgrade::FOLDER),
        aside = write::ASIDE,
        stems = stems(),
    );
    op::node("authorities.clean", "remove the old authorities and their keys", script, op::QUICK_S)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use base64::{Engine, prelude::BASE64_STANDARD};
    use rand::{SeedableRng, rngs::StdRng};
    use time::OffsetDateTime;

    use super::*;
    use crate::{
        kind::testing::sh_with,
        model::op::Work,
        pki::{Authorities, bundle},
    };

    fn run(op: &Op, root: &Path, input: &Path) -> Result<String, String> {
        let Work::Node { script, .. } = &op.work else { panic!("an op of a node") };
        let root = root.to_str().unwrap();
        // An ordinary user may run this test: nobody can be made root then.
        let script = script.replace("/etc/kubernetes", &format!("{root}/etc/kubernetes"));
        let script = script.replace("/var/lib/kbootstrap", &format!("{root}/var/lib/kbootstrap"));
        let script = script.replace("/etc/kbootstrap", &format!("{root}/etc/kbootstrap"));
        let script = script.replace(" -o root -g root", "").replace("chown root:root", ": chown");
        sh_with(&script, &[("KB_IN", input.to_str().unwrap())])
    }

    fn made(seed: u64) -> Authorities {
        let now = OffsetDateTime::from_unix_timestamp(1_700_000_000 + i64::try_from(seed).unwrap()).unwrap();
        Authorities::generate(now, &mut StdRng::seed_from_u64(seed)).unwrap()
    }

    fn lay(authorities: &Authorities, folder: &Path) {
        for file in authorities.files() {
            let path = folder.join(file.path.as_str());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, file.content.expose()).unwrap();
        }
    }

    #[test]
    fn from_the_old_to_the_new_on_one_control_plane() {
        EtcdLayout::ALL.into_iter().for_each(from_the_old_to_the_new);
    }

    fn from_the_old_to_the_new(etcd: EtcdLayout) {
        let folder = tempfile::tempdir().unwrap();
        let (root, input) = (folder.path().join("root"), folder.path().join("in"));
        let (old, new) = (made(1), made(2));
        let pki = root.join("etc/kubernetes/pki");
        lay(&old, &pki);
        let etcd_key = root.join(etcd.ca_key().trim_start_matches('/'));
        std::fs::create_dir_all(etcd_key.parent().unwrap()).unwrap();
        std::fs::rename(pki.join("etcd/ca.key"), &etcd_key).unwrap();
        lay(&new, &input.join("next"));
        let text = |path: &str| std::fs::read_to_string(root.join("etc/kubernetes").join(path)).unwrap();
        for (name, line) in
            [("admin.conf", "certificate-authority-data: QQ=="), ("kubelet.conf", "certificate-authority: /x")]
        {
            let config = format!("clusters:\n- cluster:\n    {line}\n    server: s\n");
            std::fs::write(root.join("etc/kubernetes").join(name), config).unwrap();
        }
        run(&stage(etcd), &root, &input).unwrap();
        assert_eq!(text("pki/rotation/new/etcd/ca.key"), *new.etcd.key.expose());
        assert_eq!(text("pki/rotation/old/ca.key"), *old.kubernetes.key.expose());
        assert_eq!(bundle(&text("pki/rotation/signing.crt")).unwrap(), bundle(&old.kubernetes.certificate).unwrap());

        let both = |first: &str, second: &str| bundle(&format!("{first}{second}")).unwrap();
        let (ours, theirs) = (&old.kubernetes.certificate, &new.kubernetes.certificate);
        run(&trust(&[(SharedPath::CaCrt.at(etcd), both(ours, theirs))]), &root, &input).unwrap();
        let encoded = BASE64_STANDARD.encode(text("pki/ca.crt"));
        for name in ["admin.conf", "kubelet.conf"] {
            let wanted = format!("clusters:\n- cluster:\n    certificate-authority-data: {encoded}\n    server: s\n");
            assert_eq!(text(name), wanted, "{name}");
        }
        assert_eq!(text("pki/ca.key"), *old.kubernetes.key.expose(), "it goes on signing");

        run(&authority(&[(SharedPath::CaCrt, both(theirs, ours))], etcd), &root, &input).unwrap();
        assert_eq!(text("pki/ca.key"), *new.kubernetes.key.expose());
        assert_eq!(std::fs::read_to_string(&etcd_key).unwrap(), *new.etcd.key.expose());
        assert_eq!(pki.join("etcd/ca.key").exists(), etcd == EtcdLayout::Stacked);
        assert_eq!(bundle(&text("pki/ca.crt")).unwrap(), both(theirs, ours));
        assert_eq!(bundle(&text("pki/rotation/signing.crt")).unwrap(), bundle(theirs).unwrap());

        let aside = root.join("var/lib/kbootstrap/aside/1-certificates/kubernetes");
        lay(&old, &aside.join("pki"));
        run(&clean(), &root, &input).unwrap();
        assert!(
            !pki.join("rotation").exists() && !aside.join("pki/ca.key").exists() && aside.join("pki/sa.key").exists()
        );
        assert_eq!(text("pki/ca.key"), *new.kubernetes.key.expose());
    }

    #[test]
    fn a_key_of_another_certificate_is_not_begun_with() {
        let folder = tempfile::tempdir().unwrap();
        let (root, input) = (folder.path().join("root"), folder.path().join("in"));
        lay(&made(1), &root.join("etc/kubernetes/pki"));
        lay(&made(2), &input.join("next"));
        std::fs::write(root.join("etc/kubernetes/pki/etcd/ca.key"), made(3).etcd.key.expose()).unwrap();
        let said = run(&stage(EtcdLayout::Stacked), &root, &input).unwrap_err();
        assert!(said.contains("etcd/ca.key is not the key of the first certificate"), "{said}");
        assert!(!root.join("etc/kubernetes/pki/rotation").exists());
    }
}
