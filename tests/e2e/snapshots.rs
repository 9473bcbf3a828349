//! Snapshots of the wire format, so that a change appears in the diff.

use serde_json::{Value, json};

use crate::support::{ANNA, TestApp};

/// Replaces values that differ between runs by placeholders.
fn steady(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                let taken = field.take();
                *field = match (name.as_str(), &taken) {
                    (_, Value::Null) => taken,
                    (
                        "timestamp" | "expiresAt" | "createdAt" | "lastSeen" | "lastUpdated" | "lastActivity"
                        | "lastMessageTime",
                        _,
                    ) => json!("<time>"),
                    ("qr" | "qrDataUrl" | "key", _) => json!("<secret>"),
                    ("id" | "messageId" | "networkId", Value::String(text)) if text.contains("_3EB0") => {
                        json!(format!("{}_<id>", text.rsplit_once('_').map_or("", |(chat, _)| chat)))
                    }
                    ("messageIds", _) => json!(["<id>"]),
                    ("avgResponseTime", _) => json!("<ms>"),
                    _ => steady(taken),
                };
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = steady(item.take())),
        _ => {}
    }
    value
}

#[tokio::test]
async fn event_payloads_match_snapshot() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let body = json!({ "from": ANNA, "body": "hello", "networkId": "BB886C09AEF9" });
    app.post("/simulator/shop/incoming", body).await.ok();
    app.post(&format!("/devices/shop/chats/{ANNA}@c.us/markRead"), json!({})).await.ok();
    let body = json!({ "to": ANNA, "text": "hi", "tempId": "t1" });
    let sent = app.post("/devices/shop/messages/send", body).await.created();
    app.wait_for_status("shop", sent["data"]["id"].as_str().unwrap(), "read").await;
    app.fault("shop", json!({ "kind": "log_out" })).await;
    app.wait_for_state("shop", "logged_out").await;
    let log: Vec<Value> = app.log("shop").await.into_iter().map(steady).collect();
    insta::assert_json_snapshot!("event_payloads", log);
}

#[tokio::test]
async fn rest_objects_match_snapshot() {
    let app = TestApp::start().await;
    let device = app.device("shop").await;
    let body = json!({ "from": ANNA, "body": "hello", "networkId": "BB886C09AEF9" });
    app.post("/simulator/shop/incoming", body).await.ok();
    let read = async |path: &str| steady(app.get(path).await.ok());
    let shapes = json!({
        "device": steady(device),
        "status": read("/devices/shop/status").await,
        "chats": read("/devices/shop/chats").await,
        "chat search": read("/devices/shop/chats/search?q=1555").await,
        "messages": read(&format!("/devices/shop/chats/{ANNA}@c.us/messages?limit=5")).await,
        "message": read(&format!("/devices/shop/messages/false_{ANNA}@c.us_BB886C09AEF9")).await,
        "contacts": read("/devices/shop/contacts").await,
        "health": read("/devices/shop/health").await,
        "queue": read("/devices/shop/queue-status").await,
    });
    insta::assert_json_snapshot!("rest_objects", shapes);
}

#[tokio::test]
async fn error_bodies_match_snapshot() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let send = "/devices/shop/messages/send";
    let bodies = json!({
        "no key": steady(serde_json::from_str(&app.request("GET", "/devices").send().await.unwrap().text().await.unwrap()).unwrap()),
        "wrong key": app.with_key("whf_0_0").get("/devices").await.json(),
        "no such device": app.get("/devices/nowhere").await.json(),
        "no such path": app.get("/nothing").await.json(),
        "missing field": app.post(send, json!({ "text": "x" })).await.json(),
        "wrong type": app.post(send, json!({ "to": ANNA, "text": 5 })).await.json(),
        "no code": app.get("/devices/shop/qr").await.json(),
        "out of range": app.get("/devices/shop/chats?limit=0").await.json(),
        "taken id": app.post("/devices", json!({ "id": "shop" })).await.json(),
    });
    insta::assert_json_snapshot!("error_bodies", bodies);
}

#[test]
fn openapi_document_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    let now = wharf::api::openapi_json();
    if std::env::var_os("WHARF_WRITE_DOCS").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == now,
        "docs/openapi.json is stale: run the tests with WHARF_WRITE_DOCS=1 and commit it"
    );
}

#[test]
fn reason_list_is_current() {
    use wharf::domain::failure::FAILURE_CODES;
    use wharf::domain::reason::Reason;
    let mut now = String::from(
        "# Reason codes\n\nWhy a device is in the state it is in. The codes are stable; they stand in `state` and \
         `disconnected` events, in REST, and in logs.\n\n| code | what happened | what to do |\n| --- | --- | --- |\n",
    );
    for reason in Reason::ALL {
        now.push_str(&format!("| `{}` | {} | {} |\n", reason.code(), reason.meaning(), reason.advice()));
    }
    now.push_str(
        "\n## Messages\n\nWhy a message failed: the `code` of `message:status` and of `GET …/messages/<id>`.\n\n\
         | code | what happened | what to do |\n| --- | --- | --- |\n",
    );
    for failure in FAILURE_CODES {
        now.push_str(&format!("| `{}` | {} | {} |\n", failure.code, failure.meaning, failure.advice));
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reason-codes.md");
    if std::env::var_os("WHARF_WRITE_DOCS").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == now,
        "docs/reason-codes.md is stale: run the tests with WHARF_WRITE_DOCS=1 and commit it"
    );
}
