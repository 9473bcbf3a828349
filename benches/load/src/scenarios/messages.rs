//! Messages that are sent until they are read, and messages that come in; against Node and bare SQLite.

use std::cell::Cell;
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep};

use super::add_shares;
use crate::Context;
use crate::client::Socket;
use crate::devices::{self, name, repeat};
use crate::figures::{Figures, Unit};
use crate::meter::Meter;
use crate::server::{Programs, SERVER_CORE, Server, Target, pinned};

const CONNECTIONS: u32 = 64;
const CHATS: u64 = 16;
const SQLITE: &str = "bare SQLite";
const SCHEMA: &str = "benches/peers/schema.sql";
const FLOOR_MESSAGES: u32 = 20_000;
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(5);

pub async fn send(context: &Context, figures: &mut Figures) {
    for _ in 0..context.options.repetitions {
        for target in context.options.targets(&[Target::Wharf, Target::Node]) {
            let server = context.programs.start(target, &context.programs.directory("send")).await;
            devices::create(&server, 0..1).await;
            measure_send(context, &server, target.name(), figures).await;
        }
        floor(&context.programs, "send", figures);
    }
    figures.note(format!(
        "{CONNECTIONS} connections send through one device as fast as they are answered; the time ends when a socket has seen every message read. \
         The network acknowledges at once, the recipient after 5 and 10 ms."
    ));
    figures
        .note("Bare SQLite writes the same rows in five transactions of 64 messages each, without a server.");
}

async fn measure_send(context: &Context, server: &Server, column: &str, figures: &mut Figures) {
    let read = Rc::new(Cell::new(0));
    let watcher = spawn_local(count_reads(server, read.clone()).await);
    let meter = Meter::start(server);
    let sent = repeat(server, CONNECTIONS, context.options.seconds, async |client, _, number| {
        while !devices::send(client, &name(0), number, CHATS).await {
            sleep(PAUSE).await;
        }
    })
    .await;
    let deadline = Instant::now() + PATIENCE;
    while read.get() < sent.count {
        assert!(Instant::now() < deadline, "{} of {} messages were read", read.get(), sent.count);
        sleep(PAUSE).await;
    }
    let used = meter.stop();
    watcher.abort();
    figures.add("sent until read", Unit::PerSecond, column, used.rate(sent.count));
    figures.add("CPU per message", Unit::Micros, column, used.per_unit(sent.count));
    let p99 = sent.latencies.percentile(0.99).as_secs_f64() * 1e3;
    figures.add("request until 201, 99th percentile", Unit::Millis, column, p99);
    add_shares(figures, column, &used);
}

/// Counts `message:read` events on a socket of the first device.
async fn count_reads(server: &Server, read: Rc<Cell<u64>>) -> impl Future<Output = ()> + use<> {
    let mut socket = Socket::connect(&server.endpoint, &name(0)).await.unwrap();
    let prefix = format!("42/device/{},[\"message:read\"", name(0));
    async move {
        loop {
            let frame = socket.frame().await.unwrap();
            if frame.starts_with(prefix.as_bytes()) {
                read.set(read.get() + 1);
            }
        }
    }
}

pub async fn inbound(context: &Context, figures: &mut Figures) {
    for _ in 0..context.options.repetitions {
        for target in context.options.targets(&[Target::Wharf, Target::Node]) {
            let server = context.programs.start(target, &context.programs.directory("inbound")).await;
            devices::create(&server, 0..CONNECTIONS).await;
            measure_inbound(context, &server, "64 devices", target.name(), figures).await;
            measure_inbound(context, &server, "one device, one chat", target.name(), figures).await;
        }
        floor(&context.programs, "inbound", figures);
    }
    figures.note(format!("{CONNECTIONS} connections bring messages as fast as they are answered."));
    figures.note("Bare SQLite writes the same rows in transactions of 64 messages each, without a server.");
}

async fn measure_inbound(
    context: &Context,
    server: &Server,
    what: &str,
    column: &str,
    figures: &mut Figures,
) {
    let one = what.starts_with("one");
    // Each part has network ids of its own.
    let first = if one { 1_000_000_000 } else { 0 };
    let meter = Meter::start(server);
    let received =
        repeat(server, CONNECTIONS, context.options.seconds, async move |client, connection, number| {
            let (device, chats) = if one { (name(0), 1) } else { (name(connection), CHATS) };
            devices::receive(client, &device, first + number, chats).await;
        })
        .await;
    let used = meter.stop();
    figures.add(&format!("{what}: CPU per message"), Unit::Micros, column, used.per_unit(received.count));
    figures.add(&format!("{what}: messages"), Unit::PerSecond, column, used.rate(received.count));
    add_shares(figures, column, &used);
}

fn floor(programs: &Programs, work: &str, figures: &mut Figures) {
    let dir = programs.directory("sqlite");
    let mut command: Command = pinned(SERVER_CORE, &programs.floor);
    command.arg("sqlite").arg("--dir").arg(dir).args(["--schema", SCHEMA, "--work", work]);
    command.args(["--messages", &FLOOR_MESSAGES.to_string()]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    let number = |name: &str| result.get(name).and_then(Value::as_f64).unwrap();
    let cpu = number("cpuNs") / number("units") / 1e3;
    let measures: &[&str] = match work {
        "send" => &["CPU per message"],
        _ => &["64 devices: CPU per message", "one device, one chat: CPU per message"],
    };
    measures.iter().for_each(|measure| figures.add(measure, Unit::Micros, SQLITE, cpu));
}
