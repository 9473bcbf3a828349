//! Limits of client connections: time limits of heads and idle connections, and their number.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::TestApp;

const PATIENCE: Duration = Duration::from_secs(10);
const HEADER_TIMEOUT: (&str, &str) = ("WHARF__SERVER__HEADER_TIMEOUT_MS", "300");
const LONG_HEADER_TIMEOUT: (&str, &str) = ("WHARF__SERVER__HEADER_TIMEOUT_MS", "60000");

async fn connect(app: &TestApp) -> TcpStream {
    TcpStream::connect(app.app().address).await.unwrap()
}

/// Connects from another address of the loopback network.
async fn connect_from(app: &TestApp, address: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(address.parse().unwrap(), 0)).unwrap();
    socket.connect(app.app().address).await.unwrap()
}

/// Reads one answer, whose body is short.
async fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = vec![0; 65_536];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut bytes)).await.unwrap().unwrap();
    String::from_utf8_lossy(&bytes[..read]).into_owned()
}

async fn request(stream: &mut TcpStream, path: &str, key: &str) -> String {
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{key}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    answer(stream).await
}

/// Waits until the daemon has closed the connection.
async fn wait_for_close(stream: &mut TcpStream) {
    let closing = async {
        let mut bytes = [0; 4_096];
        loop {
            match stream.read(&mut bytes).await {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
                Err(error) => panic!("{error}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, closing).await.expect("the connection stays open");
}

#[tokio::test]
async fn half_request_head_is_closed() {
    let app = TestApp::start_with(&[HEADER_TIMEOUT]).await;
    let mut silent = connect(&app).await;
    let mut half = connect(&app).await;
    half.write_all(b"GET /healthz HTTP/1.1\r\nHost: wh").await.unwrap();
    let mut second = connect(&app).await;
    assert!(request(&mut second, "/healthz", "").await.starts_with("HTTP/1.1 200"));
    second.write_all(b"GET /healthz HT").await.unwrap();
    for stream in [&mut silent, &mut half, &mut second] {
        wait_for_close(stream).await;
    }
}

#[tokio::test]
async fn idle_connection_is_closed_after_keep_alive() {
    let keep_alive = ("WHARF__SERVER__KEEP_ALIVE_MS", "300");
    let app = TestApp::start_with(&[keep_alive, LONG_HEADER_TIMEOUT]).await;
    let mut idle = connect(&app).await;
    assert!(request(&mut idle, "/healthz", "").await.starts_with("HTTP/1.1 200"));
    wait_for_close(&mut idle).await;
}

#[tokio::test]
async fn idle_connection_outlives_the_header_timeout() {
    let app = TestApp::start_with(&[HEADER_TIMEOUT]).await;
    let mut idle = connect(&app).await;
    assert!(request(&mut idle, "/healthz", "").await.starts_with("HTTP/1.1 200"));
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert!(request(&mut idle, "/healthz", "").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn unauthenticated_connections_of_an_address_are_limited() {
    let limit = ("WHARF__SERVER__MAX_UNAUTHENTICATED_PER_ADDRESS", "4");
    let app = TestApp::start_with(&[limit, LONG_HEADER_TIMEOUT]).await;
    let mut other = connect_from(&app, "127.0.0.2").await;
    let mut client = connect(&app).await;
    let key = format!("X-API-KEY: {}\r\n", app.key);
    assert!(request(&mut client, "/api/v1/devices", &key).await.starts_with("HTTP/1.1 200"));
    let mut flood = Vec::new();
    for _ in 0..12 {
        let mut half = connect(&app).await;
        half.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
        flood.push(half);
    }
    for stream in &mut flood[..8] {
        wait_for_close(stream).await;
    }
    assert!(request(&mut client, "/api/v1/devices", &key).await.starts_with("HTTP/1.1 200"));
    assert!(request(&mut other, "/healthz", "").await.starts_with("HTTP/1.1 200"));
    assert!(request(&mut connect(&app).await, "/healthz", "").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn full_daemon_closes_the_oldest_unauthenticated_connection() {
    let limit = ("WHARF__SERVER__MAX_CONNECTIONS", "4");
    let app = TestApp::start_with(&[limit, LONG_HEADER_TIMEOUT]).await;
    let key = format!("X-API-KEY: {}\r\n", app.key);
    let mut client = connect(&app).await;
    assert!(request(&mut client, "/api/v1/devices", &key).await.starts_with("HTTP/1.1 200"));
    let mut oldest = connect(&app).await;
    let mut flood = Vec::new();
    for n in 3..9 {
        flood.push(connect_from(&app, &format!("127.0.0.{n}")).await);
    }
    wait_for_close(&mut oldest).await;
    assert!(request(&mut client, "/api/v1/devices", &key).await.starts_with("HTTP/1.1 200"));
    assert!(request(&mut connect(&app).await, "/healthz", "").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn stalled_body_loses_its_connection_after_the_answer() {
    let limit = ("WHARF__SERVER__REQUEST_TIMEOUT_MS", "300");
    let app = TestApp::start_with(&[limit, LONG_HEADER_TIMEOUT]).await;
    let mut stream = connect(&app).await;
    let head = format!(
        "POST /api/v1/devices HTTP/1.1\r\nHost: localhost\r\nX-API-KEY: {}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{",
        app.key
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let text = answer(&mut stream).await;
    assert!(text.starts_with("HTTP/1.1 503"), "{text}");
    wait_for_close(&mut stream).await;
}

#[tokio::test]
async fn foreign_host_is_refused_on_loopback() {
    let app = TestApp::start_with(&[("WHARF__SERVER__PUBLIC_URL", "https://wharf.example.com")]).await;
    let ask = async |path: &str, host: &str| {
        let mut stream = connect(&app).await;
        let head = format!("GET {path} HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        answer(&mut stream).await
    };
    for path in ["/metrics", "/docs", "/healthz", "/ws/?EIO=4&transport=polling"] {
        let refused = ask(path, "Host: rebound.example\r\n").await;
        assert!(refused.starts_with("HTTP/1.1 403") && refused.contains("host_not_allowed"), "{refused}");
        let missing = ask(path, "").await;
        assert!(missing.starts_with("HTTP/1.1 400") && missing.contains("invalid_host"), "{missing}");
        let twice = ask(path, "Host: localhost\r\nHost: localhost\r\n").await;
        assert!(twice.starts_with("HTTP/1.1 400"), "{twice}");
    }
    for host in ["localhost", "127.0.0.1:3000", "[::1]:3000", "wharf.example.com"] {
        assert!(ask("/healthz", &format!("Host: {host}\r\n")).await.starts_with("HTTP/1.1 200"), "{host}");
    }
}

#[tokio::test]
async fn trusted_proxy_may_send_any_host() {
    let app = TestApp::start_with(&[("WHARF__SERVER__TRUSTED_PROXIES", "127.0.0.2")]).await;
    let request = "GET /healthz HTTP/1.1\r\nHost: wharf.example.com\r\nX-Forwarded-Proto: https\r\n\r\n";
    for (peer, status) in [("127.0.0.2", "HTTP/1.1 200"), ("127.0.0.3", "HTTP/1.1 403")] {
        let mut stream = connect_from(&app, peer).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let text = answer(&mut stream).await;
        assert!(text.starts_with(status), "{peer}: {text}");
    }
}
