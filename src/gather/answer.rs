//! A node's answer: parsed whole or refused whole.

use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::{
    ask::Ask,
    script::{ADMIN_CONF, FRAME, names},
};
use crate::{
    facts::{
        clock::{self, Reading},
        commands, control_plane, disks, encryption,
        error::FactError,
        files, hardware, identity, kubernetes, links,
        listing::{self, Listing},
        modules, os, packages, ports, runs,
        section::Sections,
        sysctls,
        texts::{self, Texts},
        units,
    },
    model::{
        facts::{Facts, Kubernetes},
        observe::{Seen, SeenSecrets},
        secret::Secret,
    },
};

/// What a complete answer says, and the node's clock, which only whoever timed the round trip can judge.
pub type Answer = (Seen, SeenSecrets, Reading);

/// Reads the answer of the script that was compiled from `ask` with `nonce`.
///
/// # Errors
/// The answer is not complete, or anything in it is not known for sure.
pub fn parse(stdout: &[u8], nonce: &str, ask: &Ask) -> Result<Answer, FactError> {
    let stream = frame(stdout, nonce)?;
    let sections = Sections::split(&stream, nonce)?;
    let texts = Texts::parse(sections.need(texts::NAME)?)?;
    let listing = Listing::parse(sections.need(listing::NAME)?)?;
    let units = units::parse(sections.get(units::NAME), names(&ask.units))?;
    let reading = clock::parse(sections.need(clock::NAME)?)?;
    let (etcd, readyz) = control_plane::parse(sections.get(control_plane::NAME));
    let facts = Facts {
        os: os::parse(&texts, sections.need(os::NAME)?)?,
        identity: identity::parse(&texts)?,
        clock: reading.with_daemon(&units),
        hardware: hardware::parse(&texts)?,
        disks: disks::parse(sections.need(disks::NAME)?)?,
        links: links::parse(sections.need(links::NAME)?)?,
        ports: ports::parse(sections.need(ports::NAME)?)?,
        kubernetes: Kubernetes {
            etcd,
            readyz,
            encryption: encryption::parse(sections.get(encryption::NAME))?,
            ..kubernetes::parse(&texts, &listing)?
        },
        runs: runs::parse(&texts, sections.get(runs::NAME), &units)?,
    };
    let seen = Seen {
        facts,
        files: files::parse(&sections, &ask.files)?,
        packages: packages::parse(sections.get(packages::NAME), names(&ask.packages))?,
        units,
        sysctls: sysctls::parse(&texts, names(&ask.sysctls))?,
        modules: modules::parse(sections.get(modules::NAME), names(&ask.modules))?,
        commands: commands::parse(&sections, ask.commands.iter().map(|(id, _)| id.as_str()))?,
    };
    Ok((seen, SeenSecrets { admin_conf: admin_conf(&sections)? }, reading))
}

/// The stream of sections, which may hold secrets.
fn frame(stdout: &[u8], nonce: &str) -> Result<Zeroizing<Vec<u8>>, FactError> {
    let broken = |problem: &str| FactError::new("the node's answer", problem);
    let head = format!("{nonce} {FRAME} 0 ").into_bytes();
    let line = stdout.split_inclusive(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(&head[..]));
    let line = line.ok_or_else(|| broken("there is none"))?;
    let line = line.strip_suffix(b"\n").ok_or_else(|| broken("it was cut off"))?;
    STANDARD.decode(line).map(Zeroizing::new).map_err(|_| broken("it was damaged on its way"))
}

fn admin_conf(sections: &Sections<'_>) -> Result<Option<Secret<String>>, FactError> {
    let text = sections.get(ADMIN_CONF).map(|section| section.text("/etc/kubernetes/admin.conf"));
    Ok(text.transpose()?.map(|text| Secret::new(text.to_owned())))
}

