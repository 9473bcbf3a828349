//! Handshake, polling, upgrade, heartbeat, namespaces, acknowledgements and disconnects.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::wire::Wire;
use crate::support::{ADMIN_KEY, ANNA, Reply, TestApp};

async fn plain(app: &TestApp, method: &str, query: &str, body: &str) -> Reply {
    let request = app.request(method, &format!("//ws/?{query}")).body(body.to_owned());
    Reply::of(request.send().await.unwrap()).await
}

async fn poll(app: &TestApp, sid: &str) -> String {
    plain(app, "GET", &format!("EIO=4&transport=polling&sid={sid}"), "").await.text()
}

async fn open_polling(app: &TestApp) -> (String, Value) {
    let reply = plain(app, "GET", "EIO=4&transport=polling", "").await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let handshake: Value = serde_json::from_str(reply.text().strip_prefix('0').unwrap()).unwrap();
    (handshake["sid"].as_str().unwrap().to_owned(), handshake)
}

#[tokio::test]
async fn handshake_states_limits_on_both_transports() {
    let app = TestApp::start().await;
    let (_, polling) = open_polling(&app).await;
    let (_wire, websocket) = Wire::open(&app).await;
    for handshake in [&polling, &websocket] {
        assert_eq!((&handshake["pingInterval"], &handshake["pingTimeout"]), (&json!(25_000), &json!(20_000)));
        assert!(handshake["maxPayload"].as_u64().is_some_and(|n| n >= 100_000), "{handshake}");
    }
    assert_eq!(polling["upgrades"], json!(["websocket"]));
    assert_eq!(websocket["upgrades"], json!([]));
}

// covers: connect 400 Transport unknown
#[tokio::test]
async fn invalid_handshake_answers_400_with_code() {
    let app = TestApp::start().await;
    for (method, query, code) in [
        ("GET", "", 0),
        ("GET", "EIO=4", 0),
        ("GET", "EIO=4&transport=pigeon", 0),
        ("GET", "EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAA", 1),
        ("POST", "EIO=4&transport=polling", 2),
    ] {
        let reply = plain(&app, method, query, "").await;
        assert_eq!(reply.status, 400, "{method} {query}: {}", reply.text());
        assert_eq!(reply.json()["code"], code, "{method} {query}");
    }
    let bare = Reply::of(app.request("GET", "//ws").send().await.unwrap()).await;
    assert_eq!((bare.status, bare.json()), (400, json!({ "code": 0, "message": "Transport unknown" })));
}

// covers: connect by polling
// covers: emit subscribe
#[tokio::test]
async fn polling_carries_events_both_ways() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let (sid, _) = open_polling(&app).await;
    let query = format!("EIO=4&transport=polling&sid={sid}");
    let posted = plain(&app, "POST", &query, &format!("40/device/shop,{{\"apiKey\":\"{ADMIN_KEY}\"}}")).await;
    assert_eq!(posted.text(), "ok");
    let mut seen = String::new();
    while !seen.contains("\"state\"") {
        seen.push_str(&poll(&app, &sid).await);
    }
    assert!(seen.contains("40/device/shop,{\"sid\":"), "{seen}");
    plain(&app, "POST", &query, "42/device/shop,1[\"subscribe\",{\"deviceId\":\"shop\"}]").await;
    let mut seen = String::new();
    while !seen.contains("43/device/shop,1[") {
        seen.push_str(&poll(&app, &sid).await);
    }
}

// covers: connect by polling, upgraded
// covers: event message
#[tokio::test]
async fn polling_upgrade_to_websocket_loses_nothing() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let (sid, _) = open_polling(&app).await;
    let query = format!("EIO=4&transport=polling&sid={sid}");
    plain(&app, "POST", &query, &format!("40/device/shop,{{\"apiKey\":\"{ADMIN_KEY}\"}}")).await;
    let mut seen = String::new();
    while !seen.contains("\"state\"") {
        seen.push_str(&poll(&app, &sid).await);
    }
    let mut wire = Wire::connect(&app, &format!("EIO=4&transport=websocket&sid={sid}")).await;
    wire.send("2probe").await;
    assert_eq!(wire.packet().await, "3probe");
    wire.send("5").await;
    app.incoming("shop", ANNA, "after the upgrade").await;
    assert_eq!(wire.event("shop", "message").await["message"]["body"], "after the upgrade");
}

#[tokio::test]
async fn client_without_pong_is_closed() {
    let app = TestApp::start_with(&[
        ("WHARF__SOCKET__PING_INTERVAL_MS", "1000"),
        ("WHARF__SOCKET__PING_TIMEOUT_MS", "1000"),
    ])
    .await;
    let (mut silent, _) = Wire::open(&app).await;
    let (mut alive, _) = Wire::open(&app).await;
    let answering = async {
        for _ in 0..3 {
            alive.packet_with("2").await;
            alive.send("3").await;
        }
    };
    tokio::join!(silent.closed(), answering);
    alive.packet_with("2").await;
}

