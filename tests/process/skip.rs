//! Skips tests that do not apply to the engine under test. Each skipped test prints one line that begins with
//! `skipped: `, which CI counts.

#![allow(clippy::print_stdout, reason = "CI reads the line of a skipped test from standard output")]

/// Ends the test as skipped unless the engine under test fulfils the condition.
macro_rules! skip_unless {
    ($fulfilled:expr, $need:literal) => {
        if !$fulfilled {
            return $crate::skip::print_skipped($need);
        }
    };
}

/// Prints that the engine under test lacks a feature which the test needs.
pub fn print_skipped(need: &str) {
    let engine = std::env::var("WHARF_TEST_ENGINE");
    println!("skipped: engine {} lacks {need}", engine.as_deref().unwrap_or("simulator"));
}
