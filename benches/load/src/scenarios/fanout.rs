//! Events to many sockets of one device: at saturation, and at 40 messages a second.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bench_load::statistics::Latencies;
use tokio::sync::{Notify, Semaphore};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, interval, sleep, timeout};

use super::add_shares;
use crate::Context;
use crate::client::{HttpClient, Socket};
use crate::devices;
use crate::figures::{Figures, Unit};
use crate::meter::Meter;
use crate::server::{Server, Target};

/// Messages that are not yet at every socket, at saturation. Their frames fit in each server's buffer.
const OUTSTANDING: usize = 32;
const CONNECTIONS: u32 = 8;
const CHATS: u64 = 16;
const WARM_UP: Duration = Duration::from_secs(1);
const PACE: Duration = Duration::from_millis(25);
const PATIENCE: Duration = Duration::from_secs(60);

pub async fn run(context: &Context, figures: &mut Figures) {
    let all = [Target::Wharf, Target::Node, Target::Socketio, Target::Websocket];
    for _ in 0..context.options.repetitions {
        for target in context.options.targets(&all) {
            measure(context, target, figures).await;
        }
    }
    figures.note(format!(
        "{} sockets of one device. A message is two frames, `message` and `chat:update`. At saturation {OUTSTANDING} messages are under way; \
         the processor's time includes receiving and storing them where the server does that.",
        context.options.sockets
    ));
    figures.note("The latency is from the request that brings the message until the last socket has its `message` frame.");
}

async fn measure(context: &Context, target: Target, figures: &mut Figures) {
    let server = context.programs.start(target, &context.programs.directory("fanout")).await;
    if matches!(target, Target::Wharf | Target::Node) {
        devices::create(&server, 0..1).await;
        // The contacts exist before the sockets: a new one is an event too.
        let mut client = server.client().await;
        for number in 0..CHATS {
            devices::receive(&mut client, &devices::name(0), number, CHATS).await;
        }
    }
    let mut sockets = Vec::new();
    for _ in 0..context.options.sockets {
        sockets.push(Socket::connect(&server.endpoint, &devices::name(0)).await.unwrap());
    }
    let audience = Audience::new(sockets, "message");
    let send = async |client: &mut HttpClient, number: usize| {
        devices::receive(client, &devices::name(0), CHATS + number as u64, CHATS).await;
    };
    saturate(context, &server, &audience, send, target.name(), figures).await;
    pace(context, &server, &audience, send, target.name(), figures).await;
    audience.end();
}

/// Sends as many messages as the sockets get.
pub(super) async fn saturate<F>(
    context: &Context,
    server: &Server,
    audience: &Audience,
    send: F,
    column: &str,
    figures: &mut Figures,
) where
    F: AsyncFn(&mut HttpClient, usize) + Copy + 'static,
{
    let running = Rc::new(Cell::new(true));
    let room = Rc::new(Semaphore::new(OUTSTANDING));
    let mut tasks = Vec::new();
    for _ in 0..CONNECTIONS {
        let (mut client, tally) = (server.client().await, audience.tally.clone());
        let (running, room) = (running.clone(), room.clone());
        tasks.push(spawn_local(async move {
            while running.get() {
                room.acquire().await.unwrap().forget();
                let number = tally.begin();
                send(&mut client, number).await;
            }
        }));
    }
    let (tally, refill) = (audience.tally.clone(), room.clone());
    let releaser = spawn_local(async move {
        let mut released = tally.completed();
        loop {
            tally.progress.notified().await;
            refill.add_permits(tally.completed() - released);
            released = tally.completed();
        }
    });
    sleep(WARM_UP).await;
    let (before, bytes_before, messages) =
        (audience.tally.frames.get(), audience.tally.bytes.get(), audience.tally.completed());
    let meter = Meter::start(server);
    sleep(Duration::from_secs_f64(context.options.seconds)).await;
    let used = meter.stop();
    let frames = audience.tally.frames.get() - before;
    let bytes = audience.tally.bytes.get() - bytes_before;
    let messages = audience.tally.completed() - messages;
    running.set(false);
    room.add_permits(OUTSTANDING);
    for task in tasks {
        timeout(PATIENCE, task).await.unwrap().unwrap();
    }
    audience.tally.wait_for_all().await;
    releaser.abort();
    figures.add("saturation: CPU per frame", Unit::Micros, column, used.per_unit(frames));
    figures.add("saturation: frames", Unit::PerSecond, column, used.rate(frames));
    figures.add("saturation: messages to all sockets", Unit::PerSecond, column, used.rate(messages as u64));
    figures.add("saturation: bytes of a frame", Unit::Bytes, column, bytes as f64 / frames as f64);
    add_shares(figures, column, &used);
}

