//! Counts what a fault scenario tried and lost, and appends one line of JSON to the file `WHARF_TORTURE_RESULTS`.
//! A scenario whose test panics is recorded as failed.

use std::collections::BTreeMap;
use std::io::Write as _;

use serde_json::json;
use tokio::time::Instant;

use crate::process::{DaemonHome, server_errors};

/// The figures of one run of a scenario.
pub struct Tally {
    scenario: String,
    seed: u64,
    began: Instant,
    /// Kills, cuts, connections or inputs, as the scenario counts.
    pub rounds: u64,
    /// What else was tried, by name.
    pub tried: BTreeMap<&'static str, u64>,
    /// Acknowledged and missing.
    pub lost: u64,
    /// Stored or delivered twice.
    pub duplicated: u64,
    /// Panics of daemons that no test caused.
    pub panics: u64,
}

impl Tally {
    /// Begins a run.
    pub fn new(scenario: &str, seed: u64) -> Self {
        Self {
            scenario: scenario.to_owned(),
            seed,
            began: Instant::now(),
            rounds: 0,
            tried: BTreeMap::new(),
            lost: 0,
            duplicated: 0,
            panics: 0,
        }
    }

    /// Counts something that was tried.
    pub fn add(&mut self, what: &'static str, count: usize) {
        *self.tried.entry(what).or_default() += u64::try_from(count).unwrap();
    }

    /// Counts the panics in the log of a home. Those of the simulator are injected.
    pub fn count_panics(&mut self, home: &DaemonHome) {
        let log = home.log();
        let lines = log.lines().filter(|line| line.contains("panicked at"));
        let own = lines.filter(|line| !line.contains("src/engine/simulator/")).count();
        self.panics += u64::try_from(own).unwrap();
    }

    /// Fails if something was lost.
    pub fn check(&self) {
        let sum = self.lost + self.duplicated + self.panics + server_errors();
        assert_eq!(sum, 0, "{}", self.line(true));
    }

    fn line(&self, has_failed: bool) -> String {
        let now = jiff::Timestamp::now().as_second();
        json!({
            "scenario": self.scenario, "at": now, "seconds": self.began.elapsed().as_secs(), "seed": self.seed,
            "rounds": self.rounds, "tried": self.tried, "lost": self.lost, "duplicated": self.duplicated,
            "panics": self.panics, "serverErrors": server_errors(), "failed": has_failed,
            "commit": variable("WHARF_TORTURE_COMMIT"), "machine": variable("WHARF_TORTURE_MACHINE"),
        })
        .to_string()
    }
}

/// Where the run was made; `./dev torture` sets it.
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

impl Drop for Tally {
    fn drop(&mut self) {
        let line = self.line(std::thread::panicking());
        eprintln!("{line}");
        let Some(path) = std::env::var_os("WHARF_TORTURE_RESULTS") else { return };
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        let written = file.and_then(|mut file| writeln!(file, "{line}"));
        assert!(written.is_ok() || std::thread::panicking(), "the results cannot be recorded: {written:?}");
    }
}
