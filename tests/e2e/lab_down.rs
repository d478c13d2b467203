//! `lab down` leaves nothing, whatever became of the `lab up` before it.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::lab::{Lab, Outcome, Shape, Turn, lab_command, long, state_root, until};

/// Everything on this machine that carries a lab's id.
fn leftovers(id: &str) -> Vec<String> {
    let name = format!("kblab-{id}");
    let state = state_root().join(id);
    let inside = format!("{}/", state.display());
    let mut found = Vec::new();
    let mut note = |what: &str, thing: &Path| found.push(format!("{what} {}", thing.display()));
    let entries = |folder: &str| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let read = |path: &Path| {
        fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " ")).unwrap_or_default()
    };

    if state.exists() {
        note("folder", &state);
    }
    for hierarchy in entries("/sys/fs/cgroup").filter(|path| path.join(&name).exists()) {
        note("cgroup", &hierarchy.join(&name));
    }
    for netns in
        entries("/run/netns").filter(|path| read_name(path) == name || read_name(path).starts_with(&format!("{name}-")))
    {
        note("network namespace", &netns);
    }
    for device in entries("/sys/block").filter(|path| read(&path.join("loop/backing_file")).starts_with(&inside)) {
        note("loop device", &device);
    }
    for link in entries("/sys/class/net").filter(|path| read_name(path).starts_with(&format!("{id}-"))) {
        note("link", &link);
    }
    // What has ended and was only not yet reaped by the machine's first process is not the lab's.
    let lives = |path: &Path| !read(&path.join("stat")).contains(") Z ");
    for process in entries("/proc").filter(|path| read_name(path).parse::<u32>().is_ok() && lives(path)) {
        if read(&process.join("cgroup")).contains(&format!("/{name}/"))
            || read(&process.join("cmdline")).contains(&format!("{name} "))
        {
            note(&format!("process {}", read(&process.join("cmdline"))), &process);
        }
    }
    if read(Path::new("/proc/mounts")).lines().any(|line| line.contains(&format!("/{name} ")) || line.contains(&inside))
    {
        note("mount of", &state);
    }
    found
}

fn read_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn down(id: &str) {
    Outcome::of(lab_command(&["down", "--id", id])).success();
    assert_eq!(leftovers(id), Vec::<String>::new());
}

#[test]
fn down_leaves_nothing_of_a_lab_in_any_state() {
    let lab = Lab::up("down_leaves_nothing_of_a_lab_in_any_state", Shape::of(2, 2));
    assert!(leftovers("e2e").len() > 10, "this test would not find anything");
    lab.pause("cp1");
    lab.cut("cp2");
    lab.kill("w1");
    lab.fill("w2");
    let mut running = lab.command("sleep").arg("1000").spawn().expect("lab run starts");
    until("`lab run` is in the lab's cgroup", Duration::from_secs(5), || {
        leftovers("e2e").iter().any(|thing| thing.contains("sleep 1000"))
    });
    down("e2e");
    assert!(!running.wait().expect("it has ended").success(), "`lab run` outlived its lab");
    // The second time, by the guard: that there is nothing is no error.
}

#[test]
fn an_interrupted_up_is_removed_whenever_it_was_killed() {
    let _turn = Turn::wait();
    let id = "e2ekilled";
    let moments: &[u64] =
        if long() { &[50, 100, 200, 400, 700, 1000, 1500, 2000, 2500, 3000] } else { &[100, 500, 1800] };
    for moment in moments {
        let mut up = lab_command(&["up", "--id", id, "--control-planes", "1", "--workers", "1"])
            .stderr(Stdio::null())
            .spawn()
            .expect("lab up starts");
        std::thread::sleep(Duration::from_millis(*moment));
        if up.try_wait().expect("its state can be read").is_some() {
            // A fast machine was done by then: it is a whole lab that nobody owns, and no orphan.
            down(id);
            break;
        }
        up.kill().expect("it can be killed");
        up.wait().expect("it has ended");
        // Its owner is gone, so it goes with the orphans; and then there is nothing to do.
        Outcome::of(lab_command(&["down", "--orphans"])).success();
        assert_eq!(leftovers(id), Vec::<String>::new(), "after {moment} ms, by --orphans");
        down(id);
    }
    // What a killed `up` left is also removed by the next one.
    let mut up = lab_command(&["up", "--id", id, "--control-planes", "1", "--workers", "0"])
        .stderr(Stdio::null())
        .spawn()
        .expect("lab up starts");
    std::thread::sleep(Duration::from_millis(900));
    up.kill().expect("it can be killed");
    up.wait().expect("it has ended");
    Outcome::of(lab_command(&["up", "--id", id, "--control-planes", "1", "--workers", "0"])).success();
    Outcome::of(lab_command(&["ssh", "--id", id, "cp1", "true"])).success();
    down(id);
}

#[test]
fn only_labs_whose_owner_is_gone_are_orphans() {
    let lab = Lab::up("only_labs_whose_owner_is_gone_are_orphans", Shape::of(1, 0));
    let id = "e2eorphan";
    let mut owner = std::process::Command::new("sleep").arg("1000").spawn().expect("sleep starts");
    let pid = owner.id().to_string();
    let up = ["up", "--id", id, "--control-planes", "1", "--workers", "0", "--owner", &pid];
    Outcome::of(lab_command(&up)).success();
    let labs = || Outcome::of(lab_command(&["ls", "--output", "json"])).success();
    let orphans = |labs: String| {
        let labs: serde_json::Value = serde_json::from_str(&labs).expect("`lab ls --output json` is JSON");
        labs.as_array()
            .expect("a list")
            .iter()
            .filter(|lab| lab["orphan"] == true)
            .map(|lab| lab["id"].to_string())
            .collect::<Vec<_>>()
    };
    assert!(orphans(labs()).is_empty());
    Outcome::of(lab_command(&["down", "--orphans"])).success();
    // Two labs, side by side, with the same addresses.
    Outcome::of(lab_command(&["ssh", "--id", id, "cp1", "echo only here | sudo tee /etc/mark"])).success();
    assert!(!lab.ssh("cp1", "ls /etc/mark").ok(), "two labs share a node");

    owner.kill().expect("it can be killed");
    owner.wait().expect("it has ended");
    assert_eq!(orphans(labs()), [format!("{id:?}")]);
    Outcome::of(lab_command(&["down", "--orphans"])).success();
    assert_eq!(leftovers(id), Vec::<String>::new());
    lab.ssh("cp1", "true").success();
}
