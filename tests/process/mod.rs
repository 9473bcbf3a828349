//! The real daemon as a child process, for tests and benches that start, measure and kill it.
//!
//! - [`DaemonHome`] is the state that outlives a process: data directory, key, settings and log.
//! - [`Daemon`] is one process on it; dropping it kills the process.
//! - [`Http`] is a client of it, [`SeededRng`] repeatable randomness.

mod http;
mod random;
#[cfg(test)]
pub mod secrets;

use std::fs::{File, OpenOptions};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

#[allow(unused_imports, reason = "not used by every test binary")]
pub use http::{Answer, Http, server_errors};
pub use random::SeededRng;

/// Longest start before the test fails.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Attempts to start if the chosen port is taken meanwhile.
const STARTS: usize = 5;
/// `USER_HZ`, which Linux keeps at 100 everywhere.
const TICKS_PER_SECOND: f64 = 100.0;
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// Standard error of the daemons in a home.
const LOG: &str = "daemon.log";

/// Searches the log for private data when dropped.
#[cfg(test)]
struct LogGuard(PathBuf);

#[cfg(test)]
impl Drop for LogGuard {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            secrets::assert_none_in(&String::from_utf8_lossy(&std::fs::read(&self.0).unwrap_or_default()));
        }
    }
}

/// A data directory with the settings of its daemons.
///
/// When it is dropped, its log is searched for private data.
pub struct DaemonHome {
    #[cfg(test)]
    _log_guard: LogGuard,
    dir: tempfile::TempDir,
    key: String,
    /// The environment of the daemons.
    environment: Vec<(String, String)>,
    open_files: Option<(u64, Option<u64>)>,
    user: Option<u32>,
    keep_alive: Option<Box<dyn std::any::Any + Send + Sync>>,
}

impl DaemonHome {
    /// Creates an empty home on the build's disk; a temporary directory may be in memory.
    pub fn new() -> Self {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        std::fs::create_dir(dir.path().join("devices")).unwrap();
        // A hard link keeps the same build for the whole test, even if it is rebuilt meanwhile.
        std::fs::hard_link(env!("CARGO_BIN_EXE_wharf"), dir.path().join("wharf")).unwrap();
        let key = format!("{:032x}{:032x}", SeededRng::random_seed(), SeededRng::random_seed());
        #[cfg(test)]
        secrets::record(&key);
        Self {
            #[cfg(test)]
            _log_guard: LogGuard(dir.path().join(LOG)),
            dir,
            key,
            environment: Vec::new(),
            open_files: None,
            user: None,
            keep_alive: None,
        }
    }

    /// Sets `section.key` for daemons that are started later.
    #[must_use]
    pub fn with(self, key: &str, value: &str) -> Self {
        self.with_environment(&format!("WHARF__{}", key.to_uppercase().replace('.', "__")), value)
    }

    /// Sets a variable of the environment for daemons that are started later.
    #[must_use]
    pub fn with_environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Limits the open files of daemons that are started later: the soft limit, and the hard one.
    #[must_use]
    pub fn with_open_files(mut self, soft: u64, hard: Option<u64>) -> Self {
        self.open_files = Some((soft, hard));
        self
    }

    /// Runs daemons that are started later as this user, who then owns the home. Requires root.
    #[must_use]
    pub fn with_user(mut self, user: u32) -> Self {
        for path in [self.dir.path().to_owned(), self.dir.path().join("devices")] {
            std::os::unix::fs::chown(path, Some(user), Some(user)).unwrap();
        }
        self.user = Some(user);
        self
    }

