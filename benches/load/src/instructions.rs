//! Counts the instructions of the daemon's hot paths with callgrind, and compares them with a committed baseline.
//!
//! Counts hardly depend on what else the machine does, unlike times. Each path is repeated; its smallest count is used,
//! because timers of the daemon only add to it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::client::{HttpClient, Socket};
use crate::devices::{self, name};
use crate::prefill::COMMON;
use crate::server::{Programs, Server};

/// A path fails when it has more than this share of its baseline.
const MOST: f64 = 1.05;
/// Below this share the baseline is out of date.
const LEAST: f64 = 0.90;
const REPETITIONS: usize = 5;
const AUDIENCE: usize = 96;
const CHATS: u64 = 1;
const PATIENCE: Duration = Duration::from_secs(120);
/// No heartbeat falls into a measurement.
const SETTINGS: [(&str, &str); 3] = [
    ("socket.ping_interval_ms", "600000"),
    ("socket.ping_timeout_ms", "600000"),
    ("server.request_timeout_ms", "120000"),
];

/// How the guard runs.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The committed counts
    #[arg(long, default_value = "benches/instructions.json")]
    baseline: PathBuf,
    /// Replaces the committed counts by those of this run
    #[arg(long)]
    write: bool,
    /// Counts these paths only
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

/// A path of the daemon, and how many times a measurement takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HotPath {
    Ingest,
    Send,
    Page,
    Search,
    Step,
    Fanout,
}

/// Sockets of the fan-out remain connected, so it is last.
const PATHS: [(HotPath, &str, u64); 6] = [
    (HotPath::Ingest, "ingest", 8),
    (HotPath::Send, "send", 8),
    (HotPath::Page, "page", 4),
    (HotPath::Search, "search", 4),
    (HotPath::Step, "step", 2),
    (HotPath::Fanout, "fanout", 4),
];

/// Counts, and prints the comparison. Fails when a path has more instructions than its baseline allows.
pub async fn run(options: &Options, programs: &Programs) -> ExitCode {
    let counts = count(options, programs).await;
    if options.write {
        let text =
            serde_json::to_string_pretty(&json!({ "rustc": rustc(), "instructions": counts })).unwrap();
        fs::write(&options.baseline, format!("{text}\n")).unwrap();
        println!("wrote {}", options.baseline.display());
        return ExitCode::SUCCESS;
    }
    let text = fs::read_to_string(&options.baseline).unwrap_or_default();
    let baseline: Value = serde_json::from_str(&text).unwrap_or_default();
    if baseline.get("rustc").and_then(Value::as_str) != Some(rustc().as_str()) {
        println!("the baseline is of another compiler: {}", baseline.get("rustc").unwrap_or(&Value::Null));
    }
    let mut failed = false;
    for (path, count) in &counts {
        let before = baseline.pointer(&format!("/instructions/{path}")).and_then(Value::as_u64).unwrap_or(0);
        let share = *count as f64 / before as f64;
        let verdict = match share {
            share if share > MOST || !share.is_finite() => "FAILED: more than 5 % above the baseline",
            share if share < LEAST => "ok; update the baseline with --write",
            _ => "ok",
        };
        failed |= verdict.starts_with("FAILED");
        println!("{path:<8} {count:>12} instructions, baseline {before:>12}, {share:.3} {verdict}");
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn rustc() -> String {
    let output =
        Command::new("rustc").arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}

/// Instructions of one unit, by path.
async fn count(options: &Options, programs: &Programs) -> BTreeMap<&'static str, u64> {
    let dir = programs.directory("instructions");
    let server = programs.spawn_counted(&dir, &SETTINGS);
    server.until("/readyz").await;
    devices::create(&server, 0..1).await;
    let mut scenario = Scenario::open(&server).await;
    let mut counts = BTreeMap::new();
    for (path, name, units) in PATHS {
        if !options.only.is_empty() && !options.only.iter().any(|only| only == name) {
            continue;
        }
        scenario.prepare(path).await;
        let counter = Counter { server: &server, dir: &dir };
        let mut least = u64::MAX;
        for _ in 0..REPETITIONS {
            counter.reset();
            scenario.take(path, units).await;
            least = least.min(counter.read() / units);
        }
        eprintln!("  {name}: {least}");
        counts.insert(name, least);
    }
    counts
}

/// The counts of a process under callgrind, over valgrind's own gdb server.
struct Counter<'a> {
    server: &'a Server,
    dir: &'a Path,
}

