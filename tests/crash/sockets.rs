//! Many sockets that stall, flood, send half frames or vanish, beside one client that works.
//!
//! `WHARF_CRASH_ROUNDS` sets the number of sockets. They have a valid key: without one a daemon closes them earlier,
//! which `descriptors` tests.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::checks;
use crate::database::Database;
use crate::fleet::{self, create, quick, until, until_sent};
use crate::process::{Http, SeededRng};
use crate::rounds::number;
use crate::tally::Tally;
use crate::traffic::{Sender, Writer};

const SOCKETS: u64 = 400;
/// Opened at a time.
const BATCH: u64 = 50;
const DEVICE: &str = "shop";
/// A send or a received message of the client that works.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
const FLOOD_FRAMES: usize = 200;
/// Longest wait for the daemon to notice that all sockets are gone. A ping is due every 25 s, its answer after 20 s.
const GONE_WITHIN: Duration = Duration::from_secs(90);

#[derive(Debug, Clone, Copy)]
enum Behaviour {
    /// Joins and never reads or answers a ping.
    Stall,
    /// Sends requests without waiting for the answers.
    Flood,
    /// Begins frames and does not end them.
    HalfFrame,
    /// Breaks the connection without closing it.
    Vanish,
}

const BEHAVIOURS: [Behaviour; 4] =
    [Behaviour::Stall, Behaviour::Flood, Behaviour::HalfFrame, Behaviour::Vanish];

/// A client's text frame; its mask is zero.
fn frame(text: &str) -> Vec<u8> {
    let mut bytes = vec![0x81];
    match text.len() {
        length @ 0..126 => bytes.push(0x80 | u8::try_from(length).unwrap()),
        length => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(text.as_bytes());
    bytes
}

/// Opens a WebSocket from an address of the loopback network and joins the device's namespace, without reading the confirmation.
async fn join(http: &Http, host: u8) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 1, host], 0)))?;
    let address = http.base().trim_start_matches("http://").parse().map_err(std::io::Error::other)?;
    let mut stream = socket.connect(address).await?;
    let upgrade = format!(
        "GET /ws/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-API-KEY: {}\r\n\r\n",
        http.key()
    );
    stream.write_all(upgrade.as_bytes()).await?;
    let mut answer = [0; 512];
    let length = tokio::time::timeout(ANSWERED_WITHIN, stream.read(&mut answer)).await??;
    // Beyond its limits a daemon refuses sockets.
    if !answer[..length].starts_with(b"HTTP/1.1 101") {
        return Err(std::io::ErrorKind::ConnectionRefused.into());
    }
    stream.write_all(&frame(&format!("40/device/{DEVICE},"))).await?;
    Ok(stream)
}

/// A socket that misbehaves, `None` if it is gone by itself; errors are the daemon's defence.
async fn misbehave(
    http: &Http,
    behaviour: Behaviour,
    mut rng: SeededRng,
) -> std::io::Result<Option<TcpStream>> {
    let host = u8::try_from(rng.between(1, 250)).unwrap();
    let mut stream = join(http, host).await?;
    match behaviour {
        Behaviour::Stall => Ok(Some(stream)),
        Behaviour::Flood => {
            for n in 0..FLOOD_FRAMES {
                let request =
                    format!("42/device/{DEVICE},{n}[\"get-messages\",{{\"chatId\":\"15550100001@c.us\"}}]");
                if stream.try_write(&frame(&request)).is_err() {
                    break;
                }
            }
            Ok(Some(stream))
        }
        Behaviour::HalfFrame => {
            let whole = frame(&"x".repeat(2_000));
            let length = usize::try_from(rng.between(1, 1_999)).unwrap();
            // Some announce a megabyte.
            let bytes = if rng.one_in(2) {
                [0x81, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0].to_vec()
            } else {
                whole[..length].to_vec()
            };
            stream.write_all(&bytes).await?;
            Ok(Some(stream))
        }
        Behaviour::Vanish => {
            // Closing with unread bytes and no time to linger resets the connection.
            let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
            Ok(None)
        }
    }
}

/// Number of open Socket.IO sessions of the daemon.
async fn sessions(http: &Http) -> u64 {
    let metrics = http.metrics().await;
    let line = metrics.lines().find_map(|line| line.strip_prefix("wharf_sockets "));
    line.unwrap_or_else(|| panic!("no metric of the sessions: {metrics}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_misbehaving_sockets_disturb_no_client() {
    let sockets = number("WHARF_CRASH_ROUNDS").unwrap_or(SOCKETS);
    let seed = number("WHARF_CRASH_SEED").unwrap_or_else(SeededRng::random_seed);
    eprintln!("{sockets} sockets, WHARF_CRASH_SEED={seed}");
    let mut rng = SeededRng::new(seed);
    let mut tally = Tally::new("sockets", seed);
    let home = fleet::home().await.with("server.max_streams_per_key", "20000");
    let daemon = home.start().await;
    let http = &daemon.http;
    create(http, DEVICE, &quick()).await;
    let mut sender = Sender::new(DEVICE, &["15550100001"], Duration::ZERO, rng.fork());
    let mut writer = Writer::new(DEVICE, None, Duration::ZERO, rng.fork());

    let (mut open, mut refused) = (Vec::new(), 0);
    let mut slowest = Duration::ZERO;
    while tally.rounds < sockets {
        let count = BATCH.min(sockets - tally.rounds);
        let batch: Vec<_> = (0..count).map(|_| (*rng.pick(&BEHAVIOURS), rng.fork())).collect();
        let batch = batch.into_iter().map(|(behaviour, rng)| misbehave(http, behaviour, rng));
        for socket in futures_util::future::join_all(batch).await {
            match socket {
                Ok(socket) => open.extend(socket),
                Err(_) => refused += 1,
            }
        }
        tally.rounds += count;
        let began = tokio::time::Instant::now();
        let works = async {
            assert!(sender.step(http).await.is_ok(), "a send failed");
            assert!(writer.step(http).await.is_ok(), "a message was not received");
        };
        tokio::time::timeout(ANSWERED_WITHIN, works).await.expect("the client that works is answered");
        slowest = slowest.max(began.elapsed());
    }
    eprintln!("{} sockets are open; the slowest send with a received message took {slowest:?}", open.len());
    tally.add("sockets open at once", open.len());
    tally.add("sockets refused", refused);
    drop(open);
    until("the end of all sessions", GONE_WITHIN, async || sessions(http).await == 0).await;
    assert!(sender.finish(http).await.is_ok() && writer.finish(http).await.is_ok());
    until_sent(http, DEVICE, ANSWERED_WITHIN).await;
    let log = checks::checked_log(http, DEVICE).await;
    checks::sent_once(http, &sender, &log).await;
    checks::received_once(http, &writer, &log).await;
    let body = json!({ "to": "15550100001", "text": "after" });
    http.post(&format!("devices/{DEVICE}/messages/send"), &body).await.unwrap().expect("a send afterwards");
    daemon.stop().await;
    Database::open(&home).check();
    tally.add("texts sent", sender.texts.len());
    tally.add("messages received", writer.written.len());
    tally.count_panics(&home);
    tally.check();
}
