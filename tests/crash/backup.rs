//! `wharf backup` while messages flow, onto a full disk, and into a directory that is not empty.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};

use crate::database::Database;
use crate::disk_full::SmallDisk;
use crate::fleet::{self, create, quick};
use crate::process::{DaemonHome, SeededRng};
use crate::traffic::{Halt, Sender};

const DEVICE: &str = "shop";
const BACKUPS: usize = 3;
/// Texts before each backup.
const TEXTS: usize = 60;
/// An uploaded file.
const NOTES: &str = "Opening hours: nine to five.";

fn backup(home: &DaemonHome, target: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
    command.env_clear().arg("backup").arg(target).args(["--verify", "--json", "--data-dir"]).arg(home.data());
    command
}

fn error_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_backup_under_traffic_has_answered_messages() {
    let home = fleet::home().await;
    let mut sender = Sender::new(DEVICE, &["15550100001", "15550100002"], Duration::ZERO, SeededRng::new(3));
    let daemon = home.start().await;
    create(&daemon.http, DEVICE, &quick()).await;
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let url = format!("{}/api/v1/devices/{DEVICE}/media", daemon.http.base());
    let upload = client.post(url).header("X-API-KEY", daemon.http.key()).body(NOTES).send().await.unwrap();
    assert_eq!(upload.status(), 201, "{}", upload.text().await.unwrap());

    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut answered = Vec::new();
    for number in 0..BACKUPS {
        for _ in 0..TEXTS {
            assert!(sender.step(&daemon.http).await.is_ok());
        }
        answered.push(sender.accepted().map(|(_, id)| id.to_owned()).collect::<Vec<_>>());
        let mut command = backup(&home, &place.path().join(number.to_string()));
        let copied = tokio::task::spawn_blocking(move || command.output().unwrap());
        while !copied.is_finished() {
            if let Err(Halt::Wrong(problem)) = sender.step(&daemon.http).await {
                panic!("{problem}");
            }
        }
        let output = copied.await.unwrap();
        assert!(output.status.success(), "{}", error_of(&output));
        let copied: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&copied["files"], &copied["verified"]), (&json!(1), &json!(true)), "{copied}");
    }
    daemon.stop().await;

    for (number, ids) in answered.iter().enumerate() {
        std::fs::remove_dir_all(home.data()).unwrap();
        std::fs::rename(place.path().join(number.to_string()), home.data()).unwrap();
        let daemon = home.start().await;
        for id in ids {
            let path = format!("devices/{DEVICE}/messages/{id}");
            assert_eq!(daemon.http.get(&path).await.unwrap().status, 200, "backup {number}: {id}");
        }
        daemon.stop().await;
        Database::open(&home).check();
    }
}

#[tokio::test]
async fn backup_into_unsuitable_directory_is_refused() {
    let home = fleet::home().await;
    home.start().await.stop().await;
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::fs::write(place.path().join("notes.txt"), "a").unwrap();
    let inside = home.data().join("copy");
    let file = place.path().join("notes.txt");
    for (target, reason) in [
        (place.path(), "is not empty; give an empty or a new directory"),
        (inside.as_path(), "is in the data directory; give a directory outside it"),
        (file.as_path(), "give a directory for the copy"),
    ] {
        let output = backup(&home, target).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", target.display());
        assert!(error_of(&output).contains(reason), "{}", error_of(&output));
    }
    assert!(!inside.exists());
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
}

#[tokio::test]
#[allow(clippy::print_stdout, reason = "CI reads the line of a skipped test from standard output")]
async fn backup_onto_full_disk_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(place.path(), "128k") else {
        return println!("skipped: a small disk can be mounted by root only");
    };
    let home = fleet::home().await;
    home.start().await.stop().await;
    for target in [disk.path().to_owned(), disk.path().join("new")] {
        let output = backup(&home, &target).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", error_of(&output));
        assert!(error_of(&output).contains("is full"), "{}", error_of(&output));
        assert_eq!(std::fs::read_dir(disk.path()).unwrap().count(), 0);
    }
}
