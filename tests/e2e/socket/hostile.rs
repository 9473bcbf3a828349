//! Malformed packets harm neither the daemon nor other clients.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::wire::Wire;
use crate::support::{ADMIN_KEY, ANNA, TestApp};

/// Asserts that another client is served normally.
async fn assert_still_serving(app: &TestApp) {
    let (mut wire, _) = Wire::open(app).await;
    wire.join("shop", ADMIN_KEY).await;
    app.incoming("shop", ANNA, "still here").await;
    assert_eq!(wire.event("shop", "message").await["message"]["body"], "still here");
    assert_eq!(app.request("GET", "//healthz").send().await.unwrap().status().as_u16(), 200);
}

#[tokio::test]
async fn malformed_packets_affect_own_connection_only() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let malformed = [
        "",
        "9",
        "x",
        "4",
        "49",
        "42",
        "42[",
        "42[]",
        "42{}",
        "42[1]",
        "42[null]",
        "42/device/shop,",
        "42/device/shop,[",
        "42/device/shop,[]",
        "42/device/shop,{}",
        "42/device/shop,[5,{}]",
        "42/device/shop,99999999999999999999[\"subscribe\"]",
        "42/device/shop,-1[\"subscribe\"]",
        "43/device/shop,1[]",
        "43",
        "45",
        "451-",
        "459999999999-/device/shop,[\"a\"]",
        "451-/device/shop,[\"message:send\",{\"_placeholder\":true,\"num\":99}]",
        "461-/device/shop,1[]",
        "40",
        "40/",
        "40,",
        "40/device/shop,{",
        "40/device/shop,[]",
        "40/device/shop,\"x\"",
        "44/device/shop,{}",
        "41/nowhere,",
        "3",
        "3probe",
        "2probe",
        "5",
        "6",
        "bAAAA",
        "b",
        "b!",
        "42/device/shop,[\"message:send\",{\"to\":\"\u{0}\u{202e}\",\"text\":\"\u{0}\"}]",
    ];
    for packet in malformed {
        let (mut wire, _) = Wire::open(&app).await;
        wire.join("shop", ADMIN_KEY).await;
        wire.send(packet).await;
        wire.drop_rudely();
        let (mut fresh, _) = Wire::open(&app).await;
        fresh.send(packet).await;
        fresh.drop_rudely();
    }
    assert_still_serving(&app).await;
}

#[tokio::test]
async fn deep_json_does_not_overflow_stack() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let (mut wire, _) = Wire::open(&app).await;
    wire.join("shop", ADMIN_KEY).await;
    wire.send(&format!("42/device/shop,[\"message:send\",{}", "[".repeat(100_000))).await;
    wire.drop_rudely();
    assert_still_serving(&app).await;
}

#[tokio::test]
async fn oversized_packet_closes_connection() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let (mut wire, _) = Wire::open(&app).await;
    wire.join("shop", ADMIN_KEY).await;
    let huge = format!(
        "42/device/shop,[\"message:send\",{{\"to\":\"{ANNA}\",\"text\":\"{}\"}}]",
        "x".repeat(2 << 20)
    );
    wire.send(&huge).await;
    wire.closed().await;
    let posted = app.request("POST", "//ws/?EIO=4&transport=polling").body("x".repeat(2 << 20)).send().await;
    assert!(posted.is_err() || posted.unwrap().status().is_client_error());
    assert!(app.logged("shop", "message:created").await.is_empty());
    assert_still_serving(&app).await;
}

#[tokio::test]
async fn partial_packet_does_not_block_others() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let mut half = TcpStream::connect(app.app().address).await.unwrap();
    half.write_all(b"GET /ws/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nUpgr").await.unwrap();
    let mut raw = TcpStream::connect(app.app().address).await.unwrap();
    raw.write_all(
        b"GET /ws/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    )
    .await
    .unwrap();
    let mut answer = [0_u8; 512];
    let read = raw.read(&mut answer).await.unwrap();
    assert!(answer[..read].starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer[..read]));
    // A masked text frame that declares 100 bytes and sends 4.
    raw.write_all(&[0x81, 0x80 | 100, 0, 0, 0, 0, b'4', b'0', b'/', b'd']).await.unwrap();
    assert_still_serving(&app).await;
    drop((half, raw));
    assert_still_serving(&app).await;
}

#[tokio::test]
async fn binary_payload_is_answered_with_error() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let (mut wire, _) = Wire::open(&app).await;
    wire.join("shop", ADMIN_KEY).await;
    wire.send("451-/device/shop,7[\"message:send\",{\"to\":\"15550100001\",\"text\":{\"_placeholder\":true,\"num\":0}}]").await;
    wire.send_binary(vec![1, 2, 3]).await;
    let answer = wire.packet_with("43/device/shop,7").await;
    assert!(answer.contains("\"success\":false"), "{answer}");
    assert_still_serving(&app).await;
}

// covers: event error
#[tokio::test]
async fn invalid_payloads_have_specific_errors() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let (mut wire, _) = Wire::open(&app).await;
    wire.join("shop", ADMIN_KEY).await;
    let wrong = [
        json!(["message:send"]),
        json!(["message:send", null]),
        json!(["message:send", "hello"]),
        json!(["message:send", {}]),
        json!(["message:send", { "to": 5, "text": "x" }]),
        json!(["message:send", { "to": ANNA, "text": "x" }, { "more": true }, 5]),
        json!(["message:read", {}]),
        json!(["message:read", { "chatId": "nonsense" }]),
        json!(["typing:start", { "chatId": 7 }]),
        json!(["presence:subscribe", []]),
        json!(["subscribe", { "deviceId": "home" }]),
    ];
    for (id, payload) in (0..).zip(wrong) {
        let answer = wire.ask("shop", id, &payload).await;
        let several = payload.as_array().unwrap().len() > 2;
        assert!(answer["success"] == false || several, "{payload} -> {answer}");
        if answer["success"] == false {
            assert!(
                answer["error"].as_str().is_some() && answer["code"].as_str().is_some(),
                "{payload} -> {answer}"
            );
        }
    }
    wire.send("42/device/shop,[\"message:send\",{}]").await;
    let error = wire.event("shop", "error").await;
    assert!(error["message"].as_str().is_some() && error["code"].as_str().is_some(), "{error}");
}

#[tokio::test]
async fn request_flood_is_bounded_and_ordered() {
    let app = TestApp::start_with(&[("WHARF__SOCKET__INBOUND_QUEUE", "8")]).await;
    app.device("shop").await;
    let (mut wire, _) = Wire::open(&app).await;
    wire.join("shop", ADMIN_KEY).await;
    for id in 0..300 {
        let text =
            json!(["message:send", { "to": ANNA, "text": format!("{id:03}"), "tempId": format!("{id:03}") }]);
        wire.send(&format!("42/device/shop,{id}{text}")).await;
    }
    let mut served = Vec::new();
    for _ in 0..300 {
        let answer = wire.packet_with("43/device/shop,").await;
        if answer.contains("\"success\":true") {
            served.push(answer);
        } else {
            assert!(answer.contains("overloaded"), "{answer}");
        }
    }
    let created = app.logged("shop", "message:created").await;
    let order: Vec<&str> = created.iter().map(|c| c["tempId"].as_str().unwrap()).collect();
    assert!(order.is_sorted() && order.len() == served.len(), "{order:?}");
}
