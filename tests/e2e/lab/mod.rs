//! Drives `tests/lab/lab` from Rust: a [`Lab`] is up as long as its value lives.
//!
//! ```ignore
//! let lab = Lab::up("form-five", Shape::default());
//! lab.ssh("cp1", "uname -r").success();
//! lab.pause("w1");
//! ```
//!
//! One lab at a time: the value holds a lock of the whole machine, so tests of one binary, or of two checkouts, take turns.
//! A panic leaves the lab's logs in `target/e2e-logs/NAME`. If the test process is killed, its lab has an owner that is
//! gone, and the next test (or `lab down --orphans`) removes it.

mod expired;
mod faults;
mod formed;
mod health;
mod key;
pub mod kills;
mod outcome;
pub mod probe;
pub mod running;
pub mod workload;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub use outcome::Outcome;

/// The only lab of the tests. [`Turn`] sees to it that nobody else has it. `KBOOTSTRAP_TEST_LAB` names another, for tests of
/// two checkouts at once on a machine that can bear it.
fn id() -> &'static str {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| std::env::var("KBOOTSTRAP_TEST_LAB").unwrap_or_else(|_| "e2e".into()))
}

/// The control planes of a lab that has three.
pub const CONTROL_PLANES: [&str; 3] = ["cp1", "cp2", "cp3"];

/// What `lab up` is asked for. The default is three control planes and two workers in one subnet, all alike.
#[derive(Clone)]
pub struct Shape {
    pub control_planes: usize,
    pub workers: usize,
    /// 1, or 2 with every second node in the other.
    pub subnets: usize,
    /// The network drops packets whose source is not the sending node's own address.
    pub strict_sources: bool,
    /// `(node or "all", variant)`; `lab up --help` lists the variants.
    pub variants: Vec<(&'static str, &'static str)>,
    /// Boots from disks that [`Lab::save`] kept. They must be of the same number of nodes.
    pub restore: Option<String>,
}

impl Default for Shape {
    fn default() -> Self {
        Shape { control_planes: 3, workers: 2, subnets: 1, strict_sources: false, variants: Vec::new(), restore: None }
    }
}

impl Shape {
    pub fn of(control_planes: usize, workers: usize) -> Self {
        Shape { control_planes, workers, ..Shape::default() }
    }

    fn arguments(&self) -> Vec<String> {
        let mut all = vec![format!("--control-planes={}", self.control_planes), format!("--workers={}", self.workers)];
        all.push(format!("--subnets={}", self.subnets));
        if self.strict_sources {
            all.push("--strict-sources".into());
        }
        all.extend(self.variants.iter().map(|(node, variant)| format!("--variant={node}={variant}")));
        all.extend(self.restore.iter().map(|name| format!("--restore={name}")));
        all
    }
}

/// A running lab. Dropping it takes it down.
pub struct Lab {
    name: String,
    started: Instant,
    // Last, so that the lab is down before the next test's turn.
    _turn: Turn,
}

impl Lab {
    /// Boots nodes and waits until all answer on ssh. `name` is the test's, for its logs.
    pub fn up(name: &str, shape: Shape) -> Lab {
        let turn = Turn::wait();
        let started = Instant::now();
        let mut arguments =
            vec!["up".to_string(), "--id".into(), id().into(), format!("--owner={}", std::process::id())];
        arguments.extend(shape.arguments());
        lab_command(&["down", "--orphans"]).output().expect("tests/lab/lab cannot be started");
        Outcome::of(lab_command(&arguments)).success();
        eprintln!(
            "{name}: {} nodes after {:.1} s",
            shape.control_planes + shape.workers,
            started.elapsed().as_secs_f32()
        );
        Lab { name: name.to_string(), started, _turn: turn }
    }

    /// The lab's state folder: `inventory.toml`, `id_ed25519`, `known_hosts`, `ssh_config`.
    pub fn folder(&self) -> PathBuf {
        state_root().join(id())
    }

    /// Where the program under test keeps its journals: the operator's disk.
    pub fn state_home(&self) -> PathBuf {
        self.folder().join("operator")
    }

