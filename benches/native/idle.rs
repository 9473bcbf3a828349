//! Memory, processor time and reconnection of idle linked devices.

use std::time::Duration;

use testbed::Testbed;
use tokio::time::sleep;

use crate::process::{Daemon, DaemonHome, busy_cpu_seconds};
use crate::report::Report;
use crate::{Args, fleet};

/// Idle time before memory is read and processor time is measured.
const REST: Duration = Duration::from_secs(15);
const MOST_MIB: f64 = 512.0;
const MOST_PERCENT: f64 = 2.0;
const BACK_WITHIN: Duration = Duration::from_secs(30);
/// The bounds apply to this many devices and to fewer.
const BOUND_FOR: u32 = 1_000;

/// Links the devices, lets them idle, and restarts the daemon.
pub async fn measure(args: &Args, report: &mut Report) {
    println!("\n{} devices of the native engine", args.devices);
    assert!(args.devices <= BOUND_FOR, "the bounds are for {BOUND_FOR} devices at most");
    let testbed = Testbed::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let url = format!("http://{}", testbed.address());
    let home = DaemonHome::new().with("log.level", "warn").with("engines.whatsapp.testbed_url", &url);
    let daemon = home.start().await;
    sleep(REST).await;
    let empty = daemon.resident_kib();
    report.row("memory without devices", mib(empty));
    fleet::link(&daemon.http, args.devices).await;
    report.row("until all of them were linked, a few at a time", seconds(daemon.age() - REST));
    at_rest(&daemon, args, empty, "just linked", report).await;
    daemon.stop().await;

    let daemon = home.start().await;
    fleet::all_ready(&daemon.http, args.devices).await;
    let back = daemon.age();
    report.bounded(
        &format!("restart with {} devices until all are ready (200 a second may connect)", args.devices),
        seconds(back),
        "≤ 30 s",
        back <= BACK_WITHIN,
    );
    at_rest(&daemon, args, empty, "after a restart", report).await;
    daemon.stop().await;
}

async fn at_rest(daemon: &Daemon, args: &Args, empty: u64, when: &str, report: &mut Report) {
    sleep(REST).await;
    let (before, busy) = (daemon.cpu_seconds(), busy_cpu_seconds());
    let over = Duration::from_secs(args.idle_seconds);
    sleep(over).await;
    let percent = |seconds: f64| 100.0 * seconds / over.as_secs_f64();
    let own = daemon.cpu_seconds() - before;
    let others = busy_cpu_seconds() - busy - own;
    let resident = daemon.resident_kib();
    let devices = args.devices;
    report.bounded(
        &format!("memory in all with {devices} linked devices, {when}"),
        mib(resident),
        "≤ 512 MiB",
        resident as f64 / 1024.0 <= MOST_MIB,
    );
    let each = (resident as f64 - empty as f64) / f64::from(devices);
    report.row(&format!("memory of each, {when}"), format!("{each:.0} KiB"));
    report.bounded(
        &format!("processor of all at rest, {when}"),
        format!("{:.2} % of one core", percent(own)),
        "< 2 %",
        percent(own) < MOST_PERCENT,
    );
    report.row("processor of other programs during the run", format!("{:.0} % of one core", percent(others)));
}

fn mib(kib: u64) -> String {
    format!("{:.1} MiB", kib as f64 / 1024.0)
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
