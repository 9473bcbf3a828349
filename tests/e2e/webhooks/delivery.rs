//! Content, signature and headers of deliveries.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;

use super::{app, app_with, attempts, create_webhook, for_messages, webhook};
use crate::support::receiver::{Answer, Received, Receiver};
use crate::support::{ANNA, TestApp};

/// The Standard Webhooks signature, computed here from the specification.
fn signature(secret: &str, received: &Received) -> String {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = <Hmac<Sha256>>::new_from_slice(&key).unwrap();
    mac.update(
        format!("{}.{}.", received.header("webhook-id"), received.header("webhook-timestamp")).as_bytes(),
    );
    mac.update(&received.bytes);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

async fn wait_for_requests(app: &TestApp, receiver: &Receiver, count: usize) -> Vec<Received> {
    app.wait_until("deliveries", async || {
        let all = receiver.all();
        (all.len() >= count).then_some(all)
    })
    .await
}

// covers: POST /webhooks
// covers: POST /devices/{id}/webhooks
#[tokio::test]
async fn delivery_is_signed_and_equals_log_entry() {
    let app = app().await;
    app.device("shop").await;
    let (global, device) = (Receiver::start().await, Receiver::start().await);
    let (_, secret) = for_messages(&app, &global.url).await;
    let body =
        json!({ "url": device.url, "events": ["message"], "headers": { "Authorization": "Bearer t" } });
    create_webhook(&app, "/devices/shop/webhooks", body).await;
    app.incoming("shop", ANNA, "hello").await;
    let to_all = wait_for_requests(&app, &global, 1).await.remove(0);
    let to_shop = wait_for_requests(&app, &device, 1).await.remove(0);
    let logged = app.logged("shop", "message").await.remove(0);
    assert_eq!(to_all.data(), logged);
    assert_eq!(to_all.json()["type"], "message");
    assert_eq!(to_all.json()["id"], to_all.header("webhook-id"));
    assert!(!to_all.header("webhook-id").contains('.'));
    assert_eq!(to_all.header("webhook-signature"), signature(&secret, &to_all));
    assert_eq!(to_all.header("content-type"), "application/json");
    assert_eq!(to_shop.header("authorization"), "Bearer t");
    assert_eq!(to_shop.data(), logged);
}

#[tokio::test]
async fn only_subscribed_new_events_are_delivered() {
    let app = app().await;
    app.device("shop").await;
    app.device("home").await;
    app.incoming("shop", ANNA, "before").await;
    let receiver = Receiver::start().await;
    let body = json!({ "url": receiver.url, "events": ["message", "message:ack"], "exclude": ["groups", "message:ack"] });
    create_webhook(&app, "/devices/shop/webhooks", body).await;
    app.incoming("home", ANNA, "of another device").await;
    app.send("shop", ANNA, "out").await;
    app.incoming("shop", ANNA, "after").await;
    let all = wait_for_requests(&app, &receiver, 1).await;
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].data()["message"]["body"], "after");
}

#[tokio::test]
async fn retry_keeps_id_and_renews_timestamp() {
    let app = app_with(&[("WHARF__WEBHOOKS__RETRY_DELAYS", "1100ms")]).await;
    app.device("shop").await;
    let receiver = Receiver::answering(|n| Answer::Status(if n == 0 { 500 } else { 204 })).await;
    let (id, secret) = for_messages(&app, &receiver.url).await;
    app.incoming("shop", ANNA, "hello").await;
    let both = wait_for_requests(&app, &receiver, 2).await;
    assert_eq!(both[0].header("webhook-id"), both[1].header("webhook-id"));
    assert_ne!(both[0].header("webhook-timestamp"), both[1].header("webhook-timestamp"));
    assert_eq!(both[1].header("webhook-signature"), signature(&secret, &both[1]));
    assert_eq!(both[0].bytes, both[1].bytes);
    let tried = app
        .wait_until("both attempts to be recorded", async || {
            Some(attempts(&app, &id).await).filter(|tried| tried.len() == 2)
        })
        .await;
    assert_eq!((&tried[1]["outcome"], &tried[1]["status"]), (&json!("server_error"), &json!(500)));
    assert!(tried[1]["nextAttemptAt"].as_i64() > tried[1]["at"].as_i64());
    assert_eq!((&tried[0]["outcome"], &tried[0]["attempt"]), (&json!("delivered"), &json!(2)));
    assert_eq!(webhook(&app, &id).await["failingSince"], json!(null));
}

#[tokio::test]
async fn both_secrets_sign_during_rotation() {
    let app = app().await;
    app.device("shop").await;
    let receiver = Receiver::start().await;
    let (id, old) = for_messages(&app, &receiver.url).await;
    let rotated = app.post(&format!("/webhooks/{id}/rotate"), json!({ "keepMs": 60_000 })).await.ok();
    let new = rotated["data"]["signingSecret"].as_str().unwrap().to_owned();
    app.incoming("shop", ANNA, "hello").await;
    let received = wait_for_requests(&app, &receiver, 1).await.remove(0);
    let expected = format!("{} {}", signature(&new, &received), signature(&old, &received));
    assert_eq!(received.header("webhook-signature"), expected);
    app.clock.advance(61_000);
    app.incoming("shop", ANNA, "later").await;
    let later = wait_for_requests(&app, &receiver, 2).await.remove(1);
    assert_eq!(later.header("webhook-signature"), signature(&new, &later));
    assert_eq!(webhook(&app, &id).await["previousSecretUntil"], json!(null));
}

#[tokio::test]
async fn pending_deliveries_survive_restart_and_deletion() {
    let app = app_with(&[("WHARF__WEBHOOKS__RETRY_DELAYS", "10s")]).await;
    app.device("shop").await;
    let receiver = Receiver::answering(|n| Answer::Status(if n == 0 { 503 } else { 204 })).await;
    let body = json!({ "url": receiver.url, "events": ["message", "device-deleted"] });
    create_webhook(&app, "/devices/shop/webhooks", body).await;
    app.incoming("shop", ANNA, "hello").await;
    wait_for_requests(&app, &receiver, 1).await;
    app.clock.advance(20_000);
    let app = app.restarted().await;
    wait_for_requests(&app, &receiver, 2).await;
    app.delete("/devices/shop").await.ok();
    let all = wait_for_requests(&app, &receiver, 3).await;
    assert_eq!(all[2].json()["type"], "device-deleted");
}

#[tokio::test]
async fn metrics_count_delivered_attempts() {
    let app = app().await;
    app.device("shop").await;
    let receiver = Receiver::start().await;
    for_messages(&app, &receiver.url).await;
    app.incoming("shop", ANNA, "hello").await;
    wait_for_requests(&app, &receiver, 1).await;
    app.wait_until("the attempt to be counted", async || {
        let text = app.get("//metrics").await.text();
        text.contains("wharf_webhook_attempts_total{outcome=\"delivered\"} 1").then_some(())
    })
    .await;
}
