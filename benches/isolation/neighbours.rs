//! The effect of each attack by one tenant, or by clients without a key, on another tenant.
//!
//! The victim's send, read and event are measured idle and during each attack, in one daemon with its default limits.
//! No request of the victim may fail.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::fleet;
use crate::latency::{Latencies, ms};
use crate::probe::Events;
use crate::process::{DaemonHome, Http};
use crate::report::Report;

const VICTIM: &str = "victim";
const ATTACKER: &str = "attacker";
/// A device of an engine with callbacks.
const CALLBACKS: &str = "callbacks";
/// Pause between the victim's rounds of one send, one read and one event.
const EVERY: Duration = Duration::from_millis(40);
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);
/// Time for an attack to take effect before the measurement, and for the daemon to recover after it.
const AROUND: Duration = Duration::from_secs(1);
const MOST_SLOWER: f64 = 5.0;
/// Messages of the chat that is searched, exported and replayed.
const MESSAGES: usize = 10_000;
/// Clients without a key have another address than the victim.
const STRANGER: &str = "127.0.0.2";

/// What the victim saw.
#[derive(Default)]
struct Seen {
    send: Latencies,
    read: Latencies,
    event: Latencies,
    failed: u64,
}

/// One kind of attack; it runs until it is aborted.
type Attack = fn(Target) -> BoxFuture<'static, ()>;

/// Attacks, with the number of clients of each.
const ATTACKS: [(&str, usize, Attack); 9] = [
    ("webhooks", 1, |target| Box::pin(webhooks(target))),
    ("search", 8, |target| Box::pin(search(target))),
    ("uploads", 4, |target| Box::pin(uploads(target))),
    ("import", 2, |target| Box::pin(import(target))),
    ("export", 4, |target| Box::pin(export(target))),
    ("SSE replay", 8, |target| Box::pin(replay(target))),
    ("sends", 8, |target| Box::pin(sends(target))),
    ("anonymous connections", 4, |target| Box::pin(anonymous(target))),
    ("callbacks", 4, |target| Box::pin(callbacks(target))),
];

/// The daemon as an attacker sees it.
#[derive(Clone)]
struct Target {
    /// With a key of the attacker's device.
    http: Http,
    client: reqwest::Client,
    /// A server that accepts requests and never answers.
    silent: SocketAddr,
    number: usize,
}

impl Target {
    fn url(&self, path: &str) -> String {
        format!("{}/api/v1/devices/{ATTACKER}/{path}", self.http.base())
    }

    async fn post(&self, path: &str, content_type: &str, body: Vec<u8>) {
        let request = self.client.post(self.url(path)).header("X-API-KEY", self.http.key());
        // A refusal is what the limits are for.
        let sent = request.header("content-type", content_type).body(body).send().await;
        if let Ok(answer) = sent {
            let _ = answer.bytes().await;
        }
    }

    async fn get(&self, path: &str) {
        let request = self.client.get(self.url(path)).header("X-API-KEY", self.http.key());
        if let Ok(answer) = request.send().await {
            let _ = answer.bytes().await;
        }
    }

    fn address(&self) -> SocketAddr {
        self.http.base().trim_start_matches("http://").parse().unwrap()
    }

    /// A connection from a stranger's address that sends these bytes.
    async fn stranger(&self, bytes: &[u8]) -> Option<TcpStream> {
        let socket = TcpSocket::new_v4().ok()?;
        socket.bind(SocketAddr::new(STRANGER.parse().unwrap(), 0)).ok()?;
        let mut stream = socket.connect(self.address()).await.ok()?;
        stream.write_all(bytes).await.ok()?;
        Some(stream)
    }
}

/// As many webhooks as the daemon allows, whose receiver never answers, and messages that call them.
async fn webhooks(target: Target) {
    loop {
        let hook = json!({ "url": format!("http://{}/hook", target.silent), "events": ["*"] });
        target.post("webhooks", "application/json", hook.to_string().into_bytes()).await;
        send(&target).await;
    }
}

async fn search(target: Target) {
    loop {
        target.get("messages/search?query=number%20of%20man").await;
    }
}

