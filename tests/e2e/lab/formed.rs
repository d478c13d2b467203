//! A formed cluster for tests that begin from one: formed once by the program under test, and then from kept disks.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{Lab, Shape, lab_command, until};

/// Kept disks of formed clusters are called so, and by what formed them.
const PREFIX: &str = "e2e-formed-";

fn kept() -> Vec<String> {
    let output = lab_command(&["save", "--list"]).output().expect("tests/lab/lab runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

impl Lab {
    /// Three control planes and two workers in a cluster that the present program formed. Its plan is empty.
    ///
    /// With `KBOOTSTRAP_TEST_KEPT=1` any program may have formed it: two minutes less for who tries a change again and again.
    pub fn formed(name: &str) -> Lab {
        let program = std::fs::read(env!("CARGO_BIN_EXE_kbootstrap")).expect("the program is there");
        let digest = Sha256::digest(program);
        let id = super::id();
        // The lab's name is the cluster's, and its folder holds the keys that the nodes know.
        let save = format!("{PREFIX}{id}-{:02x}{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2], digest[3]);
        let kept = kept();
        let any = std::env::var_os("KBOOTSTRAP_TEST_KEPT").is_some_and(|value| value == "1");
        let fits = |old: &&String| **old == save || any && old.starts_with(&format!("{PREFIX}{id}-"));
        if let Some(found) = kept.iter().find(fits) {
            let lab = Lab::up(name, Shape { restore: Some(found.clone()), ..Shape::of(3, 2) });
            lab.wait_for_empty_plan();
            return lab;
        }
        for old in kept.iter().filter(|old| old.starts_with(&format!("{PREFIX}{id}-"))) {
            let _ = lab_command(&["save", "--delete", old]).output();
        }
        let lab = Lab::up(name, Shape::of(3, 2));
        let inventory = lab.inventory().display().to_string();
        let up = lab.kbootstrap(&["up", &inventory]);
        assert!(up.ok(), "{up}");
        lab.save(&save);
        lab.wait_for_empty_plan();
        lab
    }

    /// Until the plan was empty several times in a row: what the API says of nodes and pods that were just powered on is what
    /// it saw before, until their kubelets speak.
    fn wait_for_empty_plan(&self) {
        let inventory = self.inventory().display().to_string();
        let mut empty = 0;
        until("the cluster has come up again", Duration::from_secs(180), || {
            let plan = self.kbootstrap(&["plan", &inventory, "--exit-code"]);
            empty = if plan.code == Some(0) { empty + 1 } else { 0 };
            std::thread::sleep(Duration::from_secs(2));
            empty == 6
        });
    }
}
