//! A day of life in a few minutes: links drop, the network answers late, twice and in disorder, people are seen by
//! number and by hidden id, and the daemon is restarted now and then. In the end the log, the store and the network
//! agree on every message.
//!
//! `WHARF_DAY_MINUTES` makes it longer (ten make a whole day of traffic), `WHARF_CRASH_SEED` repeats one.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::fleet;
use crate::process::{Dice, tail};
use crate::rounds::{Crew, number, one_round, settle_and_check};

const MINUTES: u64 = 1;
/// The daemon is restarted after so long, in milliseconds.
const BETWEEN_RESTARTS_MS: (u64, u64) = (15_000, 40_000);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_mixed_load_leaves_log_store_and_network_equal() {
    let minutes = number("WHARF_DAY_MINUTES").unwrap_or(MINUTES);
    let seed = number("WHARF_CRASH_SEED").unwrap_or_else(Dice::unseeded_seed);
    eprintln!("{minutes} minutes, WHARF_CRASH_SEED={seed}");
    let mut dice = Dice::new(seed);
    let place = fleet::place().await;
    let mut crew = Crew::at_ease(&mut dice);
    crew.create(&place).await;
    let until = Instant::now() + Duration::from_secs(60 * minutes);
    while Instant::now() < until {
        let daemon = place.start().await;
        let life = Duration::from_millis(dice.between(BETWEEN_RESTARTS_MS.0, BETWEEN_RESTARTS_MS.1));
        let life = life.min(until.saturating_duration_since(Instant::now()));
        let problems = one_round(daemon, &mut crew, life).await;
        assert!(problems.is_empty(), "seed {seed}: {problems:#?}\n{}", tail(&place.log()));
    }
    sleep(Duration::from_millis(100)).await;
    settle_and_check(&place, &mut crew).await;
    let (sent, written) = crew.counts();
    eprintln!("a day of {minutes} minutes: {sent} texts out, {written} messages in, all found once");
    assert!(sent > 0 && written > 0, "there was no traffic");
}
