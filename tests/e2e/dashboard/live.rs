//! Live events of all devices: the namespace `/devices`, and `GET /events`.

use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::new_key;
use crate::support::wire::Wire;
use crate::support::{ANNA, TestApp};

/// A socket of `/devices`.
struct Live(Wire);

impl Live {
    async fn join(app: &TestApp, key: &str) -> Self {
        let (mut wire, _) = Wire::open(app).await;
        wire.send(&format!("40/devices,{{\"apiKey\":\"{key}\"}}")).await;
        wire.packet_with("40/devices,").await;
        Self(wire)
    }

    /// The next event, with its name.
    async fn next(&mut self) -> (String, Value) {
        let packet = self.0.packet_with("42/devices,").await;
        let event: Vec<Value> = serde_json::from_str(packet.strip_prefix("42/devices,").unwrap()).unwrap();
        (event[0].as_str().unwrap().to_owned(), event[1].clone())
    }

    /// The events until one of this name and device, inclusive.
    async fn until(&mut self, name: &str, device: &str) -> Vec<(String, Value)> {
        let mut all = Vec::new();
        loop {
            all.push(self.next().await);
            let (last, payload) = all.last().unwrap();
            if last == name && payload["deviceId"] == device {
                return all;
            }
        }
    }

    async fn ask(&mut self, event: &str, body: &Value) -> Value {
        self.0.send(&format!("42/devices,7{}", json!([event, body]))).await;
        let packet = self.0.packet_with("43/devices,7").await;
        serde_json::from_str::<Value>(packet.strip_prefix("43/devices,7").unwrap()).unwrap()[0].clone()
    }
}

fn names(events: &[(String, Value)]) -> Vec<&str> {
    events.iter().map(|(name, _)| name.as_str()).collect()
}

// covers: event device:created
// covers: connect to /devices
#[tokio::test]
async fn new_device_is_followed_without_reconnecting() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let mut live = Live::join(&app, &app.key).await;
    app.device("home").await;
    let mut seen = live.until("device:created", "home").await;
    let created = seen.last().unwrap().1.clone();
    assert_eq!((&created["deviceId"], &created["seq"]), (&json!("home"), &json!(0)));
    assert!(created["timestamp"].is_i64());
    loop {
        seen.extend(live.until("state", "home").await);
        if seen.last().unwrap().1["state"] == "ready" {
            break;
        }
    }
    assert!(names(&seen).iter().all(|name| ["device:created", "state"].contains(name)), "{:?}", names(&seen));
    let states: Vec<Value> = app.logged("home", "state").await;
    let got: Vec<&Value> =
        seen.iter().filter(|(name, _)| name == "state").map(|(_, payload)| payload).collect();
    assert_eq!(got, states.iter().collect::<Vec<_>>());
    app.delete("/devices/home").await.ok();
    let last = live.until("device-deleted", "home").await;
    assert!(
        last.last().unwrap().1["seq"].as_i64().unwrap() > states.last().unwrap()["seq"].as_i64().unwrap()
    );
}

// covers: emit events:tail
// covers: emit events:untail
#[tokio::test]
async fn tail_adds_the_selected_events_of_all_logs() {
    let app = TestApp::start().await;
    for id in ["shop", "home", "bar"] {
        app.device(id).await;
    }
    let mut live = Live::join(&app, &app.key).await;
    let tail = json!({ "types": ["message"], "devices": ["shop", "home"] });
    assert_eq!(live.ask("events:tail", &tail).await, json!({ "success": true }));
    for id in ["bar", "shop", "home"] {
        app.incoming(id, ANNA, "hello there").await;
    }
    let mut got = vec![live.next().await, live.next().await];
    got.sort_by_key(|(_, payload)| payload["deviceId"].as_str().unwrap().to_owned());
    assert_eq!(names(&got), ["message", "message"]);
    for ((_, payload), id) in got.iter().zip(["home", "shop"]) {
        assert_eq!(*payload, app.logged(id, "message").await[0]);
    }
    assert_eq!(live.ask("events:untail", &json!({})).await["success"], true);
    app.incoming("shop", ANNA, "again hello").await;
    app.post("/devices/shop/stop", json!({})).await.ok();
    assert_eq!(live.next().await.0, "state");
    assert_eq!(live.ask("events:tail", &json!({ "types": 5 })).await["code"], "invalid_field");
    assert_eq!(live.ask("message:send", &json!({})).await["code"], "unknown_event");
}

