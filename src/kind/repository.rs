//! An apt source and the one key that is trusted for it.
//!
//! Neither gpg nor curl is on every bare machine: apt itself fetches, and the key's fingerprint is computed from its
//! bytes, as RFC 4880 (12.2) defines it.

use super::{Context, apt, diff, file::sha256, op, write};
use crate::{
    model::{
        mode::Mode,
        observe::{ContentRead, FileSeen, Read},
        plan::Verdict,
        step::Repository,
    },
    shell::quote,
};

/// `kb_key URL FINGERPRINT FILE`: fetches a key and leaves it as binary packets in FILE, or fails and says which key
/// came. A file of several primary keys is refused: apt would trust every one of them.
pub const KEY_FUNCTION: &str = r#"kb_key() {
  /usr/lib/apt/apt-helper -o Acquire::Retries=3 -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 \
    -o APT::Sandbox::User=root download-file "$1" "$3.fetched" > "$3.said" 2>&1 || {
    cat "$3.said" >&2
    echo "the key at $1 could not be fetched" >&2
    return 1
  }
  if grep -q -e '^-----BEGIN PGP PUBLIC KEY BLOCK-----' "$3.fetched"; then
    awk '{ sub(/\r$/, "") } /^-----END PGP/ { exit } body && !/^=/ { print }
      /^-----BEGIN PGP PUBLIC KEY BLOCK-----/ { start = 1 } start && /^[ \t]*$/ { body = 1 }' "$3.fetched" |
      base64 -d > "$3"
  else
    cat "$3.fetched" > "$3"
  fi
  kb_place=$(od -An -v -tu1 "$3" | awk '
    BEGIN { n = 0 }
    { for (i = 1; i <= NF; i++) b[n++] = $i }
    END {
      p = 0
      while (p < n) {
        if (b[p] < 128) exit 1
        if (b[p] >= 192) {
          tag = b[p] - 192; l = b[p + 1]
          if (l < 192) { size = l; head = 2 }
          else if (l < 224) { size = (l - 192) * 256 + b[p + 2] + 192; head = 3 }
          else if (l == 255) { size = ((b[p + 2] * 256 + b[p + 3]) * 256 + b[p + 4]) * 256 + b[p + 5]; head = 6 }
          else exit 1
        } else {
          tag = int((b[p] - 128) / 4); form = b[p] % 4
          if (form == 0) { size = b[p + 1]; head = 2 }
          else if (form == 1) { size = b[p + 1] * 256 + b[p + 2]; head = 3 }
          else if (form == 2) { size = ((b[p + 1] * 256 + b[p + 2]) * 256 + b[p + 3]) * 256 + b[p + 4]; head = 5 }
          else exit 1
        }
        if (tag == 6) { keys++; at = p + head; length_ = size; version = b[at] }
        p += head + size
      }
      if (p != n || keys != 1 || version != 4) exit 1
      print at + 1, length_, int(length_ / 256), length_ % 256
    }') || { echo "what came from $1 is not one OpenPGP key" >&2; return 1; }
  set -- "$1" "$2" "$3" $kb_place
  kb_found=$({ printf '\231'; printf "\\$(printf %03o "$6")\\$(printf %03o "$7")"; tail -c +"$4" "$3" | head -c "$5"; } |
    sha1sum | tr a-f A-F)
  kb_found=${kb_found%% *}
  [ "$kb_found" = "$2" ] || { echo "the key at $1 is $kb_found; wanted is $2" >&2; return 1; }
}
"#;

struct Paths {
    list: String,
    keyring: String,
    /// The fingerprint and the digest of the keyring that was checked: what tells, without gpg, that it is still it.
    stamp: String,
}

fn paths(repository: &Repository) -> Paths {
    let name = &repository.name;
    Paths {
        list: format!("/etc/apt/sources.list.d/{name}.list"),
        keyring: format!("/etc/apt/keyrings/{name}-apt-keyring.gpg"),
        stamp: format!("{}/apt-{name}", write::STAMPS),
    }
}

fn line(repository: &Repository, paths: &Paths) -> String {
    format!("deb [signed-by={}] {}\n", paths.keyring, repository.source)
}