/// Sends 40 messages a second.
pub(super) async fn pace<F>(
    context: &Context,
    server: &Server,
    audience: &Audience,
    send: F,
    column: &str,
    figures: &mut Figures,
) where
    F: AsyncFn(&mut HttpClient, usize) + Copy + 'static,
{
    let count = (context.options.seconds / PACE.as_secs_f64()) as usize;
    let first = audience.tally.begun.get();
    let mut tick = interval(PACE);
    let mut requests = Vec::new();
    for _ in 0..count {
        tick.tick().await;
        let (mut client, tally) = (server.client().await, audience.tally.clone());
        requests.push(spawn_local(async move {
            let number = tally.begin();
            send(&mut client, number).await;
        }));
    }
    for request in requests {
        request.await.unwrap();
    }
    audience.tally.wait_for_all().await;
    let latencies = audience.tally.latencies_from(first);
    for (name, share) in [("median", 0.5), ("99th percentile", 0.99)] {
        let millis = latencies.percentile(share).as_secs_f64() * 1e3;
        figures.add(
            &format!("40 messages a second: {name} to the last socket"),
            Unit::Millis,
            column,
            millis,
        );
    }
}

/// Many sockets and what arrived at them.
pub(super) struct Audience {
    tally: Rc<Tally>,
    readers: Vec<JoinHandle<()>>,
}

impl Audience {
    /// `event` is the frame that each socket gets once for each message.
    pub(super) fn new(sockets: Vec<Socket>, event: &'static str) -> Self {
        let tally = Rc::new(Tally::new(sockets.len() as u32));
        let read = |socket| spawn_local(read(socket, event, tally.clone()));
        Self { readers: sockets.into_iter().map(read).collect(), tally }
    }

    pub(super) fn end(&self) {
        self.readers.iter().for_each(JoinHandle::abort);
    }
}

/// Reads until the socket ends, which it must not do during the measurement.
async fn read(mut socket: Socket, event: &str, tally: Rc<Tally>) {
    let (prefix, event) = (socket.event_prefix(), format!("{event}\""));
    let mut messages = 0;
    loop {
        let frame = socket.frame().await.unwrap();
        let Some(rest) = frame.strip_prefix(prefix.as_bytes()) else { continue };
        if rest.starts_with(b"state\"") {
            continue;
        }
        tally.frames.set(tally.frames.get() + 1);
        tally.bytes.set(tally.bytes.get() + frame.len() as u64);
        if rest.starts_with(event.as_bytes()) {
            tally.arrived(messages);
            messages += 1;
        }
    }
}

/// The frames of all sockets. The nth `message` of each socket is the nth message.
struct Tally {
    sockets: u32,
    frames: Cell<u64>,
    bytes: Cell<u64>,
    begun: Cell<usize>,
    messages: RefCell<Vec<Progress>>,
    complete: Cell<usize>,
    progress: Notify,
}

#[derive(Clone, Copy)]
struct Progress {
    began: Instant,
    arrived: u32,
    last: Instant,
}

impl Tally {
    fn new(sockets: u32) -> Self {
        Self {
            sockets,
            frames: Cell::new(0),
            bytes: Cell::new(0),
            begun: Cell::new(0),
            messages: RefCell::default(),
            complete: Cell::new(0),
            progress: Notify::new(),
        }
    }

    fn begin(&self) -> usize {
        let now = Instant::now();
        self.messages.borrow_mut().push(Progress { began: now, arrived: 0, last: now });
        self.begun.replace(self.begun.get() + 1)
    }

    fn arrived(&self, message: usize) {
        let mut messages = self.messages.borrow_mut();
        let progress = messages.get_mut(message).expect("a message that was sent");
        progress.arrived += 1;
        if progress.arrived == self.sockets {
            progress.last = Instant::now();
            self.complete.set(self.complete.get() + 1);
            self.progress.notify_one();
        }
    }

    /// Messages that are at all sockets.
    fn completed(&self) -> usize {
        self.complete.get()
    }

    /// Waits until all messages are at all sockets.
    async fn wait_for_all(&self) {
        let complete = async {
            while self.completed() < self.begun.get() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, complete).await.expect("every socket has every message");
    }

    fn latencies_from(&self, first: usize) -> Latencies {
        let mut latencies = Latencies::default();
        self.messages.borrow()[first..]
            .iter()
            .for_each(|progress| latencies.add(progress.last - progress.began));
        latencies
    }
}
