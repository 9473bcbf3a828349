//! The event log, read as pages and as a stream.

use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::json;

use crate::support::{ANNA, TestApp};

/// Opens a stream; events after this call are on it.
async fn open(app: &TestApp, path: &str, last_event_id: Option<&str>) -> reqwest::Response {
    let mut request =
        app.request("GET", path).header("X-API-KEY", &app.key).header("accept", "text/event-stream");
    if let Some(id) = last_event_id {
        request = request.header("Last-Event-ID", id);
    }
    let response = request.send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    response
}

/// The first `count` frames of a stream, as text.
async fn frames(app: &TestApp, path: &str, last_event_id: Option<&str>, count: usize) -> Vec<String> {
    read(open(app, path, last_event_id).await, count).await
}

/// The first `count` frames with data.
pub async fn read(response: reqwest::Response, count: usize) -> Vec<String> {
    let mut stream = response.bytes_stream();
    let mut text = String::new();
    let read = async {
        loop {
            let frames: Vec<&str> = text.split("\n\n").filter(|f| f.contains("data:")).collect();
            if frames.len() >= count && text.ends_with("\n\n") {
                return frames.iter().map(|f| (*f).to_owned()).collect();
            }
            let Some(chunk) = stream.next().await else { return Vec::new() };
            text.push_str(&String::from_utf8_lossy(&chunk.unwrap()));
        }
    };
    tokio::time::timeout(Duration::from_secs(10), read).await.expect("the stream sent nothing")
}

// covers: GET /devices/{id}/events
#[tokio::test]
async fn seq_is_gapless_and_payloads_are_stamped() {
    let app = TestApp::start().await;
    app.device("shop").await;
    for n in 0..5 {
        app.incoming("shop", ANNA, &format!("m{n}")).await;
    }
    let log = app.log("shop").await;
    for (place, entry) in log.iter().enumerate() {
        assert_eq!(entry["seq"], place + 1);
        assert_eq!(entry["payload"]["seq"], place + 1);
        assert_eq!(entry["payload"]["deviceId"], "shop");
        assert_eq!(entry["payload"]["timestamp"], entry["timestamp"]);
    }
}

// covers: GET /devices/{id}/events
#[tokio::test]
async fn event_page_starts_after_since() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let page = app.get("/devices/shop/events?after=3&limit=2").await.ok();
    let seqs: Vec<i64> =
        page["data"].as_array().unwrap().iter().map(|e| e["seq"].as_i64().unwrap()).collect();
    assert_eq!(seqs, [4, 5]);
    let states = app.get("/devices/shop/events?types=state,qr").await.ok();
    assert!(states["data"].as_array().unwrap().iter().all(|e| e["type"] == "state" || e["type"] == "qr"));
    for query in ["limit=0", "limit=101", "limit=x", "after=-1"] {
        app.get(&format!("/devices/shop/events?{query}")).await.refused(400, "invalid_field");
    }
}

// covers: rest text/event-stream with Last-Event-ID
#[tokio::test]
async fn event_stream_resumes_after_last_event_id() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let first = frames(&app, "/devices/shop/events?after=0", None, 3).await;
    assert!(first[0].contains("id: 1") && first[0].contains("event: state"), "{}", first[0]);
    let resumed = frames(&app, "/devices/shop/events", Some("3"), 1).await;
    assert!(resumed[0].contains("id: 4"), "{}", resumed[0]);
}

// covers: rest text/event-stream with Last-Event-ID
#[tokio::test]
async fn event_stream_is_live() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let newest = app.log("shop").await.len().to_string();
    let read = frames(&app, "/devices/shop/events", Some(&newest), 2);
    let write = async {
        // Lets the stream subscribe, so that the message arrives live and not by replay.
        tokio::time::sleep(Duration::from_millis(200)).await;
        app.incoming("shop", ANNA, "hello").await;
    };
    let (frames, ()) = tokio::join!(read, write);
    assert!(frames.iter().any(|f| f.contains("event: message")), "{frames:?}");
}

// covers: rest text/event-stream with Last-Event-ID
#[tokio::test]
async fn pruned_position_answers_resync() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let frames = frames(&app, "/devices/shop/events", Some("9999"), 1).await;
    assert!(frames[0].contains("event: resync") && frames[0].contains("newestSeq"), "{frames:?}");
}

