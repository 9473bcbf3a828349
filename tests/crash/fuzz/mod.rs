//! Seeded random inputs for every parser of text and bytes from outside.
//!
//! [`parsers`] calls pure parsers in this process, [`requests`] sends inputs to a daemon. `WHARF_FUZZ_MS` sets the
//! time for each target, `WHARF_CRASH_SEED` repeats a run; a failure prints its input.

mod inputs;
mod parsers;
mod requests;

use std::time::Duration;

use crate::process::SeededRng;
use crate::rounds::number;

/// Time for each target.
fn time_of_target() -> Duration {
    Duration::from_millis(number("WHARF_FUZZ_MS").unwrap_or(1_000))
}

fn seed() -> u64 {
    let seed = number("WHARF_CRASH_SEED").unwrap_or_else(SeededRng::random_seed);
    eprintln!("WHARF_CRASH_SEED={seed}");
    seed
}

/// An input as a Rust byte string.
fn shown(input: &[u8]) -> String {
    format!("b\"{}\"", input.escape_ascii())
}
