//! SIGKILL while Socket.IO clients send and follow a device.
//!
//! A send over a socket has no key, so that a client does not repeat it: without an acknowledgement it happened once
//! or never. A client that returns with its position receives each event once, without a gap.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::checks::{self, Seen};
use crate::database::Database;
use crate::fleet::{self, create, quick, until_sent};
use crate::process::{Http, SeededRng};
use crate::rounds::number;
use crate::tally::Tally;

const ROUNDS: u64 = 40;
const LIFE_MS: (u64, u64) = (30, 400);
const DEVICE: &str = "shop";
const PAUSE: Duration = Duration::from_millis(5);
/// A kill is noticed within this time.
const NOTICE: Duration = Duration::from_secs(10);

/// A client in the namespace of the device.
struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// `None` if the daemon was killed meanwhile.
    async fn join(http: &Http, since: Option<i64>) -> Option<Self> {
        let url = format!("{}/ws/?EIO=4&transport=websocket", http.base().replacen("http", "ws", 1));
        let (mut stream, _) = tokio_tungstenite::connect_async(url).await.ok()?;
        let mut auth = json!({ "apiKey": http.key() });
        if let Some(since) = since {
            auth["since"] = json!(since);
        }
        stream.send(Message::text(format!("40/device/{DEVICE},{auth}"))).await.ok()?;
        Some(Self(stream))
    }

    /// The next packet; answers pings.
    async fn packet(&mut self) -> Option<String> {
        loop {
            match self.0.next().await?.ok()? {
                Message::Text(text) if text.as_str() == "2" => self.0.send(Message::text("3")).await.ok()?,
                Message::Text(text) => return Some(text.to_string()),
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }
}

/// A text that was emitted, and the id of its acknowledgement.
struct Emitted {
    body: String,
    id: Option<String>,
}

/// Sends until the daemon is killed.
async fn send(http: &Http, texts: &mut Vec<Emitted>) {
    let Some(mut socket) = Socket::join(http, None).await else { return };
    let confirmed = format!("40/device/{DEVICE},");
    loop {
        match socket.packet().await {
            Some(packet) if packet.starts_with(&confirmed) => break,
            Some(_) => {}
            None => return,
        }
    }
    for number in 0_u32.. {
        let body = format!("quokka socket {}", texts.len());
        let emit = json!(["message:send", { "to": "15550100001", "text": body }]);
        texts.push(Emitted { body, id: None });
        if socket.0.send(Message::text(format!("42/device/{DEVICE},{number}{emit}"))).await.is_err() {
            return;
        }
        let start = format!("43/device/{DEVICE},{number}[");
        let answer = loop {
            match socket.packet().await {
                Some(packet) if packet.starts_with(&start) => break packet,
                Some(_) => {}
                None => return,
            }
        };
        let answer: Value = serde_json::from_str(&answer[start.len() - 1..]).unwrap();
        if answer[0]["success"] == true {
            texts.last_mut().unwrap().id = answer[0]["messageId"].as_str().map(str::to_owned);
        } else {
            assert_eq!(answer[0]["code"], "store_unavailable", "{answer}");
        }
        sleep(PAUSE).await;
    }
}

/// Follows the device from the last position until the daemon is killed. Returns the number of events.
async fn follow(http: &Http, last: &mut i64) -> usize {
    let Some(mut socket) = Socket::join(http, Some(*last)).await else { return 0 };
    let mut count = 0;
    let start = format!("42/device/{DEVICE},[\"");
    while let Some(packet) = socket.packet().await {
        let Some(rest) = packet.strip_prefix(&start) else { continue };
        let event: Value = serde_json::from_str(&format!("[\"{rest}")).unwrap();
        assert_ne!(event[0], "resync", "the position {last} was lost");
        let seq = event[1]["seq"].as_i64();
        // Snapshots and live events have no position. An entry of the log may be emitted under two names.
        let Some(seq) = seq.filter(|seq| *seq != *last) else { continue };
        assert_eq!(seq, *last + 1, "a gap: {packet}");
        *last = seq;
        count += 1;
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_kills_under_sockets_lose_and_duplicate_nothing() {
    let rounds = number("WHARF_CRASH_ROUNDS").unwrap_or(ROUNDS);
    let seed = number("WHARF_CRASH_SEED").unwrap_or_else(SeededRng::random_seed);
    eprintln!("{rounds} rounds, WHARF_CRASH_SEED={seed}");
    let mut rng = SeededRng::new(seed);
    let mut tally = Tally::new("kills-sockets", seed);
    let home = fleet::home().await;
    let daemon = home.start().await;
    create(&daemon.http, DEVICE, &quick()).await;
    daemon.kill();
    let (mut texts, mut last, mut followed) = (Vec::new(), 0, 0);
    for _ in 0..rounds {
        let daemon = home.start().await;
        let http = daemon.http.clone();
        let life = Duration::from_millis(rng.between(LIFE_MS.0, LIFE_MS.1));
        let killed = async {
            sleep(life).await;
            daemon.kill();
        };
        let all = async { tokio::join!(send(&http, &mut texts), follow(&http, &mut last), killed) };
        let ((), events, ()) =
            timeout(life + NOTICE, all).await.expect("clients detect the end of the daemon");
        followed += events;
        tally.rounds += 1;
    }

    let daemon = home.start().await;
    until_sent(&daemon.http, DEVICE, Duration::from_secs(60)).await;
    let log = checks::checked_log(&daemon.http, DEVICE).await;
    assert!(last <= log.entries.last().map_or(0, |entry| entry.seq), "an emitted event was lost");
    let created = log.messages("message:created");
    let network = Seen::read(&daemon.http, DEVICE).await;
    let mut stored: HashMap<&str, u64> = HashMap::new();
    for entry in log.named("message:created") {
        *stored.entry(entry.payload["message"]["body"].as_str().unwrap()).or_default() += 1;
    }
    for text in &texts {
        if let Some(id) = &text.id {
            tally.lost += u64::from(!created.contains_key(id));
            network.shown_once(id, &text.body);
        }
        tally.duplicated += u64::from(stored.get(text.body.as_str()).is_some_and(|count| *count > 1));
    }
    daemon.stop().await;
    Database::open(&home).check();
    let acknowledged = texts.iter().filter(|text| text.id.is_some()).count();
    assert!(acknowledged > 0 && followed > 0, "there was no traffic");
    tally.add("texts emitted", texts.len());
    tally.add("texts acknowledged", acknowledged);
    tally.add("events followed", followed);
    tally.count_panics(&home);
    tally.check();
}