#[tokio::test]
async fn expired_events_are_pruned_except_newest() {
    let app = TestApp::start_with(&[("WHARF__RETENTION__EVENTS_DAYS", "1")]).await;
    app.device("shop").await;
    let newest = app.log("shop").await.len();
    app.clock.advance(2 * 86_400_000);
    app.app().services.maintenance.sweep().await.unwrap();
    let log = app.log("shop").await;
    assert_eq!(log.len(), 1);
    assert_eq!(log[0]["seq"], newest);
    app.incoming("shop", ANNA, "hello").await;
    assert!(app.log("shop").await.iter().any(|e| e["seq"] == newest + 1));
}

#[tokio::test]
async fn expired_messages_are_pruned_unless_queued() {
    let app = TestApp::start_with(&[("WHARF__RETENTION__MESSAGES_DAYS", "1")]).await;
    app.device("shop").await;
    app.incoming("shop", ANNA, "old").await;
    app.post("/devices/shop/stop", json!({})).await.ok();
    let waiting = app.send("shop", ANNA, "waiting").await;
    app.clock.advance(2 * 86_400_000);
    app.app().services.maintenance.sweep().await.unwrap();
    let left = app.get(&format!("/devices/shop/chats/{ANNA}@c.us/messages")).await.ok();
    let ids: Vec<&str> = left["data"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [waiting]);
    assert_eq!(app.get("/devices/shop/messages/search?query=old").await.ok()["totalResults"], 0);
}

#[tokio::test]
async fn position_beyond_log_is_reported_and_follows_tail() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let newest = app.log("shop").await.len();
    let page = app.get(&format!("/devices/shop/events?after={}", newest + 100)).await.ok();
    assert_eq!((&page["resync"], &page["data"]), (&json!(true), &json!([])));
    app.incoming("shop", ANNA, "hello").await;
    let next = page["nextAfter"].as_i64().unwrap();
    let page = app.get(&format!("/devices/shop/events?after={next}")).await.ok();
    assert_eq!(page["resync"], false);
    assert!(page["data"].as_array().unwrap().iter().any(|e| e["type"] == "message"), "{page}");
}

// covers: rest text/event-stream with ephemeral=true
#[tokio::test]
async fn ephemeral_stream_carries_events_without_id_and_seq() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let newest = app.log("shop").await.len().to_string();
    let stream = open(&app, "/devices/shop/events?ephemeral=true", Some(&newest)).await;
    app.post("/simulator/shop/typing", json!({ "from": ANNA, "on": true })).await.ok();
    app.post("/simulator/shop/typing", json!({ "from": ANNA, "on": false })).await.ok();
    app.post("/simulator/shop/presence", json!({ "from": ANNA, "online": true })).await.ok();
    app.incoming("shop", ANNA, "hello").await;
    let frames = read(stream, 5).await;
    for frame in &frames {
        let is_logged = frame.contains("event: message\n") || frame.contains("event: contact:update\n");
        assert_eq!(frame.contains("id: "), is_logged, "{frame}");
        assert_eq!(frame.contains("\"seq\":"), is_logged, "{frame}");
        assert!(frame.contains("\"deviceId\":\"shop\"") && frame.contains("\"timestamp\":"), "{frame}");
    }
    for name in ["typing:start", "typing:stop", "presence"] {
        assert!(frames.iter().any(|frame| frame.contains(&format!("event: {name}\n"))), "{name}: {frames:?}");
    }
}

// covers: rest text/event-stream with ephemeral=true
#[tokio::test]
async fn types_select_ephemeral_events_too() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let stream =
        open(&app, "/devices/shop/events?ephemeral=true&types=chat:update,connection:status", None).await;
    app.post("/simulator/shop/typing", json!({ "from": ANNA, "on": true })).await.ok();
    app.incoming("shop", ANNA, "hello").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    app.fault("shop", json!({ "kind": "drop_link" })).await;
    let frames = read(stream, 2).await;
    assert!(frames[0].contains("event: chat:update\n") && frames[0].contains("\"chat\":{"), "{frames:?}");
    assert!(frames[1].contains("event: connection:status\n"), "{frames:?}");
}

#[tokio::test]
async fn stream_without_ephemeral_carries_the_log_only() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let newest = app.log("shop").await.len().to_string();
    let stream = open(&app, "/devices/shop/events", Some(&newest)).await;
    app.post("/simulator/shop/typing", json!({ "from": ANNA, "on": true })).await.ok();
    app.incoming("shop", ANNA, "hello").await;
    let frames = read(stream, 2).await;
    assert!(frames.iter().all(|frame| frame.contains("id: ")), "{frames:?}");
}
