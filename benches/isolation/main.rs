//! Measures the running daemon: memory over time, the effect of faulty devices on others, the start, and the
//! write path. Each figure has a baseline from the same run; a broken bound ends with exit code 1.
//!
//! `cargo bench --bench isolation` takes about twelve minutes;
//! `cargo bench --bench isolation -- --devices 100 --minutes 1` about three.
//!
//! - [`isolation`]: many devices under traffic, first all healthy, then one panicking, one stalled,
//!   one flooding.
//! - [`idle`]: memory of idle devices, and a start with them.
//! - [`neighbours`]: one tenant while another attacks (`./dev bench neighbours`).
//! - [`writes`]: messages accepted per second, against SQLite with a commit per row.
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
mod isolation;
mod latency;
mod neighbours;
mod probe;
#[path = "../../tests/process/mod.rs"]
#[allow(dead_code, reason = "shared with the crash tests, which use another part of it")]
mod process;
mod report;
mod trouble;
mod writes;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use report::Report;

/// A part of the measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Memory of idle devices, and a start with them
    Idle,
    /// Messages accepted per second
    Writes,
    /// Memory under traffic, and the effect of faulty devices
    Isolation,
    /// The effect of each attack of one tenant on another
    Neighbours,
}

/// Measures a daemon; see docs/benchmarks.md
#[derive(Debug, Parser)]
#[command(name = "isolation")]
struct Args {
    /// Devices under traffic
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(16..=5_000))]
    devices: u32,
    /// Incoming messages per device and minute
    #[arg(long, default_value_t = 60)]
    per_minute: u32,
    /// Minutes of each of the two runs under traffic
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_440))]
    minutes: u32,
    /// Idle devices, also used for the start
    #[arg(long, default_value_t = 1_000)]
    idle_devices: u32,
    /// Seconds of each part of the write path
    #[arg(long, default_value_t = 10)]
    write_seconds: u64,
    /// Seconds of each attack of a neighbour
    #[arg(long, default_value_t = 15)]
    attack_seconds: u64,
    /// Measure these parts only; `neighbours` is not among the default ones
    #[arg(long, value_delimiter = ',', default_value = "idle,writes,isolation")]
    only: Vec<Part>,
    /// Passed by cargo bench
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if !args.bench {
        println!("isolation: measured with `cargo bench` only");
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut report = Report::default();
    runtime.block_on(async {
        if args.only.contains(&Part::Idle) {
            idle::measure(args.idle_devices, &mut report).await;
        }
        if args.only.contains(&Part::Writes) {
            writes::measure(args.write_seconds, &mut report).await;
        }
        if args.only.contains(&Part::Isolation) {
            isolation::measure(&args, &mut report).await;
        }
        if args.only.contains(&Part::Neighbours) {
            neighbours::measure(args.attack_seconds, &mut report).await;
        }
    });
    report.print();
    if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