    /// The program with the limit of open files. The shell replaces itself, so that its pid is the daemon's.
    fn command(&self) -> Command {
        let program = self.dir.path().join("wharf");
        let Some((soft, hard)) = self.open_files else { return Command::new(program) };
        let hard = hard.map_or_else(String::new, |hard| format!("ulimit -Hn {hard} && "));
        let script = format!("ulimit -Sn {soft} && {hard}exec \"$0\" \"$@\"");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &script]).arg(program);
        command
    }

    /// Keeps a value that daemons need, such as a network, alive as long as this home.
    #[must_use]
    pub fn keep_alive(mut self, other: impl std::any::Any + Send + Sync) -> Self {
        self.keep_alive = Some(Box::new(other));
        self
    }

    /// The data directory of the daemon.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        wharf::store::database_file(&self.data())
    }

    /// The standard error of all daemons so far.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.log_file()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn log_file(&self) -> PathBuf {
        self.dir.path().join(LOG)
    }

    /// Starts a daemon and waits until it answers.
    pub async fn start(&self) -> Daemon {
        for _ in 0..STARTS {
            let mut daemon = self.spawn();
            match daemon.ready().await {
                Ok(()) => return daemon,
                Err(NotReady::Ended(_)) if tail(&self.log()).contains("cannot listen") => {}
                Err(problem) => panic!("the daemon did not start: {problem:?}\n{}", tail(&self.log())),
            }
        }
        panic!("no free port was found")
    }

    /// Starts a daemon without waiting.
    pub fn spawn(&self) -> Daemon {
        let log = OpenOptions::new().create(true).append(true).open(self.log_file()).unwrap();
        self.spawn_with_log(log)
    }

    fn spawn_with_log(&self, log: File) -> Daemon {
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = self.command();
        command
            .env_clear()
            .env("WHARF_API_KEY", &self.key)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .arg("serve")
            .args(["--listen", &address])
            .arg("--data-dir")
            .arg(self.data())
            .arg("--devices-dir")
            .arg(self.dir.path().join("devices"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        let child = command.spawn().unwrap();
        let http = Http::new(&format!("http://{address}"), &self.key);
        Daemon { child, http, started: Instant::now() }
    }
}

/// A free port below the system's range of client ports. In that range a client that connects while the
/// daemon is dead could be given the daemon's own port, connect to itself, and wait forever.
fn free_port() -> u16 {
    let start = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    let mut candidates = (start..32_000).chain(20_000..start);
    let free = candidates.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.expect("a free port below 32000")
}

/// The last lines of a log, for the message of a failed test.
pub fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().rev().take(20).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// Why a daemon does not answer.
#[derive(Debug)]
pub enum NotReady {
    /// The process ended.
    Ended(ExitStatus),
    /// The process runs but does not answer.
    Silent,
}

/// A running daemon.
pub struct Daemon {
    child: Child,
    /// A client of it.
    pub http: Http,
    started: Instant,
}

impl Daemon {
    /// Waits until `/healthz` answers 200.
    pub async fn ready(&mut self) -> Result<(), NotReady> {
        while self.started.elapsed() < READY_WITHIN {
            if self.http.is_healthy().await {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                return Err(NotReady::Ended(status));
            }
            sleep(POLL_INTERVAL).await;
        }
        Err(NotReady::Silent)
    }

    /// Time since the process was started.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Kills it with SIGKILL and waits for its end.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until the process ends; `None` after this time.
    pub async fn ended(&mut self, within: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            if Instant::now() >= until {
                return None;
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Ends it with SIGTERM and asserts exit code 0 within ten seconds.
    pub async fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.ended(Duration::from_secs(10)).await;
        assert_eq!(
            status.and_then(|status| status.code()),
            Some(0),
            "SIGTERM must end the daemon with code 0"
        );
    }

    /// The soft and the hard limit of open files.
    pub fn open_files(&self) -> (String, String) {
        self.limit("Max open files")
    }

    /// The soft and the hard value of a limit, by its name in `/proc/<pid>/limits`.
    pub fn limit(&self, name: &str) -> (String, String) {
        let limits = std::fs::read_to_string(self.proc().join("limits")).unwrap();
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        let line = line.trim_start_matches(|c: char| c.is_alphabetic() || c.is_whitespace());
        let mut fields = line.split_whitespace().map(str::to_owned);
        (fields.next().unwrap(), fields.next().unwrap())
    }

    /// Resident memory, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(self.proc().join("status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }

    /// Processor time used so far, in seconds.
    pub fn cpu_seconds(&self) -> f64 {
        cpu_seconds(&self.proc().join("stat"))
    }

    /// Its directory below `/proc`.
    pub fn proc(&self) -> PathBuf {
        Path::new("/proc").join(self.child.id().to_string())
    }
}

/// Processor time that this process used so far, in seconds.
pub fn own_cpu_seconds() -> f64 {
    cpu_seconds(Path::new("/proc/self/stat"))
}

/// Processor time that all processes used since boot, in seconds.
pub fn busy_cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = stat.lines().next().unwrap_or("").split_whitespace().skip(1);
    let ticks: Vec<f64> = fields.filter_map(|text| text.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq: all but idle and iowait (proc(5)).
    [0, 1, 2, 5, 6].into_iter().filter_map(|at| ticks.get(at)).sum::<f64>() / TICKS_PER_SECOND
}

/// `utime` and `stime`, fields 14 and 15 of a `stat` file (proc(5)).
fn cpu_seconds(stat: &Path) -> f64 {
    let stat = std::fs::read_to_string(stat).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / TICKS_PER_SECOND
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