/// The whole way, but for the network: scripts are run by the real shell of this machine and read back.
#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::Write,
        os::unix::fs::{PermissionsExt, symlink},
        process::{Command, Stdio},
    };

    use super::*;
    use crate::{
        gather::script,
        model::observe::{CommandSeen, ContentRead, FileSeen, Read},
    };

    const NONCE: &str = "0123456789abcdef0123456789abcdef";

    fn run(script: &str) -> Vec<u8> {
        let mut shell = Command::new("/bin/sh");
        let mut child =
            shell.arg("-s").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("sh");
        child.stdin.take().expect("piped").write_all(script.as_bytes()).expect("written");
        let out = child.wait_with_output().expect("waited");
        assert!(out.status.success() && out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
        out.stdout
    }

    fn look(ask: &Ask) -> Seen {
        parse(&run(&script::compile(ask, NONCE)), NONCE, ask).expect("understood").0
    }

    #[test]
    fn facts_of_this_machine() {
        let facts = look(&Ask::facts()).facts;
        assert!(facts.hardware.cpus > 0 && facts.hardware.memory_bytes > 1 << 20);
        assert!(!facts.os.kernel.is_empty() && !facts.os.id.is_empty() && !facts.os.arch.is_empty());
        assert!(facts.disks["/"].size_bytes > 0);
        assert!(facts.links.iter().any(|link| link.name == "lo"));
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_secs_f64();
        assert!((now - facts.clock.unix).abs() < 60.0);
    }

    #[test]
    fn files_of_every_kind() {
        let folder = tempfile::tempdir().expect("made");
        let at = |name: &str| folder.path().join(name).to_str().expect("text").to_owned();
        let write = |name: &str, content: &[u8]| fs::write(folder.path().join(name), content).expect("written");
        let digest_of_b = "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d";
        write("same", b"b");
        write("other", b"a\nb\0\xff\n\n");
        write("secret", b"s");
        write("empty", b"");
        write("it's a \"$(name)\"\\", b"hostile");
        write("two\nlines", b"newline");
        write("big", &[b'x'; 300 * 1024]);
        fs::set_permissions(folder.path().join("secret"), fs::Permissions::from_mode(0o4600)).expect("set");
        symlink("same", folder.path().join("link")).expect("linked");
        symlink("nowhere", folder.path().join("dangling")).expect("linked");
        fs::create_dir(folder.path().join("folder")).expect("made");
        let unless = ContentRead::Unless(digest_of_b.into());
        let wishes = [
            ("same", unless.clone()),
            ("other", unless),
            ("secret", ContentRead::Never),
            ("empty", ContentRead::Always),
            ("it's a \"$(name)\"\\", ContentRead::Always),
            ("two\nlines", ContentRead::Always),
            ("big", ContentRead::Always),
            ("link", ContentRead::Always),
            ("dangling", ContentRead::Always),
            ("folder", ContentRead::Always),
            ("missing", ContentRead::Always),
            ("same/below", ContentRead::Always),
        ];
        let reads: Vec<Read> =
            wishes.into_iter().map(|(name, content)| Read::File { path: at(name), content }).collect();
        let seen = look(&Ask::new(&reads)).files;
        assert_eq!(seen.len(), reads.len());
        let content = |name: &str| match &seen[&at(name)] {
            FileSeen::File { content, .. } => content.as_deref(),
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(content("same"), None, "its digest is the one wanted");
        assert_eq!(content("other"), Some(&b"a\nb\0\xff\n\n"[..]));
        assert_eq!(content("secret"), None);
        assert_eq!(content("empty"), Some(&b""[..]));
        assert_eq!(content("it's a \"$(name)\"\\"), Some(&b"hostile"[..]));
        assert_eq!(content("two\nlines"), Some(&b"newline"[..]));
        assert_eq!(content("big"), None, "larger than what is brought along");
        let FileSeen::File { sha256, .. } = &seen[&at("same")] else { panic!("a file") };
        assert_eq!(sha256, digest_of_b);
        let FileSeen::File { mode, .. } = &seen[&at("secret")] else { panic!("a file") };
        assert_eq!(*mode, 0o4600);
        assert_eq!(seen[&at("link")], FileSeen::Link { target: "same".into() });
        assert_eq!(seen[&at("dangling")], FileSeen::Link { target: "nowhere".into() });
        assert!(matches!(seen[&at("folder")], FileSeen::Directory { .. }));
        assert_eq!((&seen[&at("missing")], &seen[&at("same/below")]), (&FileSeen::Absent, &FileSeen::Absent));
    }

    #[test]
    fn commands_do_not_touch_each_other() {
        let command = |id: &str, script: &str| Read::Command { id: id.into(), script: script.into() };
        let reads = [
            command("a", "x=1; printf 'a\\n\\0'; exit 3"),
            command("b", "if then"),
            command("c", "cat; echo \"<$x>\"; echo noise >&2"),
            command("d", &format!("printf '\\n%s x\\n' {NONCE:.31}")),
            command("e", "set -e; set -f; IFS=x; exec 3>&-; false"),
            command("f", "printf %s *"),
        ];
        let seen = look(&Ask::new(&reads)).commands;
        let answer = |code, stdout: &[u8]| CommandSeen { code, stdout: stdout.to_vec() };
        assert_eq!(seen["a"], answer(3, b"a\n\0"));
        assert_eq!(seen["b"].code, 2, "a syntax error of one script");
        assert_eq!(seen["c"], answer(0, b"<>\n"));
        assert_eq!(seen["e"], answer(1, b""));
        assert_ne!(seen["f"].stdout, b"*");
    }

    #[test]
    fn parameters_and_modules() {
        let reads = [
            Read::Sysctl("kernel.ostype".into()),
            Read::Sysctl("kernel.no_such".into()),
            Read::Module("no_such-module".into()),
            Read::Unit("kubelet.service".into()),
        ];
        let seen = look(&Ask::new(&reads));
        assert_eq!(seen.sysctls["kernel.ostype"].as_deref(), Some("Linux"));
        assert_eq!(seen.sysctls["kernel.no_such"], None);
        assert!(!seen.modules["no_such-module"]);
        assert!(seen.units.contains_key("kubelet.service"));
    }

    #[test]
    fn noise_is_harmless_and_a_cut_is_not() {
        let ask = Ask::facts();
        let clean = run(&script::compile(&ask, NONCE));
        let noisy = [&b"Welcome!\nno newline"[..], &clean, b"bye\n"].concat();
        assert!(parse(&noisy, NONCE, &ask).is_ok());
        for end in (0..clean.len()).step_by(97) {
            assert!(parse(&clean[..end], NONCE, &ask).is_err(), "cut at {end}");
        }
        assert!(parse(&clean, "another", &ask).is_err());
        let mut damaged = clean.clone();
        let middle = damaged.len() / 2;
        damaged[middle] = b'\n';
        assert!(parse(&damaged, NONCE, &ask).is_err());
    }
}
