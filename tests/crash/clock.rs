//! Traffic and kills while the wall clock jumps back by 90 days and forward by two hours. The monotonic clock runs on.

use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use tokio::time::sleep;

use crate::fleet;
use crate::process::{SeededRng, tail};
use crate::rounds::{Workload, number, one_round, wait_and_check};
use crate::shim;
use crate::tally::Tally;

const ROUNDS: u64 = 12;
const BACK_S: i64 = -90 * 86_400;
const FORWARD_S: i64 = 2 * 3_600;
const LIFE_MS: (u64, u64) = (200, 600);

/// Shifts the clock of all daemons that read this file.
fn shift(file: &Path, seconds: i64) {
    let file = std::fs::OpenOptions::new().create(true).write(true).truncate(false).open(file).unwrap();
    file.write_all_at(&seconds.to_ne_bytes(), 0).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clock_jumps_lose_and_delay_nothing() {
    let rounds = number("WHARF_CRASH_ROUNDS").unwrap_or(ROUNDS);
    let seed = number("WHARF_CRASH_SEED").unwrap_or_else(SeededRng::random_seed);
    eprintln!("{rounds} jumps, WHARF_CRASH_SEED={seed}");
    let mut rng = SeededRng::new(seed);
    let mut tally = Tally::new("clock", seed);
    let home = fleet::home().await;
    let file = home.data().with_file_name("clock");
    shift(&file, 0);
    let home = home
        .with_environment("LD_PRELOAD", &shim::build("clock").to_string_lossy())
        .with_environment("WHARF_CLOCK_FILE", &file.to_string_lossy());
    let mut workload = Workload::new(&mut rng);
    workload.create(&home).await;
    // The first jump goes back. After it the clock goes forward by at most two hours, so that nothing expires.
    for round in 0..rounds {
        let daemon = home.start().await;
        let life = Duration::from_millis(rng.between(LIFE_MS.0, LIFE_MS.1));
        let to = if round % 2 == 0 { BACK_S } else { BACK_S + FORWARD_S };
        let jump = async {
            sleep(life / 3).await;
            shift(&file, to);
        };
        let (problems, ()) = tokio::join!(one_round(daemon, &mut workload, life), jump);
        assert!(problems.is_empty(), "jump {round}, seed {seed}: {problems:#?}\n{}", tail(&home.log()));
        tally.rounds += 1;
    }
    wait_and_check(&home, &mut workload).await;
    let (sent, written) = workload.counts();
    tally.add("texts sent", sent);
    tally.add("messages received", written);
    tally.count_panics(&home);
    tally.check();
}

#[tokio::test]
async fn shifted_clock_dates_messages() {
    let home = fleet::home().await;
    let file = home.data().with_file_name("clock");
    shift(&file, BACK_S);
    let home = home
        .with_environment("LD_PRELOAD", &shim::build("clock").to_string_lossy())
        .with_environment("WHARF_CLOCK_FILE", &file.to_string_lossy());
    let daemon = home.start().await;
    fleet::create(&daemon.http, "shop", &fleet::quick()).await;
    let body = serde_json::json!({ "to": "15550100001", "text": "Hello" });
    let sent = daemon.http.post("devices/shop/messages/send", &body).await.unwrap().expect("send");
    let at = sent["timestamp"].as_i64().unwrap_or_else(|| panic!("{sent}"));
    let now = jiff::Timestamp::now().as_second();
    let age = now - if at > 100_000_000_000 { at / 1_000 } else { at };
    assert!((age + BACK_S).abs() < 60, "the shim is not used: {sent}");
    daemon.stop().await;
}
