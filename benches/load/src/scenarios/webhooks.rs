//! Signed deliveries to a receiver in this process, and what a waiting backlog costs a new event.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use rusqlite::{Connection, params};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep};

use super::add_shares;
use crate::Context;
use crate::devices::{self, name, repeat};
use crate::figures::{Figures, Unit};
use crate::meter::Meter;
use crate::server::{Server, Target};

const WHARF: &str = "Wharf";
const SETTINGS: [(&str, &str); 1] = [("net.allow_private", "127.0.0.1")];
const DEVICES: u32 = 64;
const ENDPOINTS: usize = 8;
const CHATS: u64 = 16;
const WAITING: u32 = 100_000;
const DAY_MS: i64 = 86_400_000;
const PATIENCE: Duration = Duration::from_secs(120);

pub async fn run(context: &Context, figures: &mut Figures) {
    if context.options.targets(&[Target::Wharf]).is_empty() {
        return;
    }
    for _ in 0..context.options.repetitions {
        deliver(context, figures).await;
        for waiting in [0, WAITING] {
            backlog(context, waiting, figures).await;
        }
    }
    figures.ratio(&column(WAITING), &column(0));
    figures.note(format!(
        "Deliveries: messages come in at {DEVICES} devices, each event goes to {ENDPOINTS} webhooks with the order of devices, until the last is delivered. \
         Every delivery has a signature, and its order is checked. CPU per delivery includes its share of receiving the message."
    ));
    figures.note("A new event: an incoming message that one webhook receives, without and with waiting deliveries of another webhook.");
}

fn column(waiting: u32) -> String {
    format!("{WHARF}, {waiting} waiting")
}

async fn start(context: &Context) -> (Server, Receiver) {
    let dir = context.programs.directory("webhooks");
    let server = context.programs.start_with(Target::Wharf, &dir, &SETTINGS).await;
    (server, Receiver::start().await)
}

async fn deliver(context: &Context, figures: &mut Figures) {
    let (server, receiver) = start(context).await;
    devices::create(&server, 0..DEVICES).await;
    for endpoint in 0..ENDPOINTS {
        create_endpoint(&server, &receiver, endpoint).await;
    }
    let meter = Meter::start(&server);
    let received = repeat(&server, DEVICES, context.options.seconds, async |client, connection, number| {
        devices::receive(client, &name(connection), number, CHATS).await;
    })
    .await;
    let expected = received.count * ENDPOINTS as u64;
    let deadline = Instant::now() + PATIENCE;
    while receiver.seen.count.get() < expected {
        assert!(Instant::now() < deadline, "{} of {expected} deliveries arrived", receiver.seen.count.get());
        sleep(Duration::from_millis(5)).await;
    }
    let used = meter.stop();
    assert_eq!(receiver.seen.disorder.get(), 0, "deliveries out of order");
    figures.add("deliveries", Unit::PerSecond, WHARF, used.rate(expected));
    figures.add("CPU per delivery", Unit::Micros, WHARF, used.per_unit(expected));
    add_shares(figures, WHARF, &used);
}

async fn backlog(context: &Context, waiting: u32, figures: &mut Figures) {
    let (server, receiver) = start(context).await;
    devices::create(&server, 0..1).await;
    create_endpoint(&server, &receiver, 0).await;
    create_endpoint(&server, &receiver, 1).await;
    let data = server.data.clone();
    let dir = data.parent().unwrap().to_owned();
    server.stop().await;
    fill(&data, waiting);
    let server = context.programs.start_with(Target::Wharf, &dir, &SETTINGS).await;
    devices::all_ready(&server, 1).await;
    let meter = Meter::start(&server);
    let received = repeat(&server, 16, context.options.seconds, async |client, _, number| {
        devices::receive(client, &name(0), number, CHATS).await;
    })
    .await;
    let used = meter.stop();
    figures.add("a new event: CPU", Unit::Micros, &column(waiting), used.per_unit(received.count));
    add_shares(figures, &column(waiting), &used);
}

/// Adds deliveries of the second endpoint that are due tomorrow.
fn fill(data: &Path, waiting: u32) {
    let connection = Connection::open(data.join("wharf.db")).unwrap();
    connection
        .execute(
            "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?1)
             INSERT INTO webhook_deliveries (endpoint, device_id, seq, kind, name, due)
             SELECT (SELECT max(pk) FROM webhook_endpoints), ?2, 1000000000 + n, 'message', 'message', unixepoch() * 1000 + ?3
             FROM numbers WHERE ?1 > 0",
            params![waiting, name(0), DAY_MS],
        )
        .unwrap();
}

async fn create_endpoint(server: &Server, receiver: &Receiver, number: usize) {
    let url = format!("{}/{number}", receiver.url);
    let body = json!({ "url": url, "events": ["message"], "ordering": "device" });
    let mut client = server.client().await;
    client.post("/api/v1/webhooks", &body).await.unwrap().expect_success("create a webhook");
}

/// Answers every delivery with 204.
struct Receiver {
    url: String,
    seen: Rc<Seen>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    count: Cell<u64>,
    disorder: Cell<u64>,
    /// The last `seq` by path and device.
    last: RefCell<HashMap<(String, String), i64>>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Rc::new(Seen::default());
        let shared = seen.clone();
        let task = spawn_local(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let seen = shared.clone();
                spawn_local(async move {
                    // The sender may close an idle connection.
                    let _ = answer_all(stream, &seen).await;
                });
            }
        });
        Self { url, seen, task }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer_all(mut stream: TcpStream, seen: &Seen) -> Option<()> {
    let mut buffer = Vec::with_capacity(4_096);
    loop {
        let end = loop {
            if let Some(end) = request_end(&buffer, seen) {
                break end;
            }
            buffer.reserve(4_096);
            (stream.read_buf(&mut buffer).await.ok()? > 0).then_some(())?;
        };
        buffer.drain(..end);
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.ok()?;
    }
}

/// Where the request ends, once it is there; records it.
fn request_end(buffer: &[u8], seen: &Seen) -> Option<usize> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Request::new(&mut headers);
    let start = match head.parse(buffer).unwrap() {
        httparse::Status::Complete(start) => start,
        httparse::Status::Partial => return None,
    };
    let header = |name: &str| {
        let found = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok())
    };
    let length: usize = header("content-length")?.parse().ok()?;
    let body = buffer.get(start..start + length)?;
    assert!(header("webhook-signature").is_some_and(|value| value.starts_with("v1,")), "a signature");
    seen.record(head.path.unwrap_or_default(), body);
    Some(start + length)
}

impl Seen {
    fn record(&self, path: &str, body: &[u8]) {
        self.count.set(self.count.get() + 1);
        let body: Value = serde_json::from_slice(body).unwrap();
        let field =
            |pointer: &str| body.pointer(pointer).or_else(|| body.pointer(&format!("/data{pointer}")));
        let device = field("/deviceId").and_then(Value::as_str).expect("a device").to_owned();
        let seq = field("/seq").and_then(Value::as_i64).expect("a position in the log");
        let mut last = self.last.borrow_mut();
        let last = last.entry((path.to_owned(), device)).or_insert(0);
        if seq <= *last {
            self.disorder.set(self.disorder.get() + 1);
        }
        *last = seq;
    }
}