pub fn reads(repository: &Repository) -> Vec<Read> {
    let paths = paths(repository);
    let line = sha256(line(repository, &paths).as_bytes());
    vec![
        Read::File { path: paths.list, content: ContentRead::Unless(line) },
        Read::File { path: paths.keyring, content: ContentRead::Never },
        Read::File { path: paths.stamp, content: ContentRead::Always },
    ]
}

pub fn judge(repository: &Repository, context: &Context<'_>) -> Verdict {
    let paths = paths(repository);
    let wanted = line(repository, &paths);
    let file = |path: &str| context.seen.files.get(path).unwrap_or(&FileSeen::Absent);
    let mut diff = Vec::new();
    match file(&paths.list) {
        FileSeen::File { sha256: digest, .. } if *digest == sha256(wanted.as_bytes()) => {}
        FileSeen::File { content: Some(there), .. } => {
            diff.extend(diff::lines(&String::from_utf8_lossy(there), &wanted));
        }
        _ => diff.push(format!("+ {}: {}", paths.list, wanted.trim_end())),
    }
    let checked = match file(&paths.stamp) {
        FileSeen::File { content: Some(stamp), .. } => String::from_utf8_lossy(stamp).into_owned(),
        _ => String::new(),
    };
    let (fingerprint, digest) = checked.trim_end().split_once(' ').unwrap_or_default();
    match file(&paths.keyring) {
        FileSeen::File { sha256, mode, .. }
            if sha256 == digest && fingerprint == repository.fingerprint && mode & 0o444 == 0o444 => {}
        FileSeen::Absent => diff.push(format!("+ {}: key {}", paths.keyring, repository.fingerprint)),
        _ => diff.push(format!("~ {}: key {}, checked anew", paths.keyring, repository.fingerprint)),
    }
    if diff.is_empty() {
        return Verdict::Satisfied;
    }
    let what = format!("trust {} for {} only", repository.fingerprint, repository.source);
    op::change(diff, vec![op::node("apt.repository", what, script(repository, &paths), 600)])
}