#[tokio::test]
async fn device_key_gets_nothing_of_another_device() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.device("home").await;
    let (key, _) =
        new_key(&app, json!({ "name": "shop", "scopes": ["events:read"], "devices": ["shop", "later"] }))
            .await;
    let mut live = Live::join(&app, &key).await;
    assert_eq!(live.ask("events:tail", &json!({})).await["success"], true);
    let refused = live.ask("events:tail", &json!({ "devices": ["home"] })).await;
    assert_eq!(
        (&refused["code"], &refused["details"][0]["field"]),
        (&json!("invalid_field"), &json!("devices"))
    );
    app.incoming("home", ANNA, "not for shop").await;
    app.device("other").await;
    app.delete("/devices/home").await.ok();
    app.device("later").await;
    app.incoming("shop", ANNA, "for the shop").await;
    let seen = live.until("message", "shop").await;
    assert!(names(&seen).contains(&"device:created"));
    assert!(
        seen.iter().all(|(_, payload)| ["shop", "later"].contains(&payload["deviceId"].as_str().unwrap()))
    );
    let text = serde_json::to_string(&seen.iter().map(|(_, payload)| payload).collect::<Vec<_>>()).unwrap();
    assert!(!text.contains("home") && !text.contains("other"));

    let (blind, _) = new_key(&app, json!({ "name": "blind", "scopes": ["devices:read"] })).await;
    let (mut wire, _) = Wire::open(&app).await;
    wire.send(&format!("40/devices,{{\"apiKey\":\"{blind}\"}}")).await;
    assert!(wire.packet_with("44/devices,").await.contains("API key not allowed for this device"));
}

/// Reads a stream of events until it has this text.
async fn read_until(response: reqwest::Response, text: &str) -> String {
    let mut stream = response.bytes_stream();
    let mut read = String::new();
    let reading = async {
        while !read.contains(text) {
            let Some(chunk) = stream.next().await else { break };
            read.push_str(&String::from_utf8_lossy(&chunk.unwrap()));
        }
        read
    };
    tokio::time::timeout(Duration::from_secs(10), reading).await.expect("the stream sent nothing")
}

// covers: GET /events
#[tokio::test]
async fn stream_has_the_events_of_the_keys_devices() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.device("home").await;
    let (key, id) =
        new_key(&app, json!({ "name": "shop", "scopes": ["events:read"], "devices": ["shop"] })).await;
    app.with_key(&key).get("/events?devices=home").await.refused(403, "device_not_allowed");
    let open = async |key: &str, query: &str| {
        let request = app.request("GET", &format!("/events{query}")).header("x-api-key", key);
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
        response
    };
    let (one, all) = (open(&key, "").await, open(&app.key, "?types=message,device:created").await);
    app.incoming("home", ANNA, "from-home-1").await;
    app.incoming("shop", ANNA, "from-shop-2").await;
    let one = read_until(one, "from-shop-2").await;
    assert!(one.contains("event: message\n") && !one.contains("home"), "{one}");
    assert!(one.contains("event: contact:update\n") || one.contains("\"seq\":"), "{one}");
    app.new_device("late", json!({})).await;
    let all = read_until(all, "device:created").await;
    assert!(all.contains("from-home-1") && all.contains("from-shop-2"), "{all}");
    assert!(!all.contains("event: state") && !all.lines().any(|line| line.starts_with("id:")), "{all}");

    let ends = open(&key, "").await;
    app.delete(&format!("/api-keys/{id}")).await.ok();
    read_until(ends, "never sent").await;
}
