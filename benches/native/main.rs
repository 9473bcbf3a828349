//! Measures idle linked devices of the native engine, on a testbed in this process.
//!
//! `cargo bench --features testbed --bench native` idles twice for two minutes;
//! `cargo bench --features testbed --bench native -- --devices 200 --idle-seconds 20` is a shorter run.
//!
//! Requests stay on this machine; every loop is bounded by count or time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "a bench ends by panicking when it cannot measure, and prints what it measured"
)]

mod fleet;
mod idle;
#[path = "../../tests/process/mod.rs"]
#[allow(dead_code, reason = "shared with the crash tests, which use another part of it")]
mod process;
#[path = "../isolation/report.rs"]
mod report;

use std::process::ExitCode;

use clap::Parser;
use report::Report;

/// Measures idle devices of the native engine; see docs/benchmarks.md
#[derive(Debug, Parser)]
#[command(name = "native")]
struct Args {
    /// Linked devices
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    devices: u32,
    /// Seconds over which processor time is measured
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(5..=3_600))]
    idle_seconds: u64,
    /// Passed by cargo bench
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if !args.bench {
        println!("native: measured with `cargo bench` only");
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut report = Report::default();
    runtime.block_on(idle::measure(&args, &mut report));
    report.print();
    if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
