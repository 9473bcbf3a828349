//! Connecting sockets, their acknowledged requests, and their memory and that of devices while idle.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::{Instant, sleep};

use super::add_shares;
use crate::Context;
use crate::client::Socket;
use crate::devices::{self, name};
use crate::figures::{Figures, Unit};
use crate::meter::Meter;
use crate::server::{Server, Target};

const AT_ONCE: u32 = 16;
const ECHOING: usize = 100;
const REST: Duration = Duration::from_secs(5);
const FEW_DEVICES: u32 = 1_000;
const MANY_DEVICES: u32 = 10_000;

const ALL: [Target; 4] = [Target::Wharf, Target::Node, Target::Socketio, Target::Websocket];

async fn start(context: &Context, target: Target, directory: &str) -> Server {
    let server = context.programs.start(target, &context.programs.directory(directory)).await;
    if matches!(target, Target::Wharf | Target::Node) {
        devices::create(&server, 0..1).await;
    }
    // The first connection sets up what all share.
    drop(connect_all(&server, AT_ONCE).await);
    server
}

async fn connect_all(server: &Server, count: u32) -> Vec<Socket> {
    let next = Rc::new(Cell::new(0));
    let mut tasks = Vec::new();
    for _ in 0..AT_ONCE.min(count) {
        let (endpoint, next) = (server.endpoint.clone(), next.clone());
        tasks.push(spawn_local(async move {
            let mut sockets = Vec::new();
            while next.get() < count {
                next.set(next.get() + 1);
                sockets.push(Socket::connect(&endpoint, &name(0)).await.unwrap());
            }
            sockets
        }));
    }
    let mut sockets = Vec::new();
    for task in tasks {
        sockets.extend(task.await.unwrap());
    }
    sockets
}

pub async fn connect(context: &Context, figures: &mut Figures) {
    let count = context.options.sockets;
    for _ in 0..context.options.repetitions {
        for target in context.options.targets(&ALL) {
            let server = start(context, target, "connect").await;
            let meter = Meter::start(&server);
            let sockets = connect_all(&server, count).await;
            let used = meter.stop();
            assert_eq!(sockets.len(), count as usize);
            figures.add("CPU per socket", Unit::Micros, target.name(), used.per_unit(u64::from(count)));
            figures.add("sockets", Unit::PerSecond, target.name(), used.rate(u64::from(count)));
            add_shares(figures, target.name(), &used);
        }
    }
    figures
        .note(format!("{count} sockets, {AT_ONCE} at a time: TCP, WebSocket, Engine.IO and one namespace."));
}

pub async fn echo(context: &Context, figures: &mut Figures) {
    for _ in 0..context.options.repetitions {
        for target in context.options.targets(&ALL) {
            let server = start(context, target, "echo").await;
            let sockets = connect_all(&server, u32::try_from(ECHOING).unwrap()).await;
            let until = Instant::now() + Duration::from_secs_f64(context.options.seconds);
            let meter = Meter::start(&server);
            let tasks: Vec<_> =
                sockets.into_iter().map(|socket| spawn_local(repeat(socket, until))).collect();
            let mut count = 0;
            for task in tasks {
                count += task.await.unwrap();
            }
            let used = meter.stop();
            figures.add("CPU per request", Unit::Micros, target.name(), used.per_unit(count));
            figures.add("requests", Unit::PerSecond, target.name(), used.rate(count));
            add_shares(figures, target.name(), &used);
        }
    }
    figures.note(format!("{ECHOING} sockets, each with one `subscribe` under way."));
}

async fn repeat(mut socket: Socket, until: Instant) -> u64 {
    let mut count = 0;
    while Instant::now() < until {
        socket.request("subscribe", "{}").await.unwrap();
        count += 1;
    }
    count
}

pub async fn idle(context: &Context, figures: &mut Figures) {
    let count = context.options.sockets;
    let devices = if context.options.large { MANY_DEVICES } else { FEW_DEVICES };
    for _ in 0..context.options.repetitions {
        for target in context.options.targets(&ALL) {
            let server = start(context, target, "idle").await;
            sleep(REST).await;
            let before = server.process.resident_kib();
            let sockets = connect_all(&server, count).await;
            sleep(REST).await;
            let each = added(&server, before) / f64::from(count);
            drop(sockets);
            figures.add("memory of a process without sockets", Unit::Kib, target.name(), before as f64);
            figures.add("memory of an idle socket", Unit::Kib, target.name(), each);
        }
        for target in context.options.targets(&[Target::Wharf, Target::Node]) {
            let server = start(context, target, "idle").await;
            let before = server.process.resident_kib();
            devices::create(&server, 1..devices + 1).await;
            sleep(REST).await;
            let each = added(&server, before) / f64::from(devices);
            figures.add("memory of an idle simulated device, just created", Unit::Kib, target.name(), each);
        }
    }
    figures.note(format!(
        "{count} sockets, {devices} devices; resident memory after {} s at rest.",
        REST.as_secs()
    ));
}

fn added(server: &Server, before: u64) -> f64 {
    server.process.resident_kib() as f64 - before as f64
}
