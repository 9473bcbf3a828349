//! Power cuts under traffic: after each kill the data directory holds only what was synced.
//!
//! In half of the cuts nothing else survives, in the other half each unsynced sector does at random. Two controls
//! show that the model can fail: every write is recorded, and `store.synchronous = "normal"` loses messages.

mod disk;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use crate::fleet::{self, create, quick, until_ready, until_sent};
use crate::process::{DaemonHome, SeededRng, tail};
use crate::rounds::{Workload, number, one_round, wait_and_check};
use crate::tally::Tally;
use crate::{database::Database, shim};
use disk::Disk;

const ROUNDS: u64 = 30;
/// After this many cuts everything is checked, and a new data directory begins.
const BEFORE_CHECK: u64 = 100;
const LIFE_MS: (u64, u64) = (20, 400);
/// Longest start that is cut, in milliseconds.
const START_MS: u64 = 250;
const DEVICE: &str = "shop";
/// Files outside the model: a memory map of SQLite, and space that the file system reserves.
const NOT_RECORDED: [&str; 2] = ["wharf.db-shm", "wharf.reserve"];

/// A data directory whose changes are recorded.
struct Machine {
    home: DaemonHome,
    log: PathBuf,
}

impl Machine {
    fn new(home: DaemonHome) -> Self {
        let log = home.data().with_file_name("power.log");
        let home = home
            .with_environment("LD_PRELOAD", &shim::build("power").to_string_lossy())
            .with_environment("WHARF_POWER_LOG", &log.to_string_lossy());
        Self { home, log }
    }

    /// The disk as it is before a start.
    fn disk(&self) -> Disk {
        // A daemon that was not cut leaves a log.
        let _ = std::fs::remove_file(&self.log);
        let _ = std::fs::create_dir(self.home.data());
        Disk::load(&self.home.data())
    }

    /// Replaces the data directory of a killed daemon by what survives. Returns the number of lost changes.
    fn cut(&self, mut disk: Disk, rng: Option<&mut SeededRng>) -> usize {
        disk.replay(&self.log);
        let (data, surviving) = (self.home.data(), self.home.data().with_file_name("surviving"));
        disk.write_surviving(&surviving, rng);
        std::fs::remove_dir_all(&data).unwrap();
        std::fs::rename(surviving, data).unwrap();
        disk.pending()
    }
}

