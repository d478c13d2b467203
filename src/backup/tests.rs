//! What a control plane's own script makes is an archive like any other: the script is run by a real shell, with programs of
//! the test in the places of etcd's and of age.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use age::{Encryptor, secrecy::ExposeSecret, x25519};
use sha2::{Digest, Sha256};

use super::{archive::hex, verify};
use crate::{
    kind::testing::{self, programs},
    model::backup::Schedule,
    render::schedule::{self, FAILURES, FOLDER, GOOD},
};

/// A machine in a folder.
struct Machine {
    root: tempfile::TempDir,
    path: String,
    script: String,
}

impl Machine {
    /// A control plane that keeps so many.
    fn keeping(keep: u16) -> Self {
        let root = tempfile::tempdir().unwrap();
        let at = root.path().to_str().unwrap();
        let programs_in = root.path().join("programs");
        fs::create_dir(&programs_in).unwrap();
        let path = programs(
            &programs_in,
            &[
                (
                    "crictl",
                    "for kb_last; do :; done\ncase $* in\n*' ps '* | 'ps '*) echo id ;;\n*'snapshot save'*)\n  \
                     [ ! -e \"${0%/*}/broken\" ] || { echo no such member >&2; exit 1; }\n  cat \"${0%/*}/snapshot\" > \"$kb_last\" ;;\n\
                     *'snapshot status'*) echo '{\"hash\":7,\"revision\":12,\"totalKey\":3,\"totalSize\":4096}' ;;\nesac",
                ),
                ("curl", "cat \"${0%/*}/answer\""),
                // The last two arguments are `-o FILE`.
                ("age", "for kb_last; do :; done\ncat > \"$kb_last\""),
            ],
        );
        let mut snapshot = vec![7; 9000];
        snapshot.extend(Sha256::digest(&snapshot));
        fs::write(programs_in.join("snapshot"), snapshot).unwrap();
        fs::write(programs_in.join("answer"), r#"{"header":{},"count":"1"}"#).unwrap();
        let file = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        file("etc/kubernetes/manifests/kube-apiserver.yaml", "    image: registry.k8s.io/kube-apiserver:v1.30.14\n");
        file("etc/kubernetes/pki/ca.key", "key");
        file("etc/kbootstrap/haproxy.cfg", "");
        file("var/lib/kbootstrap/cluster.toml", "id = \"0123\"\nname = \"lab\"\n");
        file("var/lib/etcd/member/snap/db", "db");
        fs::create_dir_all(root.path().join("run/kube-backup")).unwrap();
        let mut spec = testing::spec();
        let recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kudmp87qqkcyqv3";
        spec.backup.recipients = vec![recipient.parse().unwrap()];
        let schedule = Schedule { calendar: "daily".parse().unwrap(), keep };
        let script = schedule::script(&spec, &spec.nodes[0], &schedule)
            .replace("PATH=/usr/local/sbin", &format!("PATH={}:/usr/local/sbin", programs_in.display()))
            .replace("/etc/", &format!("{at}/etc/"))
            .replace("/var/lib/", &format!("{at}/var/lib/"))
            .replace("/run/", &format!("{at}/run/"))
            .replace("tar -C / ", &format!("tar -C {at} "))
            .replace("\"/$kb_path\"", &format!("\"{at}/$kb_path\""));
        Self { root, path, script }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    /// Runs it as its service does, with what comes after; whether it went well.
    fn back_up(&self) -> bool {
        let run = |word: &str, result: &str| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", &self.script, "backup.sh"]).arg(word).env("PATH", &self.path);
            command.env("SERVICE_RESULT", result).env("EXIT_CODE", "exited").env("EXIT_STATUS", "1");
            command.output().unwrap().status.success()
        };
        let well = run("", "");
        assert!(run("ended", if well { "success" } else { "exit-code" }), "it tidies up");
        well
    }

    /// Names in the folder of archives.
    fn there(&self) -> Vec<String> {
        let entries = fs::read_dir(self.at(FOLDER)).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// What the machine's `age` would have made of what came to it.
fn encrypted(path: &Path, folder: &Path) -> (PathBuf, PathBuf) {
    let key = x25519::Identity::generate();
    let (identity, archive) = (folder.join("key"), folder.join("lab.backup.age"));
    fs::write(&identity, key.to_string().expose_secret()).unwrap();
    let recipient = key.to_public();
    let encryptor = Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient)).unwrap();
    let mut writer = encryptor.wrap_output(fs::File::create(&archive).unwrap()).unwrap();
    std::io::copy(&mut fs::File::open(path).unwrap(), &mut writer).unwrap();
    writer.finish().unwrap();
    (archive, identity)
}

#[test]
fn what_the_script_makes_is_verified_as_any_archive_is() {
    let machine = Machine::keeping(7);
    assert!(machine.back_up(), "{:?}", fs::read_to_string(machine.at("run/kube-backup/said")));
    let names = machine.there();
    assert_eq!((names.len(), names[1].as_str()), (2, "last-good"), "{names:?}");
    let path = machine.at(FOLDER).join(&names[0]);
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(machine.at(FOLDER)).unwrap().permissions().mode() & 0o777, 0o700);
    let folder = tempfile::tempdir().unwrap();
    let (archive, identity) = encrypted(&path, folder.path());
    let manifest = verify(&archive, &identity).unwrap().manifest;
    assert_eq!((manifest.cluster.as_str(), manifest.id.as_str(), manifest.node.as_str()), ("lab", "0123", "cp1"));
    assert_eq!((manifest.kubernetes.as_str(), manifest.etcd.revision, manifest.etcd.keys), ("1.30.14", 12, 3));
    assert_eq!(manifest.control_planes.len(), 3);
    assert_eq!(manifest.control_planes[2].address, "10.0.0.13");
    let parts: Vec<&str> = manifest.parts.iter().map(|part| part.name.as_str()).collect();
    assert_eq!(parts, ["etcd.db", "files.tar"]);
    let good = fs::read_to_string(machine.at(GOOD)).unwrap();
    assert!(good.ends_with(&format!(" {} 12 3\n", names[0])), "{good}");
    let digest = hex(&Sha256::digest(fs::read(machine.root.path().join("programs/snapshot")).unwrap()));
    assert_eq!(manifest.parts[0].sha256, digest);
}

