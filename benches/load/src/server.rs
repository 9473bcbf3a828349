//! The measured servers as child processes, pinned to a processor of their own.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use bench_load::kernel::Process;
use tokio::time::{Instant, sleep, timeout};

use crate::client::{Endpoint, HttpClient};

/// The processor of servers; the load has the other.
pub const SERVER_CORE: usize = 0;
/// The processor of the load.
pub const LOAD_CORE: usize = 1;
const KEY: &str = "benchbenchbenchbenchbenchbenchbenchbench";
const READY_WITHIN: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(2);
/// Below the system's range of client ports.
const PORTS: Range<u16> = 20_000..30_000;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, clap::ValueEnum)]
pub enum Target {
    /// The daemon
    Wharf,
    /// The same service in Node
    Node,
    /// One chat room in Node
    NodeRoom,
    /// Bare socketioxide
    Socketio,
    /// A loop over bare WebSockets
    Websocket,
}

impl Target {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wharf => "Wharf",
            Self::Node => "Node",
            Self::NodeRoom => "Node room",
            Self::Socketio => "bare socketioxide",
            Self::Websocket => "bare WebSocket",
        }
    }
}

/// Where the programs are.
#[derive(Debug, Clone, clap::Args)]
pub struct Programs {
    /// The daemon
    #[arg(long, default_value = "target/release/wharf", global = true)]
    pub wharf: PathBuf,
    /// The floors
    #[arg(long, default_value = "target/release/bench-floor", global = true)]
    pub floor: PathBuf,
    /// The directory of the Node peer, with its dependencies
    #[arg(long, default_value = "benches/peers/node", global = true)]
    pub peer: PathBuf,
    /// The directory of the servers' data, on a disk and not in memory
    #[arg(long, default_value = "target/bench", global = true)]
    pub scratch: PathBuf,
}

impl Programs {
    /// The Node of the peer.
    pub fn node(&self) -> PathBuf {
        self.peer.join("node_modules/.bin/node")
    }

    /// An empty directory.
    pub fn directory(&self, name: &str) -> PathBuf {
        let dir = self.scratch.join(name);
        if dir.exists() {
            fs::remove_dir_all(&dir).unwrap();
        }
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    /// Starts a server on this directory, and waits until it answers.
    pub async fn start(&self, target: Target, dir: &Path) -> Server {
        self.start_with(target, dir, &[]).await
    }

    /// The same with more settings of the daemon, as `section.key`.
    pub async fn start_with(&self, target: Target, dir: &Path, settings: &[(&str, &str)]) -> Server {
        let server = self.spawn(target, dir, settings);
        server.until("/healthz").await;
        server
    }

    /// Starts the daemon under callgrind, which counts its instructions, without waiting.
    pub fn spawn_counted(&self, dir: &Path, settings: &[(&str, &str)]) -> Server {
        let mut command = pinned(SERVER_CORE, Path::new("valgrind"));
        let counts = fs::canonicalize(dir).unwrap().join("callgrind.out");
        command
            .args(["--tool=callgrind", "--quiet"])
            .arg(format!("--callgrind-out-file={}", counts.display()));
        command.arg(&self.wharf);
        self.spawn_command(command, Target::Wharf, dir, settings)
    }

    /// Starts a server without waiting.
    pub fn spawn(&self, target: Target, dir: &Path, settings: &[(&str, &str)]) -> Server {
        self.spawn_command(pinned(SERVER_CORE, &self.program(target)), target, dir, settings)
    }

    fn spawn_command(
        &self,
        mut command: Command,
        target: Target,
        dir: &Path,
        settings: &[(&str, &str)],
    ) -> Server {
        let address: SocketAddr = format!("127.0.0.1:{}", free_port()).parse().unwrap();
        let data = dir.join("data");
        let listen = address.to_string();
        match target {
            Target::Wharf => {
                let devices = dir.join("devices");
                fs::create_dir_all(&devices).unwrap();
                command
                    .args(["serve", "--listen", &listen])
                    .arg("--data-dir")
                    .arg(&data)
                    .arg("--devices-dir")
                    .arg(devices);
                let all = DAEMON_SETTINGS.iter().chain(settings);
                command.envs(all.map(|(key, value)| {
                    (format!("WHARF__{}", key.to_uppercase().replace('.', "__")), *value)
                }));
            }
            Target::Node | Target::NodeRoom => {
                let script = if target == Target::Node { "server.js" } else { "room.js" };
                command.arg(self.peer.join(script)).args(["--listen", &listen]).arg("--data-dir").arg(&data);
            }
            Target::Socketio => drop(command.args(["socketio", "--listen", &listen])),
            Target::Websocket => drop(command.args(["websocket", "--listen", &listen])),
        }
        command.env("WHARF_API_KEY", KEY).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::options().create(true).append(true).open(dir.join("server.log")).unwrap());
        let child =
            command.spawn().unwrap_or_else(|error| panic!("{}: {error}", self.program(target).display()));
        let process = Process::of(child.id());
        Server {
            child,
            process,
            endpoint: Endpoint { address, key: KEY.to_owned() },
            data,
            spawned: Instant::now(),
        }
    }