async fn uploads(target: Target) {
    for n in 0_u64.. {
        let mut bytes = vec![b'x'; 1_000_000];
        bytes[..16].copy_from_slice(format!("{:08}{n:08}", target.number).as_bytes());
        target.post("media", "application/octet-stream", bytes).await;
    }
}

fn text(messages: usize, author: &str) -> Vec<u8> {
    let line = |n| format!("31/01/2026, 14:05 - {author}: message number {n} of many\n");
    (0..messages).map(line).collect::<String>().into_bytes()
}

async fn import(target: Target) {
    for n in 0_u64.. {
        let author = format!("Anna {} {n}", target.number);
        target.post("chats/import?chatId=15550100009&me=Ben", "text/plain", text(3_000, &author)).await;
    }
}

async fn export(target: Target) {
    loop {
        target.get("chats/15550100001@c.us/export?format=json").await;
    }
}

/// Streams that read the whole log, and begin again.
async fn replay(target: Target) {
    loop {
        let Ok(mut stream) = target.http.stream(ATTACKER, Some(0), "").await else {
            sleep(EVERY).await;
            continue;
        };
        while let Ok(Ok(Some(_))) = timeout(Duration::from_millis(200), stream.chunk()).await {}
    }
}

async fn send(target: &Target) {
    let body = json!({ "to": "15550100001", "text": "hello" });
    target.post("messages/send", "application/json", body.to_string().into_bytes()).await;
}

async fn sends(target: Target) {
    loop {
        send(&target).await;
    }
}

/// Half request heads and WebSockets without a namespace.
async fn anonymous(target: Target) {
    let half = b"GET /healthz HTTP/1.1\r\nHost: loc";
    let upgrade = b"GET /ws/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let mut open = std::collections::VecDeque::new();
    loop {
        for bytes in [&half[..], &upgrade[..]] {
            open.extend(target.stranger(bytes).await);
        }
        if open.len() > 500 {
            open.pop_front();
        }
        sleep(Duration::from_millis(1)).await;
    }
}

/// Callbacks that announce eight megabytes and do not send them.
async fn callbacks(target: Target) {
    let head = format!(
        "POST /hooks/{CALLBACKS} HTTP/1.1\r\nHost: localhost\r\nX-Hub-Signature-256: sha256=00\r\n\
         Content-Length: 8388608\r\n\r\n{{"
    );
    let mut open = std::collections::VecDeque::new();
    loop {
        open.extend(target.stranger(head.as_bytes()).await);
        if open.len() > 100 {
            open.pop_front();
        }
        sleep(Duration::from_millis(1)).await;
    }
}

/// Accepts connections, and keeps them without an answer, as long as the tasks exist.
async fn silent_server() -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            open.push(stream);
        }
    });
    (address, tasks)
}

/// Writes to the victim; the error is a refusal.
async fn received(network: &Http, path: &str, body: &serde_json::Value) -> Result<(), u16> {
    let answer = network.post(path, body).await.map_err(|_| 0_u16)?;
    if answer.is_success() { Ok(()) } else { Err(answer.status) }
}

/// `network` has a key that may control the simulated network.
async fn measure_victim(http: &Http, network: &Http, count: &mut u64, length: Duration) -> Seen {
    let mut seen = Seen::default();
    let stream = http.stream(VICTIM, None, "?types=message").await.unwrap();
    let mut events = Events::new(stream);
    let until = Instant::now() + length;
    while Instant::now() < until {
        *count += 1;
        let body = json!({ "to": "15550100001", "text": format!("message {count}") });
        let began = Instant::now();
        let sent = http.post(&format!("devices/{VICTIM}/messages/send"), &body).await;
        seen.send.add(began.elapsed());
        seen.failed += u64::from(!sent.is_ok_and(|answer| answer.status == 201));

        let began = Instant::now();
        let read = http.get(&format!("devices/{VICTIM}/chats/15550100001@c.us/messages?limit=20")).await;
        seen.read.add(began.elapsed());
        seen.failed += u64::from(!read.is_ok_and(|answer| answer.status == 200));

        let network_id = format!("PROBE{count:08}");
        let body = json!({ "from": "15550100002", "body": "hello", "networkId": network_id });
        let began = Instant::now();
        let path = format!("simulator/{VICTIM}/incoming");
        let both = async {
            tokio::try_join!(received(network, &path, &body), async {
                events.wait_for(&network_id).await;
                Ok(())
            })
        };
        let received = timeout(ANSWERED_WITHIN, both).await;
        seen.event.add(began.elapsed());
        seen.failed += u64::from(!received.is_ok_and(|both| both.is_ok()));
        sleep(EVERY).await;
    }
    seen
}

