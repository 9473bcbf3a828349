//! Attacks on the file descriptors of the real daemon, which may open 256 files.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::fleet::{self, create, simulated, until_sent};
use crate::process::{Daemon, DaemonHome, Http};

const FILES: u64 = 256;
/// More connections than files.
const ATTACKERS: usize = 320;
const PATIENCE: Duration = Duration::from_secs(10);
const DEVICE: &str = "shop";
/// The limits of sessions without a namespace apply to each address.
const VICTIM: &str = "127.0.0.2";

/// A daemon with these files, and a device of the simulator.
async fn limited_daemon(home: &DaemonHome) -> Daemon {
    let daemon = home.start().await;
    let world = json!({ "ackServerMs": 0, "ackDeviceMs": 1, "ackReadMs": 2 });
    create(&daemon.http, DEVICE, &simulated(world)).await;
    daemon
}

fn address(http: &Http) -> String {
    http.base().trim_start_matches("http://").to_owned()
}

/// Connections that each send these bytes and nothing more.
async fn flood(http: &Http, bytes: &str) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for _ in 0..ATTACKERS {
        let mut stream = TcpStream::connect(address(http)).await.unwrap();
        // The daemon may have closed an earlier one of them, and this one too.
        let _ = stream.write_all(bytes.as_bytes()).await;
        open.push(stream);
    }
    open
}

/// Sends a request on a new connection; returns its answer, which is short.
async fn ask(http: &Http, request: &str) -> String {
    ask_from("127.0.0.1", http, request).await
}

/// The same from another address of the loopback network. Repeats the request while connections are refused.
async fn ask_from(client: &str, http: &Http, request: &str) -> String {
    let asked = async {
        loop {
            match try_ask(client, http, request).await {
                Ok(answer) if !answer.is_empty() => return answer,
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.expect("the daemon does not answer")
}

async fn try_ask(client: &str, http: &Http, request: &str) -> std::io::Result<String> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(client.parse().unwrap(), 0))?;
    let mut stream = socket.connect(address(http).parse().unwrap()).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::with_capacity(65_536);
    if request.contains("Connection: close") {
        stream.read_to_end(&mut bytes).await?;
    } else {
        stream.read_buf(&mut bytes).await?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// New clients are answered, messages are sent in both directions, and the device is still connected.
async fn assert_serves(http: &Http) {
    let healthy = ask(http, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(healthy.starts_with("HTTP/1.1 200"), "{healthy}");
    for n in 0..5 {
        let body = json!({ "to": "15550100001", "text": format!("message {n}") });
        let sent = http.post(&format!("devices/{DEVICE}/messages/send"), &body).await.unwrap();
        sent.expect("send during the attack");
    }
    until_sent(http, DEVICE, PATIENCE).await;
    let incoming = json!({ "from": "15550100002", "body": "received during the attack" });
    let received = http.post(&format!("simulator/{DEVICE}/incoming"), &incoming).await.unwrap();
    received.expect("receive during the attack");
    let found = format!("devices/{DEVICE}/messages/search?query=received");
    fleet::until("the received message", PATIENCE, async || {
        let answer = http.get(&found).await.unwrap();
        answer.data().as_array().is_some_and(|messages| !messages.is_empty())
    })
    .await;
    let device = http.get(&format!("devices/{DEVICE}")).await.unwrap();
    assert_eq!(device.text("/state"), Some("ready"), "{}", device.body);
}

#[tokio::test]
async fn soft_limit_of_open_files_is_raised() {
    let home = DaemonHome::new().with_open_files(FILES, None);
    let daemon = home.start().await;
    let (soft, hard) = daemon.open_files();
    assert_eq!(soft, hard);
    assert_ne!(soft, FILES.to_string(), "the hard limit of this test is above the soft one");
}

#[tokio::test]
async fn half_request_heads_leave_open_files() {
    let home = fleet::home().await.with_open_files(FILES, Some(FILES));
    let daemon = limited_daemon(&home).await;
    let half = flood(&daemon.http, "GET /healthz HTTP/1.1\r\nHost: loc").await;
    assert_serves(&daemon.http).await;
    drop(half);
    daemon.stop().await;
}

#[tokio::test]
async fn event_streams_of_one_key_leave_open_files() {
    let home = fleet::home().await.with_open_files(FILES, Some(FILES));
    let daemon = limited_daemon(&home).await;
    let key = daemon.http.key();
    let request = format!(
        "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nX-API-KEY: {key}\r\nAccept: text/event-stream\r\n\r\n"
    );
    let streams = flood(&daemon.http, &request).await;
    assert_serves(&daemon.http).await;
    drop(streams);
    daemon.stop().await;
}

#[tokio::test]
async fn stalled_callbacks_leave_open_files() {
    let home = fleet::home().await.with_open_files(FILES, Some(FILES));
    let home = home.with("net.allow_private", "127.0.0.0/8");
    let daemon = limited_daemon(&home).await;
    // Nothing answers there; callbacks are verified without the upstream.
    let settings = json!({ "cloud-api": { "phoneNumberId": "1", "accessToken": "t", "verifyToken": "v",
        "appSecret": "s", "baseUrl": "http://127.0.0.1:9" } });
    let body = json!({ "id": "cloud", "engine": "cloud-api", "settings": settings });
    daemon.http.post("devices", &body).await.unwrap().expect("create a device");
    let callback = |length: &str| {
        format!(
            "POST /hooks/cloud HTTP/1.1\r\nHost: localhost\r\nX-Hub-Signature-256: sha256=00\r\n\
             Content-Length: {length}\r\n\r\n"
        )
    };
    let stalled = flood(&daemon.http, &callback("8388608")).await;
    let answer = ask(&daemon.http, &format!("{}{{}}", callback("2"))).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert_serves(&daemon.http).await;
    drop(stalled);
    daemon.stop().await;
}

#[tokio::test]
async fn anonymous_sessions_leave_open_files() {
    let home = fleet::home().await.with_open_files(FILES, Some(FILES));
    let daemon = limited_daemon(&home).await;
    let websockets = flood(
        &daemon.http,
        "GET /ws/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    )
    .await;
    let poll = "GET /ws/?EIO=4&transport=polling HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let polls = flood(&daemon.http, poll).await;
    assert_serves(&daemon.http).await;

    let key = daemon.http.key();
    let opened = ask_from(
        VICTIM,
        &daemon.http,
        &poll.replacen("\r\n\r\n", &format!("\r\nX-API-KEY: {key}\r\nConnection: close\r\n\r\n"), 1),
    )
    .await;
    assert!(opened.starts_with("HTTP/1.1 200"), "{opened}");
    let sid = opened.split("\"sid\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let path = format!("/ws/?EIO=4&transport=polling&sid={sid}");
    let join = format!("40/device/{DEVICE},");
    let posted = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nX-API-KEY: {key}\r\nContent-Length: {}\r\n\r\n{join}",
        join.len()
    );
    assert!(ask_from(VICTIM, &daemon.http, &posted).await.starts_with("HTTP/1.1 200"));
    // The first answer may have a ping only.
    let next = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    fleet::until("the confirmation of the namespace", PATIENCE, async || {
        ask_from(VICTIM, &daemon.http, &next).await.contains(&join)
    })
    .await;
    drop((websockets, polls));
    daemon.stop().await;
}
