//! Writes of the real daemon while its disk is full, and after it has space again.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::fleet::{self, create, quick, until, until_ready, until_sent};

const DEVICE: &str = "shop";

/// A small file system in memory, for as long as the value exists.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` without the right to mount.
    pub fn mount(at: &Path, size: &str) -> Option<Self> {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(at);
        let mounted = command.output().is_ok_and(|output| output.status.success());
        mounted.then(|| Self(at.to_owned()))
    }

    /// The directory of the file system.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Fills the disk to the last byte with this file.
    fn fill(&self, name: &str) {
        let mut file = std::fs::File::create(self.0.join(name)).unwrap();
        while file.write_all(&[0; 4_096]).is_ok() {}
        while file.write_all(&[0]).is_ok() {}
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

#[tokio::test]
#[allow(clippy::print_stdout, reason = "CI reads the line of a skipped test from standard output")]
async fn full_disk_is_logged_once_and_recovers() {
    let home = fleet::home().await.with("store.file_check_ms", "3600000");
    std::fs::create_dir(home.data()).unwrap();
    let Some(disk) = SmallDisk::mount(&home.data(), "16m") else {
        return println!("skipped: a small disk can be mounted by root only");
    };
    let daemon = home.start().await;
    create(&daemon.http, DEVICE, &quick()).await;
    let send = async |text: String| {
        let body = json!({ "to": "15550100001", "text": text });
        daemon.http.post(&format!("devices/{DEVICE}/messages/send"), &body).await.unwrap()
    };
    send("before".to_owned()).await.expect("send before");
    until_sent(&daemon.http, DEVICE, Duration::from_secs(10)).await;

    disk.fill("filler");
    let mut refused = 0;
    for n in 0..60 {
        // A text of random length would fit into the pages that the write-ahead log has already.
        let answer = send(format!("{n} {}", "x".repeat(4_000))).await;
        if !answer.is_success() {
            assert_eq!(answer.status, 503, "{}", answer.body);
            assert!(["disk_full", "store_unavailable"].contains(&answer.code()), "{}", answer.body);
            refused += 1;
        }
    }
    assert!(refused > 10, "only {refused} sends of 60 were refused, so the disk was not full");
    let log = home.log();
    let reported = log.lines().filter(|line| line.contains("writing to the database failed")).count();
    assert!((1..=2).contains(&reported), "{reported} messages for {refused} refused sends");

    std::fs::remove_file(disk.path().join("filler")).unwrap();
    send("after".to_owned()).await.expect("send after");
    until_sent(&daemon.http, DEVICE, Duration::from_secs(20)).await;
    daemon.stop().await;
}

#[tokio::test]
#[allow(clippy::print_stdout, reason = "CI reads the line of a skipped test from standard output")]
async fn daemon_starts_on_a_full_disk_and_recovers() {
    let home = fleet::home().await.with("store.file_check_ms", "100");
    std::fs::create_dir(home.data()).unwrap();
    let Some(disk) = SmallDisk::mount(&home.data(), "64m") else {
        return println!("skipped: a small disk can be mounted by root only");
    };
    let daemon = home.start().await;
    create(&daemon.http, DEVICE, &quick()).await;
    let send = async |http: &crate::process::Http, text: &str| {
        let body = json!({ "to": "15550100001", "text": text });
        http.post(&format!("devices/{DEVICE}/messages/send"), &body).await.unwrap()
    };
    let stored = send(&daemon.http, "before").await.expect("send before")["id"].clone();
    until_sent(&daemon.http, DEVICE, Duration::from_secs(10)).await;
    let reserve = disk.path().join("wharf.reserve");
    until("the reserve", Duration::from_secs(10), async || reserve.exists()).await;
    daemon.stop().await;

    disk.fill("filler");
    let daemon = home.start().await;
    assert!(!reserve.exists() && home.log().contains("the disk is full: the daemon starts"));
    let path = format!("devices/{DEVICE}/messages/{}", stored.as_str().unwrap());
    assert_eq!(daemon.http.get(&path).await.unwrap().text("/body"), Some("before"), "reads work");
    disk.fill("rest");
    until("a refused send", Duration::from_secs(20), async || {
        let answer = send(&daemon.http, &"x".repeat(4_000)).await;
        ["disk_full", "store_unavailable"].contains(&answer.code())
    })
    .await;

    for file in ["filler", "rest"] {
        std::fs::remove_file(disk.path().join(file)).unwrap();
    }
    until_ready(&daemon.http, DEVICE).await;
    send(&daemon.http, "after").await.expect("send after");
    until_sent(&daemon.http, DEVICE, Duration::from_secs(20)).await;
    until("the reserve", Duration::from_secs(10), async || reserve.exists()).await;
    daemon.stop().await;

    // Without the reserve the message says what to do.
    std::fs::remove_file(&reserve).unwrap();
    disk.fill("filler");
    let mut daemon = home.spawn();
    let ended = daemon.ended(Duration::from_secs(30)).await.expect("the start to fail");
    assert!(!ended.success());
    let log = home.log();
    assert!(log.contains("is full, so the database cannot be opened"), "{log}");
    std::fs::remove_file(disk.path().join("filler")).unwrap();
    let daemon = home.start().await;
    daemon.stop().await;
}