impl Counter<'_> {
    fn reset(&self) {
        self.monitor("zero");
    }

    /// The instructions since the reset.
    fn read(&self) -> u64 {
        self.dumps().iter().for_each(|file| fs::remove_file(file).unwrap());
        self.monitor("dump");
        let totals = |file: &PathBuf| {
            let text = fs::read_to_string(file).unwrap();
            let line = text.lines().rev().find_map(|line| line.strip_prefix("totals: ").map(str::to_owned));
            line.and_then(|line| line.trim().parse::<u64>().ok()).unwrap()
        };
        let dumps = self.dumps();
        assert!(!dumps.is_empty(), "callgrind wrote no counts");
        dumps.iter().map(totals).sum()
    }

    fn dumps(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.dir).unwrap().flatten().map(|entry| entry.path());
        files
            .filter(|path| {
                path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("callgrind.out."))
            })
            .collect()
    }

    fn monitor(&self, command: &str) {
        let pid = format!("--pid={}", self.server.pid());
        let output = Command::new("vgdb").args([&pid, command]).output().unwrap();
        assert!(output.status.success(), "vgdb {command}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The fixed requests.
struct Scenario<'a> {
    server: &'a Server,
    client: HttpClient,
    watcher: Socket,
    audience: Vec<Socket>,
    next: u64,
}

impl<'a> Scenario<'a> {
    async fn open(server: &'a Server) -> Self {
        let client = server.client().await;
        let watcher = Socket::connect(&server.endpoint, &name(0)).await.unwrap();
        Self { server, client, watcher, audience: Vec::new(), next: 0 }
    }

    /// Brings data and caches into the state in which the path is measured.
    async fn prepare(&mut self, path: HotPath) {
        match path {
            HotPath::Page | HotPath::Search => {
                while self.next < 64 {
                    self.receive().await;
                }
            }
            HotPath::Fanout => {
                for _ in 0..AUDIENCE {
                    self.audience.push(Socket::connect(&self.server.endpoint, &name(0)).await.unwrap());
                }
            }
            HotPath::Ingest | HotPath::Send | HotPath::Step => {}
        }
        self.take(path, 2).await;
    }

    async fn take(&mut self, path: HotPath, units: u64) {
        for _ in 0..units {
            timeout(PATIENCE, self.unit(path)).await.expect("an answer of the daemon");
        }
    }

    async fn unit(&mut self, path: HotPath) {
        let device = format!("/api/v1/devices/{}", name(0));
        match path {
            HotPath::Ingest => self.receive().await,
            HotPath::Send => {
                self.next += 1;
                assert!(
                    devices::send(&mut self.client, &name(0), self.next, CHATS).await,
                    "the message is accepted"
                );
                self.watcher_sees("[\"message:read\"").await;
            }
            HotPath::Page => self.get(&format!("{device}/chats/15550100000@c.us/messages?limit=50")).await,
            HotPath::Search => self.get(&format!("{device}/messages/search?query={COMMON}&limit=20")).await,
            HotPath::Step => {
                for (verb, state) in [("stop", "\"state\":\"stopped\""), ("start", "\"state\":\"ready\"")] {
                    let response = self.client.post(&format!("{device}/{verb}"), &json!({})).await.unwrap();
                    response.expect_success(verb);
                    self.watcher_sees(state).await;
                }
            }
            HotPath::Fanout => {
                self.receive().await;
                for socket in &mut self.audience {
                    until(socket, "[\"chat:update\"").await;
                }
            }
        }
    }

    /// A message comes in and is at the watching socket.
    async fn receive(&mut self) {
        self.next += 1;
        devices::receive(&mut self.client, &name(0), self.next, CHATS).await;
        self.watcher_sees("[\"chat:update\"").await;
    }

    async fn get(&mut self, path: &str) {
        self.client.get(path).await.unwrap().expect_success(path);
    }

    async fn watcher_sees(&mut self, part: &str) {
        until(&mut self.watcher, part).await;
    }
}

/// Reads until a frame contains this text.
async fn until(socket: &mut Socket, part: &str) {
    loop {
        let frame = socket.frame().await.unwrap();
        if frame.windows(part.len()).any(|bytes| bytes == part.as_bytes()) {
            return;
        }
    }
}
