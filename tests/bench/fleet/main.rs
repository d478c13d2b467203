//! A fleet of simulated machines in one process, each on a loopback address of its own, answering over SSH as one real
//! machine did.
//!
//! `fleet COUNT FOLDER KIND=NAME,IP,MACHINE_ID,MAC,COMMAND…`: the first script that a machine of a kind (`cp`, `w`) is sent
//! is fed to COMMAND (an ssh to a real machine of that kind); its answer is what every machine of the kind gives from then on,
//! with name, address, machine-id and MAC exchanged for its own. FOLDER holds `host_key` and
//! gets `inventory.toml` and `known_hosts`; then it prints `ready` and serves until standard input ends.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::{Engine, prelude::BASE64_STANDARD};
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::OnceCell;

const PORT: u16 = 2200;

/// A real machine that all of a kind are like.
struct Model {
    name: String,
    ip: String,
    machine_id: String,
    mac: String,
    command: String,
    /// The decoded answer, with the nonce of the script that it answered.
    answer: OnceCell<(String, Vec<u8>)>,
}

struct Machine {
    name: String,
    ip: String,
    machine_id: String,
    mac: String,
    model: Arc<Model>,
}

/// Connections open now, and the most that ever were.
static OPEN: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

struct Serving {
    machine: Arc<Machine>,
    scripts: BTreeMap<ChannelId, (String, Vec<u8>)>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Handler for Serving {
    type Error = russh::Error;

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn auth_publickey(&mut self, _user: &str, _key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        // The line by which the transport knows that its script has started.
        let command = String::from_utf8_lossy(command).into_owned();
        let mark = command.split("echo ").nth(1).and_then(|rest| rest.split(';').next()).unwrap_or_default().to_owned();
        session.channel_success(channel)?;
        session.data(channel, format!("{mark}\n"))?;
        session.extended_data(channel, 1, format!("{mark}\n"))?;
        self.scripts.insert(channel, (mark, Vec::new()));
        Ok(())
    }

    async fn data(&mut self, channel: ChannelId, data: &[u8], _session: &mut Session) -> Result<(), Self::Error> {
        if let Some((_, script)) = self.scripts.get_mut(&channel) {
            script.extend_from_slice(data);
        }
        Ok(())
    }

    async fn channel_eof(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        let Some((_, script)) = self.scripts.remove(&channel) else { return Ok(()) };
        let (machine, handle) = (Arc::clone(&self.machine), session.handle());
        tokio::spawn(async move {
            let answer = machine.answer(&script).await;
            let _ = handle.data(channel, answer).await;
            let _ = handle.exit_status_request(channel, 0).await;
            let _ = handle.eof(channel).await;
            let _ = handle.close(channel).await;
        });
        Ok(())
    }
}

impl Machine {
    async fn answer(&self, script: &[u8]) -> Vec<u8> {
        let nonce = nonce(script);
        let (recorded, answer) = self.model.answer.get_or_init(|| self.model.record(script)).await;
        let own = [
            (recorded.as_str(), nonce.as_str()),
            (&self.model.machine_id, &self.machine_id),
            (&self.model.mac, &self.mac),
            (&self.model.ip, &self.ip),
            (&self.model.name, &self.name),
        ];
        let mut answer = answer.clone();
        for (from, to) in own {
            answer = replaced(&answer, from.as_bytes(), to.as_bytes());
        }
        format!("\n{nonce} observed 0 {}\n", BASE64_STANDARD.encode(answer)).into_bytes()
    }
}

impl Model {
    /// Asks the real machine.
    async fn record(&self, script: &[u8]) -> (String, Vec<u8>) {
        let mut child = tokio::process::Command::new("sh")
            .args(["-c", &self.command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the command to the real machine starts");
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(script).await.expect("the real machine takes the script");
        drop(stdin);
        let output = child.wait_with_output().await.expect("the real machine answers");
        let nonce = nonce(script);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let frame = text.lines().find_map(|line| line.strip_prefix(&format!("{nonce} observed 0 ")));
        let frame = frame.unwrap_or_else(|| panic!("the real machine gave no answer: {text}"));
        (nonce, BASE64_STANDARD.decode(frame.trim()).expect("base64"))
    }
}

/// The nonce of an observing script: the word after its frame's name.
fn nonce(script: &[u8]) -> String {
    let text = String::from_utf8_lossy(script);
    let after = text.split("observed 0 ' ").nth(1).expect("a script that observes");
    after.split_whitespace().next().expect("a nonce").to_owned()
}

fn replaced(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let count: usize = arguments.next().and_then(|text| text.parse().ok()).expect("how many machines");
    let folder = arguments.next().expect("a folder to write to");
    let models: BTreeMap<String, Arc<Model>> = arguments.map(|text| model(&text)).collect();
    let key = russh::keys::load_secret_key(Path::new(&folder).join("host_key"), None).expect("a host key");
    let public = key.public_key().to_openssh().expect("a public key");
    let config = Arc::new(Config { keys: vec![key], nodelay: true, ..Config::default() });
    let mut inventory = String::from(
        "[cluster]\nname = \"fleet\"\nkubernetes = \"1.30.14\"\npod-cidr = \"10.128.0.0/12\"\n[ssh]\nuser = \"root\"\nport = 2200\n\
         key = \"id\"\nknown-hosts = \"known_hosts\"\n",
    );
    let mut known_hosts = String::new();
    for index in 0..count {
        let kind = if index < 3 { "cp" } else { "w" };
        let address = IpAddr::from(Ipv4Addr::new(127, 1, (index / 250) as u8, (index % 250 + 1) as u8));
        let machine = Arc::new(Machine {
            name: format!("{kind}-{index:04}"),
            ip: format!("10.60.{}.{}", index / 250, index % 250 + 1),
            machine_id: format!("{:032x}", 0xfee7_0000_u64 + index as u64),
            mac: format!("02:00:00:00:{:02x}:{:02x}", index / 256, index % 256),
            model: Arc::clone(&models[kind]),
        });
        let role = if kind == "cp" { "control-plane" } else { "worker" };
        writeln!(
            inventory,
            "[[node]]\nname = \"{}\"\naddress = \"{address}\"\nnode-ip = \"{}\"\nrole = \"{role}\"",
            machine.name, machine.ip
        )
        .expect("a String takes all");
        writeln!(known_hosts, "[{address}]:{PORT} {public}").expect("a String takes all");
        let listener = TcpListener::bind((address, PORT)).await.expect("a loopback address");
        tokio::spawn(serve(listener, Arc::clone(&config), machine));
    }
    let folder = Path::new(&folder);
    std::fs::write(folder.join("inventory.toml"), inventory).expect("written");
    std::fs::write(folder.join("known_hosts"), known_hosts).expect("written");
    println!("ready");
    let _ = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await;
    println!("at most {} connections at once", MOST.load(Ordering::SeqCst));
}

async fn serve(listener: TcpListener, config: Arc<Config>, machine: Arc<Machine>) {
    while let Ok((stream, _)) = listener.accept().await {
        let open = OPEN.fetch_add(1, Ordering::SeqCst) + 1;
        MOST.fetch_max(open, Ordering::SeqCst);
        let handler = Serving { machine: Arc::clone(&machine), scripts: BTreeMap::new() };
        let config = Arc::clone(&config);
        tokio::spawn(async move {
            if let Ok(session) = russh::server::run_stream(config, stream, handler).await {
                let _ = session.await;
            }
        });
    }
}

/// `KIND=NAME,IP,MACHINE_ID,MAC,COMMAND`
fn model(text: &str) -> (String, Arc<Model>) {
    let (kind, rest) = text.split_once('=').expect("KIND=…");
    let mut words = rest.splitn(5, ',').map(str::to_owned);
    let mut word = || words.next().expect("NAME,IP,MACHINE_ID,MAC,COMMAND");
    let model =
        Model { name: word(), ip: word(), machine_id: word(), mac: word(), command: word(), answer: OnceCell::new() };
    (kind.to_owned(), Arc::new(model))
}