async fn send(http: &crate::process::Http, text: &str) -> Option<String> {
    let body = json!({ "to": "15550100001", "text": text });
    let answer = http.post(&format!("devices/{DEVICE}/messages/send"), &body).await.unwrap();
    (answer.status == 201).then(|| answer.text("/id").unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_power_cuts_lose_and_duplicate_nothing() {
    let rounds = number("WHARF_CRASH_ROUNDS").unwrap_or(ROUNDS);
    let seed = number("WHARF_CRASH_SEED").unwrap_or_else(SeededRng::random_seed);
    eprintln!("{rounds} power cuts, WHARF_CRASH_SEED={seed}");
    let mut rng = SeededRng::new(seed);
    let mut tally = Tally::new("power", seed);
    while tally.rounds < rounds {
        let machine = Machine::new(fleet::home().await);
        let mut workload = Workload::new(&mut rng);
        cut_first_start(&machine, &mut rng).await;
        workload.create(&machine.home).await;
        for _ in 0..BEFORE_CHECK.min(rounds - tally.rounds) {
            let disk = machine.disk();
            let daemon = machine.home.start().await;
            let life = Duration::from_millis(rng.between(LIFE_MS.0, LIFE_MS.1));
            let problems = one_round(daemon, &mut workload, life).await;
            let round = tally.rounds;
            assert!(
                problems.is_empty(),
                "cut {round}, seed {seed}: {problems:#?}\n{}",
                tail(&machine.home.log())
            );
            let is_random = rng.one_in(2);
            tally.add("unsynced writes", machine.cut(disk, is_random.then_some(&mut rng)));
            tally.rounds += 1;
        }
        wait_and_check(&machine.home, &mut workload).await;
        let (sent, written) = workload.counts();
        tally.add("texts sent", sent);
        tally.add("messages received", written);
        tally.count_panics(&machine.home);
        eprintln!("{} of {rounds} power cuts", tally.rounds);
    }
    tally.check();
}

/// Cuts the power while the daemon starts on an empty directory.
async fn cut_first_start(machine: &Machine, rng: &mut SeededRng) {
    let disk = machine.disk();
    let daemon = machine.home.spawn();
    sleep(Duration::from_millis(rng.between(0, START_MS))).await;
    daemon.kill();
    machine.cut(disk, Some(rng));
}

#[tokio::test]
async fn slow_power_cuts_keep_uploaded_files() {
    let rounds = number("WHARF_CRASH_ROUNDS").unwrap_or(ROUNDS).div_ceil(4);
    let seed = number("WHARF_CRASH_SEED").unwrap_or_else(SeededRng::random_seed);
    let mut rng = SeededRng::new(seed);
    let mut tally = Tally::new("power-files", seed);
    let machine = Machine::new(fleet::home().await);
    let daemon = machine.home.start().await;
    create(&daemon.http, DEVICE, &quick()).await;
    daemon.kill();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let mut files: Vec<(String, String)> = Vec::new();
    for _ in 0..rounds {
        let disk = machine.disk();
        let daemon = machine.home.start().await;
        let url = format!("{}/api/v1/devices/{DEVICE}/media", daemon.http.base());
        for _ in 0..rng.between(1, 4) {
            let lines = usize::try_from(rng.between(1, 3_000)).unwrap();
            let text = format!("opening hours {}\n", rng.next()).repeat(lines);
            let upload = client.post(&url).header("X-API-KEY", daemon.http.key()).body(text.clone());
            let answer = upload.send().await.unwrap();
            assert_eq!(answer.status(), 201);
            let answer: serde_json::Value = answer.json().await.unwrap();
            files.push((answer["data"]["sha256"].as_str().unwrap().to_owned(), text));
        }
        daemon.kill();
        let is_random = rng.one_in(2);
        machine.cut(disk, is_random.then_some(&mut rng));
        tally.rounds += 1;
    }
    // A start removes files without a row.
    let daemon = machine.home.start().await;
    until_ready(&daemon.http, DEVICE).await;
    daemon.stop().await;
    for (hash, text) in &files {
        let stored = find(&machine.home.data(), hash).map(|path| std::fs::read(path).unwrap());
        tally.lost += u64::from(stored.is_none_or(|stored| stored != text.as_bytes()));
    }
    tally.add("files", files.len());
    tally.count_panics(&machine.home);
    tally.check();
}

/// The file with this name below a directory.
fn find(directory: &Path, name: &str) -> Option<PathBuf> {
    std::fs::read_dir(directory).unwrap().map(Result::unwrap).find_map(|entry| {
        let is_directory = entry.file_type().unwrap().is_dir();
        if is_directory {
            find(&entry.path(), name)
        } else {
            (entry.file_name() == name).then(|| entry.path())
        }
    })
}

#[tokio::test]
async fn power_cut_without_full_sync_loses_messages() {
    let machine = Machine::new(fleet::home().await.with("store.synchronous", "normal"));
    let daemon = machine.home.start().await;
    create(&daemon.http, DEVICE, &quick()).await;
    daemon.stop().await;
    let disk = machine.disk();
    let daemon = machine.home.start().await;
    let mut answered = Vec::new();
    for n in 0..20 {
        answered.extend(send(&daemon.http, &format!("message {n}")).await);
    }
    daemon.kill();
    assert!(!answered.is_empty() && machine.cut(disk, None) > 0);
    let daemon = machine.home.start().await;
    let mut lost = 0;
    for id in &answered {
        let found = daemon.http.get(&format!("devices/{DEVICE}/messages/{id}")).await.unwrap();
        lost += usize::from(found.status == 404);
    }
    daemon.stop().await;
    Database::open(&machine.home).check();
    assert!(lost > 0, "the model kept {} messages that were not synced", answered.len());
}

#[tokio::test]
async fn power_cut_model_records_every_write() {
    let machine = Machine::new(fleet::home().await);
    let mut disk = machine.disk();
    let daemon = machine.home.start().await;
    create(&daemon.http, DEVICE, &quick()).await;
    for n in 0..30 {
        send(&daemon.http, &format!("message {n}")).await.expect("an answer 201");
    }
    until_sent(&daemon.http, DEVICE, Duration::from_secs(10)).await;
    let url = format!("{}/api/v1/devices/{DEVICE}/media", daemon.http.base());
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let upload =
        client.post(url).header("X-API-KEY", daemon.http.key()).body("opening hours").send().await.unwrap();
    assert_eq!(upload.status(), 201);
    daemon.stop().await;
    disk.replay(&machine.log);
    assert_eq!(disk.differences(&NOT_RECORDED), Vec::<String>::new());

    // What a clean stop left survives a cut.
    machine.cut(disk, None);
    let daemon = machine.home.start().await;
    until_ready(&daemon.http, DEVICE).await;
    daemon.stop().await;
    Database::open(&machine.home).check();
}