#[tokio::test]
async fn one_connection_carries_several_namespaces() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.device("home").await;
    let (mut wire, _) = Wire::open(&app).await;
    wire.join("shop", ADMIN_KEY).await;
    wire.join("home", ADMIN_KEY).await;
    app.incoming("home", ANNA, "to home").await;
    assert_eq!(wire.event("home", "message").await["deviceId"], "home");
    wire.send("41/device/home,").await;
    app.wait_until("the disconnect to be counted", async || {
        (app.get("/stats").await.ok()["data"]["sockets"] == 1).then_some(())
    })
    .await;
    app.incoming("home", ANNA, "after leaving").await;
    app.incoming("shop", ANNA, "to shop").await;
    let packet = wire.packet_with("42/device/").await;
    assert!(!packet.contains("after leaving"), "{packet}");
    assert_eq!(wire.event("shop", "chat:update").await["deviceId"], "shop");
}

// covers: connect_error API key is required
// covers: connect_error Invalid API key
// covers: connect_error API key not allowed for this device
// covers: connect_error Invalid namespace
#[tokio::test]
async fn connect_errors_have_exact_messages() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.device("home").await;
    let body = json!({ "name": "home", "scopes": ["events:read"], "devices": ["home"] });
    let foreign = app.post("/api-keys", body).await.created()["data"]["key"].as_str().unwrap().to_owned();
    let body = json!({ "name": "deaf", "scopes": ["devices:read"] });
    let deaf = app.post("/api-keys", body).await.created()["data"]["key"].as_str().unwrap().to_owned();
    let (mut wire, _) = Wire::open(&app).await;
    for (namespace, auth, words) in [
        ("/device/shop", json!({}), "API key is required"),
        ("/device/shop", json!({ "apiKey": "wrong" }), "Invalid API key"),
        ("/device/shop", json!({ "apiKey": foreign }), "API key not allowed for this device"),
        ("/device/shop", json!({ "apiKey": deaf }), "API key not allowed for this device"),
        ("/device/nowhere", json!({ "apiKey": ADMIN_KEY }), "Invalid namespace"),
        ("/elsewhere", json!({ "apiKey": ADMIN_KEY }), "Invalid namespace"),
    ] {
        wire.send(&format!("40{namespace},{auth}")).await;
        let refused = wire.packet_with("44").await;
        let message: Value =
            serde_json::from_str(refused.strip_prefix(&format!("44{namespace},")).unwrap()).unwrap();
        assert_eq!(message["message"], words, "{namespace} {auth}");
    }
    wire.join("shop", ADMIN_KEY).await;
}

// covers: emit subscribe
// covers: emit an unknown event
#[tokio::test]
async fn acknowledgements_are_matched_by_number() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let (mut wire, _) = Wire::open(&app).await;
    wire.join("shop", ADMIN_KEY).await;
    let answer = wire.ask("shop", 17, &json!(["subscribe", { "deviceId": "shop" }])).await;
    assert_eq!((&answer["success"], &answer["state"]), (&json!(true), &json!("ready")), "{answer}");
    let answer = wire.ask("shop", 18, &json!(["nonsense"])).await;
    assert_eq!((&answer["success"], &answer["code"]), (&json!(false), &json!("unknown_event")), "{answer}");
}

#[tokio::test]
async fn every_kind_of_disconnect_is_detected() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let sockets = async || app.get("/stats").await.ok()["data"]["sockets"].as_i64();
    for way in ["namespace", "engine", "close", "drop"] {
        let (mut wire, _) = Wire::open(&app).await;
        wire.join("shop", ADMIN_KEY).await;
        app.wait_until("the socket to be counted", async || (sockets().await == Some(1)).then_some(())).await;
        match way {
            "namespace" => wire.send("41/device/shop,").await,
            "engine" => wire.send("1").await,
            "close" => drop(wire),
            _ => wire.drop_rudely(),
        }
        app.wait_until(way, async || (sockets().await == Some(0)).then_some(())).await;
    }
}

// covers: connect 403 foreign Origin
#[tokio::test]
async fn foreign_origin_is_refused_on_both_transports() {
    let app = TestApp::start().await;
    for (origin, status) in [("https://evil.example", 403), ("http://localhost:5173", 200), ("null", 403)] {
        let request = app.request("GET", "//ws/?EIO=4&transport=polling").header("origin", origin);
        assert_eq!(request.send().await.unwrap().status().as_u16(), status, "{origin}");
    }
    let upgrade = app
        .request("GET", "//ws/?EIO=4&transport=websocket")
        .header("origin", "https://evil.example")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(upgrade.send().await.unwrap().status().as_u16(), 403);
}

#[tokio::test]
async fn stopping_daemon_disconnects_clients() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let (mut wire, _) = Wire::open(&app).await;
    wire.join("shop", ADMIN_KEY).await;
    let limit = Duration::from_secs(5);
    let (stopped, ()) = tokio::join!(tokio::time::timeout(limit, app.stop()), wire.closed());
    assert!(stopped.is_ok(), "stopping took longer than 5 s");
}
