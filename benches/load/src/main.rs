//! The load generator of `./dev bench`: starts the servers, loads them, and compares what they cost.
//!
//! Servers run on one processor, the load on another. Repetitions of all servers alternate; the tables have medians.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::format_push_string,
    clippy::disallowed_methods,
    reason = "a bench ends by panicking when it cannot measure, and prints what it measured"
)]

mod client;
mod devices;
mod figures;
mod instructions;
mod meter;
mod prefill;
mod scenarios;
mod server;

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use bench_load::document::with_section;
use clap::{Args, Parser, Subcommand};
use figures::Figures;
use scenarios::Bench;
use server::{LOAD_CORE, Programs, Target, pinned};
use tokio::task::LocalSet;

/// Set in the process that is pinned.
const PINNED: &str = "WHARF_BENCH_PINNED";
const DOCUMENT: &str = "docs/benchmarks.md";

/// Measures the daemon against the same service in Node and against floors; see benches/README.md
#[derive(Parser)]
#[command(name = "bench-load")]
struct Cli {
    #[command(subcommand)]
    command: Mode,
    #[command(flatten)]
    programs: Programs,
}

#[derive(Subcommand)]
enum Mode {
    /// Runs the benches
    Run(Options),
    /// Counts the instructions of the hot paths, and compares them with the baseline
    Instructions(instructions::Options),
}

/// How much is measured.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The benches; all of them by default
    #[arg(value_enum)]
    benches: Vec<Bench>,
    /// Servers to measure; all that have the bench by default
    #[arg(long, value_enum, value_delimiter = ',')]
    targets: Vec<Target>,
    /// Repetitions, which alternate between the servers
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    repetitions: u32,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Sockets of the benches of sockets
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    sockets: u32,
    /// The largest sizes too: 5,000,000 messages and 10,000 devices
    #[arg(long)]
    large: bool,
    /// Writes the tables into docs/benchmarks.md
    #[arg(long)]
    write: bool,
    /// A sentence about this run for the tables, such as what else the machine did
    #[arg(long)]
    note: Option<String>,
}

impl Options {
    /// Those of the given servers that are selected.
    pub fn targets(&self, among: &[Target]) -> Vec<Target> {
        among
            .iter()
            .copied()
            .filter(|target| self.targets.is_empty() || self.targets.contains(target))
            .collect()
    }
}

/// What a bench needs.
pub struct Context {
    /// How much is measured.
    pub options: Options,
    /// Where the programs are.
    pub programs: Programs,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let options = match cli.command {
        Mode::Instructions(options) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            return LocalSet::new().block_on(&runtime, instructions::run(&options, &cli.programs));
        }
        Mode::Run(options) => options,
    };
    pin();
    let context = Context { options, programs: cli.programs };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let benches = match context.options.benches.as_slice() {
        [] => Bench::ALL.to_vec(),
        some => some.to_vec(),
    };
    for bench in benches {
        eprintln!("{}", bench.name());
        let mut figures = Figures::default();
        LocalSet::new().block_on(&runtime, bench.run(&context, &mut figures));
        let section = section(&context, bench, &figures);
        println!("\n{section}");
        if context.options.write {
            let document = fs::read_to_string(DOCUMENT).unwrap_or_else(|_| "# Benchmarks\n".to_owned());
            fs::write(DOCUMENT, with_section(&document, bench.name(), &section)).unwrap();
        }
    }
    ExitCode::SUCCESS
}

/// Runs this program again on the processor of the load. Sockets need many open files too.
fn pin() {
    if std::env::var_os(PINNED).is_some() {
        return;
    }
    let program = std::env::current_exe().unwrap();
    let error = pinned(LOAD_CORE, &program).args(std::env::args_os().skip(1)).env(PINNED, "1").exec();
    panic!("taskset: {error}");
}

fn section(context: &Context, bench: Bench, figures: &Figures) -> String {
    let Options { repetitions, seconds, .. } = context.options;
    let dated = format!(
        "{}, {}. Medians of {repetitions} repetitions of {seconds} s; the spread is largest less smallest.",
        date(),
        machine()
    );
    let note = context.options.note.as_ref().map(|note| format!("\n\n{note}")).unwrap_or_default();
    format!(
        "## {}: {}\n\n{dated}\n{}{note}\n\n{}",
        bench.name(),
        bench.title(),
        versions(&context.programs),
        figures.markdown()
    )
}

fn date() -> String {
    output(Command::new("date").args(["-u", "+%F"]))
}

fn machine() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processors = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse::<u64>().ok());
    let kernel = output(Command::new("uname").arg("-r"));
    format!(
        "{processors} processors ({}), {} GiB, Linux {kernel}",
        model.map_or("unknown", |(_, name)| name),
        kib.unwrap_or(0) / 1024 / 1024
    )
}

fn versions(programs: &Programs) -> String {
    let wharf = output(Command::new(&programs.wharf).arg("--version"));
    let commit = output(Command::new("git").args(["rev-parse", "--short", "HEAD"]));
    let node = output(Command::new(programs.node()).arg("--version"));
    let packages =
        ["fastify", "socket.io"].map(|name| format!("{name} {}", package_version(&programs.peer, name)));
    format!("{wharf} ({commit}); Node {node}, {}.", packages.join(", "))
}

fn package_version(peer: &Path, name: &str) -> String {
    let manifest: PathBuf = peer.join("node_modules").join(name).join("package.json");
    let text = fs::read_to_string(manifest).unwrap_or_default();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    json.get("version").and_then(|version| version.as_str()).unwrap_or("missing").to_owned()
}

fn output(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}
