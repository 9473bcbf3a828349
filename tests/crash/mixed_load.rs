//! Mixed traffic for a minute: lost links, late, repeated and reordered acknowledgements, people with number
//! and hidden id, and restarts. At the end the log, the store and the network agree on every message.
//!
//! `WHARF_DAY_MINUTES` sets the duration (ten minutes equal a day of traffic), `WHARF_CRASH_SEED`
//! repeats a run.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::fleet;
use crate::process::{SeededRng, tail};
use crate::rounds::{Workload, number, one_round, wait_and_check};

const MINUTES: u64 = 1;
/// Time between restarts of the daemon, in milliseconds.
const BETWEEN_RESTARTS_MS: (u64, u64) = (15_000, 40_000);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_mixed_load_leaves_log_store_and_network_equal() {
    let minutes = number("WHARF_DAY_MINUTES").unwrap_or(MINUTES);
    let seed = number("WHARF_CRASH_SEED").unwrap_or_else(SeededRng::random_seed);
    eprintln!("{minutes} minutes, WHARF_CRASH_SEED={seed}");
    let mut rng = SeededRng::new(seed);
    let home = fleet::home().await;
    let mut workload = Workload::human_paced(&mut rng);
    workload.create(&home).await;
    let until = Instant::now() + Duration::from_secs(60 * minutes);
    while Instant::now() < until {
        let daemon = home.start().await;
        let life = Duration::from_millis(rng.between(BETWEEN_RESTARTS_MS.0, BETWEEN_RESTARTS_MS.1));
        let life = life.min(until.saturating_duration_since(Instant::now()));
        let problems = one_round(daemon, &mut workload, life).await;
        assert!(problems.is_empty(), "seed {seed}: {problems:#?}\n{}", tail(&home.log()));
    }
    sleep(Duration::from_millis(100)).await;
    wait_and_check(&home, &mut workload).await;
    let (sent, written) = workload.counts();
    eprintln!(
        "{minutes} minutes of mixed load: {sent} texts sent, {written} messages received, each stored once"
    );
    assert!(sent > 0 && written > 0, "there was no traffic");
}