/// Measures the victim idle, and for this many seconds during each attack.
pub async fn measure(seconds: u64, report: &mut Report) {
    let length = Duration::from_secs(seconds);
    println!("\none tenant beside the attacks of another, {seconds} s each");
    let home = DaemonHome::new().with("log.level", "error").with("net.allow_private", "127.0.0.0/8");
    let daemon = home.start().await;
    let http = &daemon.http;
    let mut targets = Vec::new();
    for device in [VICTIM, ATTACKER] {
        let body = json!({ "id": device, "engine": "simulator", "settings": fleet::settings(0) });
        http.post("devices", &body).await.unwrap().expect("create a device");
    }
    let settings = json!({ "cloud-api": { "phoneNumberId": "1", "accessToken": "t", "verifyToken": "v",
        "appSecret": "s", "baseUrl": "http://127.0.0.1:9" } });
    let body = json!({ "id": CALLBACKS, "engine": "cloud-api", "settings": settings });
    http.post("devices", &body).await.unwrap().expect("create a device with callbacks");
    fleet::all_ready(http, 2).await;
    for device in [VICTIM, ATTACKER] {
        let scopes = ["messages:read", "messages:send", "events:read", "devices:read", "devices:write"];
        let body = json!({ "name": device, "scopes": scopes, "devices": [device] });
        let created = http.post("api-keys", &body).await.unwrap().expect("create a key");
        let key = created["key"].as_str().or(created["apiKey"].as_str()).unwrap_or_else(|| panic!("no key"));
        targets.push(http.with_key(key));
    }
    let (victim, attacker) = (targets[0].clone(), targets[1].clone());
    let client =
        reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(ANSWERED_WITHIN).build().unwrap();
    let (silent, _tasks) = silent_server().await;
    let target = Target { http: attacker, client, silent, number: 0 };
    target.post("chats/import?chatId=15550100001&me=Ben", "text/plain", text(MESSAGES, "Anna")).await;
    let imported = http.get(&format!("devices/{ATTACKER}/messages/search?query=number")).await.unwrap();
    assert_ne!(imported.data().as_array().map(Vec::len), Some(0), "the import failed: {}", imported.body);

    let mut count = 0;
    let idle = measure_victim(&victim, http, &mut count, length).await;
    row(report, "idle", &idle);
    for (name, clients, attack) in ATTACKS {
        let mut running = JoinSet::new();
        for number in 0..clients {
            running.spawn(attack(Target { number, ..target.clone() }));
        }
        sleep(AROUND).await;
        let seen = measure_victim(&victim, http, &mut count, length).await;
        running.shutdown().await;
        row(report, name, &seen);
        for (what, attacked, idle) in [
            ("send", &seen.send, &idle.send),
            ("read", &seen.read, &idle.read),
            ("event", &seen.event, &idle.event),
        ] {
            let ratio = attacked.p99().as_secs_f64() / idle.p99().as_secs_f64();
            let what = format!("{name}: p99 of the victim's {what} / idle");
            report.bounded(&what, format!("{ratio:.2} ×"), "≤ 5 ×", ratio <= MOST_SLOWER);
        }
        report.bounded(
            &format!("{name}: failed requests of the victim"),
            seen.failed.to_string(),
            "0",
            seen.failed == 0,
        );
        sleep(AROUND).await;
    }
    daemon.stop().await;
}

fn row(report: &mut Report, name: &str, seen: &Seen) {
    for (what, latencies) in
        [("send → 201", &seen.send), ("read of a page", &seen.read), ("incoming → event", &seen.event)]
    {
        let value = format!("p50 {} · p99 {}", ms(latencies.per_mille(500)), ms(latencies.p99()));
        report.row(&format!("{name}: victim's {what}"), value);
    }
}