/// The key is checked before anything is written; a source that can't be read is taken back, so that it breaks no
/// later `apt-get update` of the machine's owner.
fn script(repository: &Repository, paths: &Paths) -> String {
    let keyring = write::put(&paths.keyring, write::Source::Output("cat \"$kb_new/key\""), Mode::PUBLIC, write::ROOT);
    let stamp = write::put(
        &paths.stamp,
        write::Source::Output("printf '%s %s\\n' \"$kb_found\" \"$kb_digest\""),
        Mode::PUBLIC,
        write::ROOT,
    );
    let line = line(repository, paths);
    let list = write::put(&paths.list, write::Source::Text(&line), Mode::PUBLIC, write::ROOT);
    format!(
        r#"{functions}{key_function}kb_new=$(mktemp -d)
trap 'rm -rf "$kb_new"' EXIT
kb_key {url} {fingerprint} "$kb_new/key"
kb_digest=$(sha256sum "$kb_new/key")
kb_digest=${{kb_digest%% *}}
kb_list={list_path}
[ -e "$kb_list" ] && kb_had=1 || kb_had=0
{keyring}
{list}
kb_update --error-on=any -o Dir::Etc::sourcelist="$kb_list" -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0 || {{
  [ "$kb_had" = 1 ] || rm -f "$kb_list"
  echo 'the package repository cannot be read with this key' >&2
  exit 1
}}
{stamp}"#,
        functions = apt::FUNCTIONS,
        key_function = KEY_FUNCTION,
        url = quote(&repository.key_url),
        fingerprint = quote(&repository.fingerprint),
        list_path = quote(&paths.list),
    )
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::kind::testing::{World, change, programs, script as text, sh_with, text_file};

    fn repository() -> Repository {
        Repository {
            name: "kubernetes".into(),
            source: "https://pkgs.k8s.io/core:/stable:/v1.30/deb/ /".into(),
            key_url: "https://pkgs.k8s.io/core:/stable:/v1.30/deb/Release.key".into(),
            fingerprint: "DE15B14486CD377B9E876E1A234654DA9A296436".into(),
        }
    }

    #[test]
    fn the_stamp_ties_the_keyring_to_the_fingerprint() {
        let repository = repository();
        let paths = paths(&repository);
        let mut world = World::bare();
        let verdict = |world: &World| world.judge("w1", |context| judge(&repository, context));
        let new = change(verdict(&world));
        assert_eq!(new.diff.len(), 2);
        assert!(text(&new, 0).find("kb_key https").unwrap() < text(&new, 0).find("mv -fT").unwrap());
        world.file(&paths.list, &line(&repository, &paths));
        world.file(&paths.keyring, "key");
        world.file(&paths.stamp, &format!("{} {}\n", repository.fingerprint, sha256(b"key")));
        assert!(matches!(verdict(&world), Verdict::Satisfied));
        world.file(&paths.keyring, "another key");
        assert_eq!(change(verdict(&world)).diff.len(), 1);
        world.file(&paths.keyring, "key");
        world.file(&paths.stamp, &format!("{} {}\n", "0".repeat(40), sha256(b"key")));
        assert_eq!(change(verdict(&world)).diff.len(), 1);
        world.seen.files.insert(paths.list, text_file("deb http://elsewhere /\n"));
        world.file(&paths.stamp, &format!("{} {}\n", repository.fingerprint, sha256(b"key")));
        assert_eq!(change(verdict(&world)).diff[0], "- deb http://elsewhere /");
    }

    /// The fingerprint that we compute is the one that gpg prints; armored or not, and never of two keys at once.
    #[test]
    fn fingerprints_are_gpgs() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("gnupg");
        std::fs::create_dir(&home).unwrap();
        let gpg = |args: &[&str]| {
            let output =
                Command::new("gpg").arg("--homedir").arg(&home).args(["--batch", "--quiet"]).args(args).output();
            output.ok().filter(|output| output.status.success()).map(|output| output.stdout)
        };
        let make = |who: &str, kind: &str| gpg(&["--passphrase", "", "--quick-gen-key", who, kind, "sign", "never"]);
        // A machine without gpg can build and use the program; it only can't run this test.
        if make("one@localhost", "rsa2048").is_none() {
            return;
        }
        make("two@localhost", "ed25519").unwrap();
        let helper = folder.path().join("apt-helper");
        let function = KEY_FUNCTION.replace("/usr/lib/apt/apt-helper", helper.to_str().unwrap());
        programs(folder.path(), &[("apt-helper", "for file; do :; done; cp \"${0%/*}/served\" \"$file\"")]);
        let check = |served: &[u8], fingerprint: &str| {
            std::fs::write(folder.path().join("served"), served).unwrap();
            let key = folder.path().join("key");
            let script = format!("{function}\nkb_key https://x {fingerprint} {}\necho \"$kb_found\"", key.display());
            sh_with(&script, &[])
        };
        for who in ["one@localhost", "two@localhost"] {
            let listing = String::from_utf8(gpg(&["--with-colons", "--fingerprint", who]).unwrap()).unwrap();
            let fingerprint = listing.lines().find_map(|line| line.strip_prefix("fpr:::::::::")).unwrap();
            let fingerprint = fingerprint.trim_end_matches(':');
            let binary = gpg(&["--export", who]).unwrap();
            let armored = gpg(&["--armor", "--export", who]).unwrap();
            for served in [&binary, &armored] {
                assert_eq!(check(served, fingerprint).unwrap(), format!("{fingerprint}\n"));
                assert_eq!(std::fs::read(folder.path().join("key")).unwrap(), binary);
            }
            let said = check(&armored, &"0".repeat(40)).unwrap_err();
            assert_eq!(said, format!("the key at https://x is {fingerprint}; wanted is {}\n", "0".repeat(40)));
        }
        let both = gpg(&["--export"]).unwrap();
        assert!(check(&both, &"0".repeat(40)).unwrap_err().contains("is not one OpenPGP key"));
        assert!(check(b"<html>login</html>", &"0".repeat(40)).unwrap_err().contains("is not one OpenPGP key"));
        assert!(check(b"", &"0".repeat(40)).unwrap_err().contains("is not one OpenPGP key"));
    }
}
