//! The files of a batch, and the one script that lays them down, starts the unit and follows it.

use sha2::{Digest, Sha256};

use super::{RUN_DIR, UNIT_PREFIX};
use crate::{
    model::secret::Secret,
    shell::{print_bytes, quote, wrap},
};

/// Why a batch is refused whose run has lost the node's lock.
pub const NOT_LOCKED: &str = "the run no longer holds the lock of this node";

/// A late input as a file under `$KB_IN`: a relative path and its content.
#[derive(Clone, Debug)]
pub struct LateFile {
    /// `token`, `ca.crt`, `pki/etcd/ca.key`: plain relative path, no `..`.
    pub name: String,
    pub content: Secret<Vec<u8>>,
}

/// What a batch consists of, before it is anywhere.
#[derive(Clone, Debug)]
pub struct Files {
    /// The run's id: lower-case letters, digits and dashes.
    pub run: String,
    /// The batch's number within its chain.
    pub batch: usize,
    /// Begins every frame.
    pub nonce: String,
    /// POSIX text and time limit in seconds of each op.
    pub ops: Vec<(String, u32)>,
    pub inputs: Vec<LateFile>,
}

impl Files {
    pub fn unit(&self) -> String {
        format!("{UNIT_PREFIX}{}-{}", self.run, self.batch)
    }

    fn dir(&self) -> String {
        format!("{RUN_DIR}/{}/{}", self.run, self.batch)
    }

    /// The runner: ops in order, a frame around each, ended by the first failure or the stop file.
    fn runner(&self) -> String {
        let nonce = &self.nonce;
        let dir = self.dir();
        let calls: String = self.ops.iter().enumerate().map(|(i, (_, limit))| format!("op {i} {limit}\n")).collect();
        // The batch's own lock lasts as long as the batch: descriptor 8 is inherited by nothing that outlives it
        // (ops get it closed). The run's lock must still be held by the run that sent us.
        format!(
            r#"set -u
umask 022
exec 3>>{dir}/out
frame() {{ echo "{nonce} $*" >&3; }}
op() {{
  if [ -e {RUN_DIR}/{run}/stop ]; then frame stopped "$1"; exit 0; fi
  frame start "$1"
  KB_IN={dir}/in timeout -k 10 "$2" sh -eu {dir}/"$1".sh </dev/null >{dir}/"$1".log 2>&1 3>&- 8>&-
  rc=$?
  if [ "$rc" = 0 ]; then frame done "$1" 0; return; fi
  frame done "$1" "$rc" "$(tail -n 20 {dir}/"$1".log | tail -c 4096 | base64 -w 0)"
  exit 1
}}
exec 8>>{RUN_DIR}/batch.lock
flock -n 8 || {{ frame refused another batch is at work on this node; exit 1; }}
if flock -n {RUN_DIR}/lock true || ! grep -q {run} {RUN_DIR}/lock; then
  frame refused {NOT_LOCKED}; exit 1
fi
{calls}"#,
            run = self.run,
        )
    }

    /// What systemd runs when the unit has ended, however it did: the final frame, and the inputs removed.
    fn last(&self) -> String {
        let dir = self.dir();
        format!(
            "rm -rf {dir}/in\necho \"{} end ${{SERVICE_RESULT:-}} ${{EXIT_CODE:-}} ${{EXIT_STATUS:-}}\" >> {dir}/out\n",
            self.nonce
        )
    }

    /// Every file but the inputs with its text, in the order of the digest.
    fn texts(&self) -> Vec<(String, String)> {
        let mut texts = vec![("run.sh".to_owned(), self.runner()), ("last.sh".to_owned(), self.last())];
        texts.extend(self.ops.iter().enumerate().map(|(i, (text, _))| (format!("{i}.sh"), text.clone())));
        texts
    }

    /// The script that starts the batch unless it was started before, then prints its frames from `offset` on until the
    /// final one. Sent again after a lost connection, it only follows.
    pub fn start_and_follow(&self, offset: usize) -> String {
        let dir = self.dir();
        let unit = self.unit();
        let nonce = &self.nonce;
        let texts = self.texts();
        let mut digest = Sha256::new();
        let mut lay = String::new();
        let mut names = String::new();
        for (name, text) in &texts {
            digest.update(text);
            names.push_str(&format!(" {dir}.new/{name}"));
            lay.push_str(&print_bytes(text.as_bytes(), &format!("> {dir}.new/{name}")));
        }
        for input in &self.inputs {
            let path = format!("{dir}.new/in/{}", input.name);
            if let Some((folder, _)) = path.rsplit_once('/') {
                lay.push_str(&format!("mkdir -p {}\n", quote(folder)));
            }
            lay.push_str(&print_bytes(input.content.expose(), &format!("> {}", quote(&path))));
        }
        let digest: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        // Laid down beside and renamed: a folder of that name is complete. A started batch has `out`; one that has the
        // folder but no `out` was cut off before its start and is laid anew.
        wrap(&format!(
            r#"set -eu
umask 077
if [ ! -e {dir}/out ]; then
  rm -rf {dir}.new {dir}
  mkdir -p {dir}.new/in
{lay}
  [ "$(cat{names} | sha256sum)" = "{digest}  -" ] || {{ echo "{nonce} refused the files arrived altered"; exit 0; }}
  mv {dir}.new {dir}
  : > {dir}/out
  systemd-run --quiet --collect --unit={unit} --description='kbootstrap run {run}, batch {batch}' \
    -p KillMode=control-group -p ExecStopPost='/bin/sh {dir}/last.sh' /bin/sh {dir}/run.sh >&2
fi
{follow}"#,
            run = self.run,
            batch = self.batch,
            follow = self.follow(offset),
        ))
    }

    /// The script that only follows, for a batch that is known to have been started: `gone` tells that it left no trace.
    pub fn follow_only(&self, offset: usize) -> String {
        let dir = self.dir();
        let nonce = &self.nonce;
        wrap(&format!("[ -e {dir}/out ] || {{ echo \"{nonce} gone\"; exit 0; }}\n{}", self.follow(offset)))
    }

    /// sed quits at the final frame; tail then sees its reader gone and ends too (coreutils 8.28).
    fn follow(&self, offset: usize) -> String {
        format!("tail -c +{} -f {}/out | sed -u '/^{} end /q'", offset + 1, self.dir(), self.nonce)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn files() -> Files {
        Files {
            run: "r1".into(),
            batch: 0,
            nonce: "n0nce".into(),
            ops: vec![("echo one".into(), 10), ("echo 'two' >&2; exit 3".into(), 10)],
            inputs: vec![LateFile { name: "pki/etcd/ca.key".into(), content: Secret::new(b"key".to_vec()) }],
        }
    }

    #[test]
    fn every_text_is_shell() {
        let files = files();
        let mut texts = vec![files.start_and_follow(0), files.follow_only(7)];
        texts.extend(files.texts().into_iter().map(|(_, text)| text));
        for text in texts {
            let out = Command::new("sh").args(["-n", "-c", &text]).output().expect("sh runs");
            assert!(out.status.success(), "{}\n{text}", String::from_utf8_lossy(&out.stderr));
        }
    }
}
