//! Accidents with the data directory: a copy of the database alone, a deleted lock, open permissions, other users.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::database::Database;
use crate::fleet::{self, create, quick, until_sent};
use crate::process::{DaemonHome, Http, SeededRng};
use crate::traffic::Sender;

const DEVICE: &str = "shop";
const WITHIN: Duration = Duration::from_secs(20);
/// `nobody`.
const OTHER_USER: u32 = 65_534;

async fn sent(http: &Http, texts: usize) -> Sender {
    let mut sender = Sender::new(DEVICE, &["15550100001"], Duration::ZERO, SeededRng::new(5));
    for _ in 0..texts {
        assert!(sender.step(http).await.is_ok());
    }
    until_sent(http, DEVICE, WITHIN).await;
    sender
}

#[tokio::test]
async fn database_alone_is_complete_after_a_clean_stop() {
    let home = fleet::home().await;
    let daemon = home.start().await;
    create(&daemon.http, DEVICE, &quick()).await;
    let sender = sent(&daemon.http, 30).await;
    daemon.stop().await;

    let copy = fleet::home().await;
    std::fs::create_dir(copy.data()).unwrap();
    std::fs::copy(home.database(), copy.database()).unwrap();
    let daemon = copy.start().await;
    for (text, id) in sender.accepted() {
        let found = daemon.http.get(&format!("devices/{DEVICE}/messages/{id}")).await.unwrap();
        assert_eq!(found.text("/body"), Some(text.body.as_str()), "{id}");
    }
    daemon.stop().await;
    Database::open(&copy).check();
}

#[tokio::test]
async fn deleted_lock_stops_the_daemon_with_its_reason() {
    let home = fleet::home().await.with("store.file_check_ms", "100");
    let mut daemon = home.start().await;
    create(&daemon.http, DEVICE, &quick()).await;
    let sender = sent(&daemon.http, 10).await;
    std::fs::remove_file(home.data().join("wharf.lock")).unwrap();
    let status = daemon.ended(WITHIN).await.expect("the daemon ends by itself");
    assert!(!status.success(), "{status:?}");
    let log = home.log();
    assert!(log.contains("wharf.lock"), "{log}");
    // Nothing that was answered is lost.
    let daemon = home.start().await;
    for (_, id) in sender.accepted() {
        assert_eq!(daemon.http.get(&format!("devices/{DEVICE}/messages/{id}")).await.unwrap().status, 200);
    }
    daemon.stop().await;
    Database::open(&home).check();
}

/// Files and directories that others may read, below a directory.
fn open_to_others(directory: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let mode = entry.metadata().unwrap().permissions().mode();
        if mode & 0o077 != 0 {
            found.push(format!("{} {:o}", entry.path().display(), mode & 0o777));
        }
        if entry.file_type().unwrap().is_dir() {
            open_to_others(&entry.path(), found);
        }
    }
}

#[tokio::test]
async fn files_in_an_open_directory_are_private() {
    let home = fleet::home().await;
    std::fs::create_dir(home.data()).unwrap();
    std::fs::set_permissions(home.data(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let daemon = home.start().await;
    create(&daemon.http, DEVICE, &quick()).await;
    let body = json!({ "to": "15550100001", "media": { "data": "aGVsbG8=", "filename": "a.txt" } });
    daemon.http.post(&format!("devices/{DEVICE}/messages/send"), &body).await.unwrap().expect("send a file");
    let mut found = Vec::new();
    open_to_others(&home.data(), &mut found);
    assert_eq!(found, Vec::<String>::new());
    let log = home.log();
    assert!(log.contains("permission") || log.contains("other users"), "no warning: {log}");
    daemon.stop().await;
}

/// Whether a user reads the environment of a process.
fn can_read_environment(process: &Path, user: u32) -> bool {
    let mut cat = Command::new("cat");
    cat.arg(process.join("environ")).uid(user).gid(user).stdout(Stdio::null()).stderr(Stdio::null());
    cat.status().unwrap().success()
}

#[tokio::test]
#[allow(clippy::print_stdout, reason = "CI reads the line of a skipped test from standard output")]
async fn own_user_cannot_read_the_environment() {
    if !rustix::process::getuid().is_root() {
        return println!("skipped: only root can start a daemon as another user");
    }
    let home = DaemonHome::new().with_user(OTHER_USER);
    let daemon = home.start().await;
    assert_eq!(daemon.limit("Max core file size"), ("0".to_owned(), "0".to_owned()));
    assert!(!can_read_environment(&daemon.proc(), OTHER_USER), "the daemon's key is readable");

    // An ordinary program of this user is readable.
    let mut sleep = Command::new("sleep").arg("20").uid(OTHER_USER).gid(OTHER_USER).spawn().unwrap();
    let is_readable = can_read_environment(&Path::new("/proc").join(sleep.id().to_string()), OTHER_USER);
    sleep.kill().unwrap();
    sleep.wait().unwrap();
    assert!(is_readable, "this system hides all processes");
    daemon.stop().await;
}

/// The median time of reading a page of chats.
async fn median_read(http: &Http, reads: usize) -> Duration {
    let mut times = Vec::new();
    for _ in 0..reads {
        let began = Instant::now();
        http.get("devices/victim/chats?limit=20").await.unwrap().expect("a page of chats");
        times.push(began.elapsed());
    }
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_of_a_device_leave_reads_to_another() {
    const SEARCHERS: usize = 16;
    let home = fleet::home().await;
    let daemon = home.start().await;
    let http = &daemon.http;
    for device in ["victim", DEVICE] {
        create(http, device, &quick()).await;
    }
    let mut text = String::new();
    for n in 0..8_000 {
        text.push_str(&format!("31/01/2026, 14:05 - Anna: hello again number {n} of many\n"));
    }
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let url = format!("{}/api/v1/devices/{DEVICE}/chats/import?chatId=15550100001&me=Ben", http.base());
    let import =
        client.post(url).header("X-API-KEY", http.key()).header("content-type", "text/plain").body(text);
    let answer = import.send().await.unwrap();
    let status = answer.status();
    assert!(status.is_success(), "{status}: {}", answer.text().await.unwrap());

    let idle = median_read(http, 30).await;
    let mut attackers = tokio::task::JoinSet::new();
    for _ in 0..SEARCHERS {
        let http = http.clone();
        attackers.spawn(async move {
            loop {
                // Beyond its place in the queue a search is refused.
                let _ = http.get(&format!("devices/{DEVICE}/messages/search?query=number%20of%20man")).await;
            }
        });
    }
    let attacked = median_read(http, 30).await;
    attackers.shutdown().await;
    let bound = (idle * 20).max(Duration::from_millis(250));
    assert!(attacked <= bound, "a read takes {attacked:?} during searches, {idle:?} without");
    daemon.stop().await;
}