    /// The cluster's name in the lab's inventory.
    pub fn cluster(&self) -> &'static str {
        id()
    }

    pub fn inventory(&self) -> PathBuf {
        self.folder().join("inventory.toml")
    }

    /// A subcommand of `tests/lab/lab` on this lab.
    pub fn lab(&self, subcommand: &str, arguments: &[&str]) -> Outcome {
        let mut command = lab_command(&[subcommand, "--id", id()]);
        command.args(arguments);
        Outcome::of(command)
    }

    /// A program on the lab's network, to be given arguments and started by the caller. Its process is the program's own:
    /// killing the child kills the program.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = lab_command(&["run", "--id", id(), "--"]);
        command.arg(program.as_ref());
        command
    }

    /// Runs a program on the lab's network to its end.
    pub fn run(&self, program: impl AsRef<Path>, arguments: &[&str]) -> Outcome {
        let mut command = self.command(program);
        command.args(arguments);
        Outcome::of(command)
    }

    /// The program under test, to its end.
    pub fn kbootstrap(&self, arguments: &[&str]) -> Outcome {
        let mut command = self.command(env!("CARGO_BIN_EXE_kbootstrap"));
        command.args(arguments).env("XDG_STATE_HOME", self.state_home());
        Outcome::of(command)
    }

    /// A shell command on a node, as its login user. Standard input is empty.
    pub fn ssh(&self, node: &str, command: &str) -> Outcome {
        self.lab("ssh", &[node, command])
    }

    /// What a node has written to its disk, one line per file. Equal lists: nothing was written in between.
    pub fn disk(&self, node: &str) -> String {
        self.lab("disk", &[node]).success()
    }

    /// `kubectl` on a node that has an admin's configuration.
    pub fn kubectl(&self, node: &str, arguments: &str) -> Outcome {
        self.ssh(node, &format!("sudo kubectl --kubeconfig /etc/kubernetes/admin.conf {arguments}"))
    }

    /// The ssh client with the lab's configuration, for what [`Lab::ssh`] has no option for.
    pub fn ssh_client(&self) -> Command {
        let mut command = self.command("ssh");
        command.arg("-F").arg(self.folder().join("ssh_config"));
        command
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/e2e-logs").join(&self.name);
            let _ = std::fs::remove_dir_all(&folder);
            let _ = lab_command(&["logs", "--id", id()]).arg(&folder).output();
            eprintln!("{}: logs of the lab are in {}", self.name, folder.display());
            if std::env::var_os("KBOOTSTRAP_TEST_KEEP").is_some() {
                eprintln!("{}: lab `{}` is left up, as KBOOTSTRAP_TEST_KEEP asks", self.name, id());
                return;
            }
        }
        let down = Outcome::of(lab_command(&["down", "--id", id()]));
        eprintln!("{}: {:.0} s in all", self.name, self.started.elapsed().as_secs_f32());
        // A second panic would abort the process and hide the first.
        if !std::thread::panicking() {
            down.success();
        }
    }
}

/// The right to have labs. Tests that use the entry point without a [`Lab`] take it, too.
pub struct Turn(#[expect(dead_code, reason = "held, not read")] File);

impl Turn {
    /// Waits until no other test has it. Ends with the process that holds it.
    pub fn wait() -> Turn {
        let path = format!("/run/lock/kbootstrap-{}", id());
        let file = File::create(&path).unwrap_or_else(|error| panic!("{path}: {error} (end-to-end tests need root)"));
        file.lock().unwrap_or_else(|error| panic!("cannot lock {path}: {error}"));
        Turn(file)
    }
}

/// `tests/lab/lab ARGUMENTS…`
pub fn lab_command(arguments: &[impl AsRef<std::ffi::OsStr>]) -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/lab"));
    command.args(arguments);
    command
}

pub fn state_root() -> PathBuf {
    std::env::var_os("KBOOTSTRAP_LAB_STATE").map_or_else(|| PathBuf::from("/var/lib/kbootstrap-lab"), PathBuf::from)
}

/// A file of an asset, such as `("kubernetes-1.30.14", "kubectl")`; the newest where several recipes have built it.
pub fn asset(name: &str, file: &str) -> PathBuf {
    let caches = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = caches.or_else(|| Some(std::env::home_dir()?.join(".cache"))).expect("a home").join("kbootstrap-lab");
    let built = std::fs::read_dir(&cache).unwrap_or_else(|error| panic!("{}: {error}", cache.display()));
    let found = built
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|own| own.to_string_lossy().starts_with(&format!("{name}-"))))
        .map(|path| path.join(file))
        .filter(|path| path.exists())
        .max_by_key(|path| path.metadata().and_then(|data| data.modified()).ok());
    found.unwrap_or_else(|| panic!("no {name}-*/{file} in {}", cache.display()))
}

/// Asks again, five times a second, until the answer is yes.
///
/// # Panics
/// After `limit`, saying `what` was waited for.
pub fn until(what: &str, limit: Duration, mut answer: impl FnMut() -> bool) {
    let start = Instant::now();
    while !answer() {
        assert!(start.elapsed() < limit, "not after {} s: {what}", limit.as_secs());
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// More seeds and moments than a run for every change has time for.
pub fn long() -> bool {
    std::env::var_os("KBOOTSTRAP_TEST_LONG").is_some_and(|value| value == "1")
}

/// The seed of this run, said so that a failure can be had again.
pub fn seed() -> u64 {
    let given = std::env::var("KBOOTSTRAP_TEST_SEED").ok().map(|text| text.parse().expect("a seed is a number"));
    let seed = given.unwrap_or_else(rand::random::<u64>);
    eprintln!("KBOOTSTRAP_TEST_SEED={seed}");
    seed
}
