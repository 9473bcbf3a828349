//! Memory of an idle device, and the start time with many devices.

use std::time::Duration;

use tokio::time::sleep;

use crate::fleet;
use crate::latency::{Latencies, ms};
use crate::process::DaemonHome;
use crate::report::Report;

/// Idle time before memory is read.
const REST: Duration = Duration::from_secs(10);
const STARTS: usize = 5;
/// The bounds: about a megabyte per idle device, a start well below a second.
const MOST_KIB: f64 = 1_024.0;
const MOST_START: Duration = Duration::from_millis(500);

/// Measures both.
pub async fn measure(devices: u32, report: &mut Report) {
    println!("\n{devices} idle devices");
    let home = DaemonHome::new().with("log.level", "warn");
    let daemon = home.start().await;
    sleep(REST).await;
    let empty = daemon.resident_kib();
    fleet::create(&daemon.http, devices, &fleet::settings(0)).await;
    sleep(REST).await;
    let each = |now: u64| (now as f64 - empty as f64) / f64::from(devices);
    let linked = daemon.resident_kib();
    daemon.stop().await;
    report.row("memory without devices", format!("{:.1} MiB", empty as f64 / 1024.0));
    report.bounded(
        &format!("memory of an idle linked device, of {devices} just linked"),
        format!("{:.1} KiB", each(linked)),
        "≤ 1024 KiB",
        each(linked) <= MOST_KIB,
    );

    let (mut answers, mut ready) = (Latencies::default(), Latencies::default());
    let mut resident = 0;
    for _ in 0..STARTS {
        let daemon = home.start().await;
        answers.add(daemon.age());
        fleet::all_ready(&daemon.http, devices).await;
        ready.add(daemon.age());
        sleep(REST).await;
        resident = daemon.resident_kib();
        daemon.stop().await;
    }
    report.row("the same after a restart", format!("{:.1} KiB", each(resident)));
    let slowest = answers.per_mille(1_000);
    report.bounded(
        &format!("start with {devices} devices until /healthz answers"),
        format!("p50 {} · max {}", ms(answers.per_mille(500)), ms(slowest)),
        "< 500 ms",
        slowest < MOST_START,
    );
    report.row("until all of them are ready (200 a second may connect)", ms(ready.per_mille(500)));
}
