//! Two runs of the same traffic: with healthy devices only, then with three faulty devices.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::Args;
use crate::fleet::{self, messages};
use crate::latency::Latencies;
use crate::probe::{self, Probed};
use crate::process::{self, Daemon, DaemonHome, Http};
use crate::report::Report;
use crate::trouble::Trouble;

/// Seconds before memory is compared, and seconds per average.
const FIRST: usize = 60;
const AVERAGED: usize = 10;
/// Bounds: memory growth after the first minute, and slowdown of the other devices.
const ENOUGH_MINUTES: u32 = 3;
const MOST_GROWTH: f64 = 0.05;
const MOST_SLOWER: f64 = 2.0;

/// Measures both runs and compares them.
pub async fn measure(args: &Args, report: &mut Report) {
    let devices = args.devices;
    println!(
        "\n{devices} devices, {} messages a minute each, all well, {} min",
        args.per_minute, args.minutes
    );
    let well = run(args, None).await;
    well.report("all healthy", report);
    let growth = growth(&well.resident_kib);
    let what = "memory growth after the first minute";
    if args.minutes >= ENOUGH_MINUTES {
        report.bounded(what, percent(growth), "< 5 %", growth < MOST_GROWTH);
    } else {
        report
            .row(what, format!("{} (a run of {ENOUGH_MINUTES} minutes or more is needed)", percent(growth)));
    }

    println!("\nthe same with one panicking, one stalled, one flooding, {} min", args.minutes);
    let troubled = run(args, Some(Trouble::among(devices))).await;
    troubled.report("with faulty devices", report);
    compare("send", &well.probed.send, &troubled.probed.send, report);
    compare("receive", &well.probed.receive, &troubled.probed.receive, report);
}

fn compare(what: &str, well: &Latencies, troubled: &Latencies, report: &mut Report) {
    let ratio = troubled.p99().as_secs_f64() / well.p99().as_secs_f64();
    let what = format!("p99 of the others, {what}: in trouble / all well");
    report.bounded(&what, format!("{ratio:.2} ×"), "≤ 2 ×", ratio <= MOST_SLOWER);
}

struct Run {
    resident_kib: Vec<u64>,
    probed: Probed,
    received: f64,
    sent: f64,
    cpu: f64,
    /// Processor time of other programs on the machine.
    others_cpu: f64,
    extra: Vec<(String, String)>,
}

impl Run {
    fn report(&self, name: &str, report: &mut Report) {
        let mib = |kib: u64| format!("{:.1} MiB", kib as f64 / 1024.0);
        let at = |second: usize| self.resident_kib[second.min(self.resident_kib.len() - 1)];
        let (first, last) = (at(FIRST), at(usize::MAX));
        report
            .row(&format!("{name}: messages in, out"), format!("{:.0}/s, {:.0}/s", self.received, self.sent));
        report.row(
            &format!("{name}: memory after a minute, at the end"),
            format!("{}, {}", mib(first), mib(last)),
        );
        let cpu = |part: f64| format!("{:.0} % of one core", part * 100.0);
        report.row(&format!("{name}: processor"), cpu(self.cpu));
        report.row(&format!("{name}: processor of other programs during the run"), cpu(self.others_cpu));
        report.row(&format!("{name}: send → 201"), self.probed.send.to_string());
        report.row(&format!("{name}: incoming → message event"), self.probed.receive.to_string());
        for (what, value) in &self.extra {
            report.row(&format!("{name}: {what}"), value);
        }
    }
}

async fn run(args: &Args, trouble: Option<Trouble>) -> Run {
    // Panics must be frequent: spread over minutes they would not affect other devices.
    let home = DaemonHome::new()
        .with("supervisor.backoff_initial_ms", "100")
        .with("supervisor.backoff_max_ms", "100")
        .with("supervisor.panics_before_failed", "1000000")
        .with("log.level", "warn");
    let daemon = home.start().await;
    let http = &daemon.http;
    fleet::create(http, args.devices, &fleet::settings(args.per_minute)).await;

    let length = Duration::from_secs(u64::from(args.minutes) * 60);
    let (began, until) = (Instant::now(), Instant::now() + length);
    let clients = match &trouble {
        Some(trouble) => Some(trouble.begin(http, until).await),
        None => None,
    };
    let before = messages(&home, None);
    let (cpu_before, others_before) = (daemon.cpu_seconds(), others_cpu_seconds(&daemon));
    let (probed, resident_kib) = tokio::join!(probe::run(http, until), watch_memory(&daemon, until));
    let seconds = began.elapsed().as_secs_f64();
    let after = messages(&home, None);
    let (cpu, others) = (daemon.cpu_seconds() - cpu_before, others_cpu_seconds(&daemon) - others_before);
    let extra = match &trouble {
        Some(trouble) => extra(http, &home, trouble, seconds).await,
        None => Vec::new(),
    };
    if let Some(clients) = clients {
        clients.join_all().await;
    }
    daemon.stop().await;
    let rate = |before: i64, after: i64| (after - before) as f64 / seconds;
    Run {
        resident_kib,
        probed,
        received: rate(before.0, after.0),
        sent: rate(before.1, after.1),
        cpu: cpu / seconds,
        others_cpu: others / seconds,
        extra,
    }
}

/// Processor time used by other programs; it slows a run down, so the report shows it.
fn others_cpu_seconds(daemon: &Daemon) -> f64 {
    process::busy_cpu_seconds() - daemon.cpu_seconds() - process::own_cpu_seconds()
}

/// Evidence that the three devices were faulty.
async fn extra(http: &Http, home: &DaemonHome, trouble: &Trouble, seconds: f64) -> Vec<(String, String)> {
    let metrics = http.metrics().await;
    let panics =
        metrics.lines().find_map(|line| line.strip_prefix("wharf_engine_panics_total ")).unwrap_or("?");
    let (received, sent) = messages(home, Some(&trouble.flooding));
    let queue = http.get(&format!("devices/{}/queue-status", trouble.stalled)).await.unwrap();
    let waiting = queue.data().pointer("/queue/queuedMessages").map_or_else(String::new, ToString::to_string);
    let rate = |count: i64| count as f64 / seconds;
    vec![
        ("panics of the panicking one".to_owned(), panics.to_owned()),
        (
            "messages in, out of the flooding one".to_owned(),
            format!("{:.0}/s, {:.0}/s", rate(received), rate(sent)),
        ),
        ("messages that wait at the stalled one".to_owned(), waiting),
    ]
}

/// Resident memory, once a second.
async fn watch_memory(daemon: &Daemon, until: Instant) -> Vec<u64> {
    let mut samples = Vec::new();
    let mut ticks = interval_at(Instant::now(), Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while Instant::now() < until {
        ticks.tick().await;
        samples.push(daemon.resident_kib());
        if samples.len().is_multiple_of(30) {
            println!("  after {} s: {:.1} MiB", samples.len(), *samples.last().unwrap() as f64 / 1024.0);
        }
    }
    samples
}

/// The highest average after the first minute relative to the one at its end. A run of up to a minute uses
/// its first half instead.
fn growth(samples: &[u64]) -> f64 {
    let first = FIRST.min(samples.len() / 2);
    let average = |window: &[u64]| window.iter().sum::<u64>() as f64 / window.len() as f64;
    let at_first = average(&samples[first.saturating_sub(AVERAGED)..first]);
    let highest = samples[first..].windows(AVERAGED).map(average).fold(f64::MIN, f64::max);
    highest / at_first - 1.0
}

fn percent(part: f64) -> String {
    format!("{:+.1} %", part * 100.0)
}