#[test]
fn old_ones_go_after_a_good_one_alone() {
    let machine = Machine::keeping(2);
    let folder = machine.at(FOLDER);
    fs::create_dir_all(&folder).unwrap();
    let old = ["lab-20200101-000000.backup.age", "lab-20200102-000000.backup.age", "lab-20200103-000000.backup.age"];
    let others = ["lab-prod-20200101-000000.backup.age", "mine.backup.age"];
    old.iter().chain(&others).for_each(|name| fs::write(folder.join(name), "").unwrap());
    for (broken, text, why) in
        [("broken", "", "no such member"), ("answer", r#"{"code":14,"message":"no leader"}"#, "has no quorum")]
    {
        let path = machine.root.path().join("programs").join(broken);
        let was = fs::read(&path).ok();
        fs::write(&path, text).unwrap();
        assert!(!machine.back_up());
        for failure in FAILURES {
            let said = fs::read_to_string(machine.at(failure)).unwrap();
            assert!(said.contains(why) && said.split(' ').next().unwrap().parse::<u64>().is_ok(), "{said}");
        }
        assert!(old.iter().all(|name| folder.join(name).exists()));
        assert_eq!(machine.there().len(), 6, "nothing half done is left: {:?}", machine.there());
        match was {
            Some(was) => fs::write(&path, was).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
    }
    assert!(machine.back_up(), "{:?}", fs::read_to_string(machine.at("run/kube-backup/said")));
    let left = machine.there();
    assert!(left.contains(&old[2].to_owned()) && !left.contains(&old[1].to_owned()), "{left:?}");
    assert!(others.iter().all(|name| left.contains(&(*name).to_owned())), "others' stay: {left:?}");
    assert!(FAILURES.iter().all(|failure| !machine.at(failure).exists()), "it is well again");
}
