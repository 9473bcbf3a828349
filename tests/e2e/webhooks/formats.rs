//! Webhook formats of other back ends.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::{Sha256, Sha512};

use super::{app, create_webhook};
use crate::support::ANNA;
use crate::support::receiver::{Received, Receiver};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn waha_format_matches_waha() {
    let app = app().await;
    app.device("shop").await;
    let receiver = Receiver::start().await;
    let body = json!({ "url": receiver.url, "format": "waha", "secret": "my-secret-key", "events": ["message", "message.any", "message.ack", "session.status"] });
    create_webhook(&app, "/devices/shop/webhooks", body).await;
    app.incoming("shop", ANNA, "hello").await;
    let sent = app.send("shop", ANNA, "out").await;
    app.wait_for_status("shop", &sent, "read").await;
    app.post("/devices/shop/stop", json!({})).await.ok();
    let named = |name: &str| -> Vec<Received> {
        receiver.all().into_iter().filter(|r| r.json()["event"] == name).collect()
    };
    app.wait_until("the end of the session", async || (!named("session.status").is_empty()).then_some(()))
        .await;
    let message = &named("message")[0];
    let mut mac = <Hmac<Sha512>>::new_from_slice(b"my-secret-key").unwrap();
    mac.update(&message.bytes);
    assert_eq!(message.header("x-webhook-hmac"), hex(&mac.finalize().into_bytes()));
    assert_eq!(message.header("x-webhook-hmac-algorithm"), "sha512");
    assert!(!message.header("x-webhook-request-id").is_empty());
    let body = message.json();
    assert_eq!((&body["session"], &body["payload"]["body"]), (&json!("shop"), &json!("hello")));
    assert!(body["me"]["id"].as_str().unwrap().ends_with("@c.us"));
    assert_eq!(named("message.any").len(), 2, "incoming and outgoing messages");
    assert!(named("message.ack").iter().any(|ack| ack.json()["payload"]["id"] == sent));
    assert_eq!(named("session.status").last().unwrap().json()["payload"]["status"], "STOPPED");
}

#[tokio::test]
async fn wwebjs_format_matches_back_end() {
    let app = app().await;
    app.device("shop").await;
    let receiver = Receiver::start().await;
    let body = json!({ "url": receiver.url, "format": "wwebjs", "secret": "key", "events": ["message"] });
    create_webhook(&app, "/devices/shop/webhooks", body).await;
    let id = app.incoming("shop", ANNA, "hello").await;
    app.wait_until("the message", async || (receiver.count() == 1).then_some(())).await;
    let received = receiver.all().remove(0);
    let body = received.json();
    assert_eq!((&body["dataType"], &body["sessionId"]), (&json!("message"), &json!("shop")));
    assert_eq!(body["data"]["message"]["id"]["_serialized"], id);
    let mut mac = <Hmac<Sha256>>::new_from_slice(b"key").unwrap();
    mac.update(&received.bytes);
    assert_eq!(
        received.header("x-hub-signature-256"),
        format!("sha256={}", hex(&mac.finalize().into_bytes()))
    );
}
