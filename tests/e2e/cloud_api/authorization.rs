//! Early or unsigned callbacks, and settings without access to secrets.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Cloud, text};
use crate::support::ANNA;

fn reaction(emoji: &str) -> Value {
    json!({ "messages": [{ "from": ANNA, "id": "wamid.R=", "timestamp": "1700000001",
        "type": "reaction", "reaction": { "message_id": "wamid.A=", "emoji": emoji } }] })
}

#[tokio::test]
async fn reaction_before_its_message_applies_when_it_comes() {
    let cloud = Cloud::start().await;
    for _ in 0..2 {
        assert_eq!(cloud.call_back(&cloud.envelope(&reaction("👍"))).await, 200);
    }
    assert!(cloud.app.logged("shop", "message:reaction").await.is_empty());
    let app = cloud.app.restarted().await;
    app.wait_for_state("shop", "ready").await;
    let cloud = Cloud { app, graph: cloud.graph };
    assert_eq!(cloud.call_back(&cloud.envelope(&text("wamid.A=", "hello"))).await, 200);
    let log = cloud.app.log("shop").await;
    let place = |kind: &str| log.iter().position(|entry| entry["type"] == kind);
    assert!(place("message") < place("message:reaction"), "{log:?}");
    assert_eq!(cloud.app.logged("shop", "message:reaction").await.len(), 1);
    let id = cloud.app.logged("shop", "message").await[0]["message"]["id"].clone();
    let message = cloud.app.get(&format!("/devices/shop/messages/{}", id.as_str().unwrap())).await.ok();
    assert_eq!(message["data"]["reactions"][0]["emoji"], "👍", "{message}");
}

#[tokio::test]
async fn unsigned_callback_is_not_read_and_reveals_nothing() {
    let cloud = Cloud::start().await;
    let body = json!({ "id": "till", "engine": "simulator", "settings": { "simulator": {} } });
    cloud.app.post("/devices", body).await.created();
    let call = async |device: &str| {
        let request = cloud.app.request("POST", &format!("//hooks/{device}")).body(vec![b'x'; 9_000_000]);
        request.send().await.map(|answer| answer.status().as_u16()).ok()
    };
    // The answer may arrive before the whole body is sent, which a client may report as a broken connection.
    assert!(matches!(call("shop").await, Some(401) | None));
    let (simulated, absent) = (call("till").await, call("nobody").await);
    assert!(matches!(simulated, Some(404) | None) && matches!(absent, Some(404) | None));
    let small = cloud.app.request("POST", "//hooks/till").body("{}").send().await.unwrap();
    assert_eq!(small.status(), 404);
}

#[tokio::test]
async fn new_host_needs_the_secret_again() {
    let cloud = Cloud::start().await;
    let shown = cloud.app.get("/devices/shop").await.ok()["data"]["settings"]["cloud-api"].clone();
    assert_eq!(shown["accessToken"], "********");
    let mut moved = shown.clone();
    moved["baseUrl"] = "https://graph.example.org".into();
    let change = async |settings: &Value| {
        cloud.app.patch("/devices/shop", json!({ "settings": { "cloud-api": settings } })).await
    };
    let refused = change(&moved).await.refused(400, "invalid_field");
    assert_eq!(refused["details"][0]["field"], "settings.cloud-api.accessToken", "{refused}");
    for secret in ["accessToken", "appSecret", "verifyToken"] {
        moved[secret] = "given-anew".into();
    }
    change(&moved).await.ok();
    change(&json!({ "phoneNumberId": shown["phoneNumberId"], "baseUrl": "https://graph.example.org" }))
        .await
        .ok();
}

/// A callback that announces 8 MiB and sends nothing of it.
async fn stalled_callback(cloud: &Cloud) -> TcpStream {
    let mut stream = TcpStream::connect(cloud.app.app().address).await.unwrap();
    let head = "POST /hooks/shop HTTP/1.1\r\nHost: localhost\r\nX-Hub-Signature-256: sha256=00\r\n\
        Content-Length: 8388608\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn first_line(stream: &mut TcpStream) -> String {
    let mut bytes = vec![0; 4_096];
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut bytes)).await.unwrap().unwrap();
    String::from_utf8_lossy(&bytes[..read]).lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn stalled_callbacks_do_not_block_others() {
    let long = ("WHARF__CALLBACKS__FIRST_BYTE_TIMEOUT_MS", "60000");
    let many = ("WHARF__CALLBACKS__MAX_UNFINISHED_PER_ADDRESS", "100");
    let cloud = Cloud::start_with(&[long, many]).await;
    let mut stalled = Vec::new();
    for _ in 0..12 {
        stalled.push(stalled_callback(&cloud).await);
    }
    for n in 0..20 {
        let id = format!("wamid.{n}=");
        assert_eq!(cloud.call_back(&cloud.envelope(&text(&id, "hello"))).await, 200);
    }
}

#[tokio::test]
async fn callback_without_a_first_byte_is_ended() {
    let cloud = Cloud::start_with(&[("WHARF__CALLBACKS__FIRST_BYTE_TIMEOUT_MS", "300")]).await;
    let mut stalled = stalled_callback(&cloud).await;
    assert!(first_line(&mut stalled).await.starts_with("HTTP/1.1 503"));
}

#[tokio::test]
async fn slowest_callbacks_of_an_address_are_ended() {
    let cloud = Cloud::start_with(&[("WHARF__CALLBACKS__FIRST_BYTE_TIMEOUT_MS", "60000")]).await;
    let mut first = stalled_callback(&cloud).await;
    let mut second = stalled_callback(&cloud).await;
    second.write_all(b"some bytes").await.unwrap();
    let ended = async {
        loop {
            // Reads of at most 100 ms do not count, so further ones arrive until one has ended.
            let _more = stalled_callback(&cloud).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = ended => unreachable!("the loop has no end"),
        line = first_line(&mut first) => assert!(line.starts_with("HTTP/1.1 503"), "{line}"),
    }
    assert_eq!(cloud.call_back(&cloud.envelope(&text("wamid.A=", "hello"))).await, 200);
}