    fn program(&self, target: Target) -> PathBuf {
        match target {
            Target::Wharf => self.wharf.clone(),
            Target::Node | Target::NodeRoom => self.node(),
            Target::Socketio | Target::Websocket => self.floor.clone(),
        }
    }
}

/// Neither limits nor notification rules are measured: the peer has none.
const DAEMON_SETTINGS: [(&str, &str); 5] = [
    ("log.level", "warn"),
    ("engines.simulator.enabled", "true"),
    ("notify.enabled", "false"),
    ("outbox.max_queued", "100000000"),
    ("devices.max", "100000"),
];

/// A command that runs on one processor, if there are two.
pub fn pinned(core: usize, program: &Path) -> Command {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    if processors < 2 && core != SERVER_CORE {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(program);
    command
}

/// A port that nothing listens on. Another load generator begins its search elsewhere.
fn free_port() -> u16 {
    static USED: AtomicU16 = AtomicU16::new(0);
    let ports = PORTS.end - PORTS.start;
    let first = u16::try_from(std::process::id() % u32::from(ports)).unwrap();
    for _ in 0..1_000 {
        let at = (first + USED.fetch_add(1, Ordering::Relaxed)) % ports;
        if TcpListener::bind(("127.0.0.1", PORTS.start + at)).is_ok() {
            return PORTS.start + at;
        }
    }
    panic!("no free port");
}

/// A running server; dropping it kills the process.
pub struct Server {
    child: Child,
    pub process: Process,
    pub endpoint: Endpoint,
    pub data: PathBuf,
    pub spawned: Instant,
}

impl Server {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub async fn client(&self) -> HttpClient {
        HttpClient::connect(&self.endpoint).await.unwrap()
    }

    /// Waits until a path answers 200, and returns how long that took since the start of the process.
    pub async fn until(&self, path: &str) -> Duration {
        let log = self.data.with_file_name("server.log");
        let answers = async {
            loop {
                if let Ok(mut client) = HttpClient::connect(&self.endpoint).await
                    && client.get(path).await.is_ok_and(|response| response.status == 200)
                {
                    return self.spawned.elapsed();
                }
                assert!(self.process.runs(), "the server ended; see {}", log.display());
                sleep(POLL).await;
            }
        };
        timeout(READY_WITHIN, answers)
            .await
            .unwrap_or_else(|_| panic!("no answer of {path}; see {}", log.display()))
    }

    /// Ends it with SIGTERM, so that the database is closed.
    pub async fn stop(mut self) {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        for _ in 0..5_000 {
            if self.child.try_wait().unwrap().is_some() {
                return;
            }
            sleep(POLL).await;
        }
        panic!("the server did not end");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
