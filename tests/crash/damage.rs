//! Database files that a disk damaged: a torn write-ahead log, a random page, a log without its end.
//!
//! What SQLite's checksums and page structure detect must be an error, never another message's text or a panic.

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::checks;
use crate::database::Database;
use crate::fleet::{self, create, quick, until_sent};
use crate::process::{DaemonHome, Http, SeededRng, tail};
use crate::rounds::number;
use crate::tally::Tally;
use crate::traffic::Sender;

const ROUNDS: u64 = 4;
const TEXTS: usize = 40;
const DEVICE: &str = "shop";
const PAGE: u64 = 4_096;
/// Longest start of a daemon on a damaged database.
const STARTED_WITHIN: Duration = Duration::from_secs(20);

fn log_file(home: &DaemonHome) -> PathBuf {
    let mut name = home.database().into_os_string();
    name.push("-wal");
    name.into()
}

/// A killed daemon's home, and the texts that were answered 201.
async fn filled(rng: &mut SeededRng) -> (DaemonHome, Sender) {
    let home = fleet::home().await;
    let mut sender = Sender::new(DEVICE, &["15550100001", "15550100002"], Duration::ZERO, rng.fork());
    let daemon = home.start().await;
    create(&daemon.http, DEVICE, &quick()).await;
    for _ in 0..TEXTS {
        assert!(sender.step(&daemon.http).await.is_ok());
    }
    until_sent(&daemon.http, DEVICE, Duration::from_secs(10)).await;
    daemon.kill();
    (home, sender)
}

fn overwrite(file: &Path, at: u64, bytes: &[u8]) {
    std::fs::OpenOptions::new().write(true).open(file).unwrap().write_all_at(bytes, at).unwrap();
}

fn noise(rng: &mut SeededRng, length: u64) -> Vec<u8> {
    (0..length).map(|_| rng.next().to_le_bytes()[0]).collect()
}

/// Number of texts with their own body, and of those that are missing. Another body fails the test; an error is no
/// answer that a client could mistake for the message.
async fn readable(http: &Http, sender: &Sender) -> (usize, usize) {
    let (mut found, mut missing) = (0, 0);
    for (text, id) in sender.accepted() {
        let Ok(answer) = http.get(&format!("devices/{DEVICE}/messages/{id}")).await else { continue };
        match answer.status {
            200 => {
                assert_eq!(answer.text("/body"), Some(text.body.as_str()), "{id}");
                found += 1;
            }
            404 => missing += 1,
            _ => {}
        }
    }
    (found, missing)
}

#[tokio::test]
async fn slow_torn_write_ahead_log_loses_nothing() {
    let rounds = number("WHARF_CRASH_ROUNDS").unwrap_or(ROUNDS);
    let seed = number("WHARF_CRASH_SEED").unwrap_or_else(SeededRng::random_seed);
    let mut rng = SeededRng::new(seed);
    let mut tally = Tally::new("damage-log", seed);
    for round in 0..rounds {
        let (home, sender) = filled(&mut rng).await;
        // The power failed while frames of a commit were written that no client had an answer to.
        let file = log_file(&home);
        let bytes = std::fs::read(&file).unwrap();
        let garbage = if rng.one_in(2) && bytes.len() > 8_000 {
            bytes[32..32 + usize::try_from(rng.between(24, 5_000)).unwrap()].to_vec()
        } else {
            let length = rng.between(1, 9_000);
            noise(&mut rng, length)
        };
        overwrite(&file, u64::try_from(bytes.len()).unwrap(), &garbage);
        let daemon = home.start().await;
        until_sent(&daemon.http, DEVICE, Duration::from_secs(10)).await;
        let log = checks::checked_log(&daemon.http, DEVICE).await;
        checks::sent_once(&daemon.http, &sender, &log).await;
        daemon.stop().await;
        Database::open(&home).check();
        tally.rounds = round + 1;
        tally.add("texts sent", sender.texts.len());
        tally.count_panics(&home);
    }
    tally.check();
}

#[tokio::test]
async fn slow_log_without_its_end_stays_consistent() {
    let rounds = number("WHARF_CRASH_ROUNDS").unwrap_or(ROUNDS);
    let seed = number("WHARF_CRASH_SEED").unwrap_or_else(SeededRng::random_seed);
    let mut rng = SeededRng::new(seed);
    let mut tally = Tally::new("damage-log-end", seed);
    for round in 0..rounds {
        let (home, sender) = filled(&mut rng).await;
        let file = log_file(&home);
        let length = std::fs::metadata(&file).unwrap().len();
        // From the second half, so that the device exists.
        let cut = rng.between(length / 2, length - 1);
        std::fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(cut).unwrap();
        let daemon = home.start().await;
        let (found, missing) = readable(&daemon.http, &sender).await;
        assert_eq!(found + missing, sender.accepted().count(), "{}", tail(&home.log()));
        daemon.stop().await;
        let verdict = Database::open(&home).integrity();
        assert_eq!(verdict, "ok", "seed {seed}, cut at {cut} of {length}");
        tally.rounds = round + 1;
        tally.add("texts sent", sender.texts.len());
        tally.add("texts behind the cut", missing);
        tally.count_panics(&home);
    }
    tally.check();
}

#[tokio::test]
async fn slow_damaged_page_is_an_error_and_recovers() {
    let rounds = number("WHARF_CRASH_ROUNDS").unwrap_or(ROUNDS);
    let seed = number("WHARF_CRASH_SEED").unwrap_or_else(SeededRng::random_seed);
    let mut rng = SeededRng::new(seed);
    let mut tally = Tally::new("damage-page", seed);
    for round in 0..rounds {
        let (home, sender) = filled(&mut rng).await;
        // A clean stop moves everything into the database file.
        home.start().await.stop().await;
        let database = home.database();
        let pages = std::fs::metadata(&database).unwrap().len() / PAGE;
        let page = rng.between(0, pages - 1);
        let sound = std::fs::read(&database).unwrap();
        let damage = noise(&mut rng, PAGE);
        overwrite(&database, page * PAGE, &damage);

        let logged = home.log().len();
        let mut daemon = home.spawn();
        let what = match tokio::time::timeout(STARTED_WITHIN, daemon.ready()).await {
            Ok(Ok(())) => {
                let (found, _) = readable(&daemon.http, &sender).await;
                daemon.kill();
                if found == sender.accepted().count() {
                    "pages that were not read"
                } else {
                    "pages with errors"
                }
            }
            _ => {
                let log = home.log();
                let reason = ["malformed", "not a database", "damaged", "cannot", "corrupt", "unreadable"];
                assert!(
                    reason.iter().any(|word| log[logged..].contains(word)),
                    "seed {seed}, page {page}: a start that failed without a reason: {}",
                    tail(&log)
                );
                daemon.kill();
                "starts that were refused"
            }
        };
        tally.add(what, 1);
        tally.count_panics(&home);

        // With the file from a backup everything is there again.
        for rest in [log_file(&home), database.with_file_name("wharf.db-shm")] {
            let _ = std::fs::remove_file(rest);
        }
        std::fs::write(&database, &sound).unwrap();
        let daemon = home.start().await;
        let (found, _) = readable(&daemon.http, &sender).await;
        tally.lost += u64::try_from(sender.accepted().count() - found).unwrap();
        daemon.stop().await;
        tally.rounds = round + 1;
    }
    assert_eq!((tally.lost, tally.panics), (0, 0), "seed {seed}");
}
