//! Writes of the real daemon while its disk is full, and after it has space again.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::fleet::{self, create, quick, until_sent};

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
