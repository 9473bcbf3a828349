//! Push notifications to subscribed browsers.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{app, app_with, message_notifications};
use crate::support::receiver::{Answer, Receiver};
use crate::support::{ANNA, BEN};

// The example keys of RFC 8291.
const P256DH: &str =
    "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";

fn browser(url: &str) -> Value {
    json!({ "endpoint": url, "keys": { "p256dh": P256DH, "auth": AUTH }, "label": "laptop" })
}

// covers: GET /notifications/push/key
// covers: GET /notifications/push
// covers: POST /notifications/push
// covers: DELETE /notifications/push/{pid}
#[tokio::test]
async fn browser_subscribes_and_unsubscribes_push() {
    let app = app_with(&[("WHARF__NET__ALLOW_PRIVATE", "127.0.0.0/8")]).await;
    app.device("shop").await;
    let key = app.get("/notifications/push/key").await.ok()["data"]["publicKey"].as_str().unwrap().to_owned();
    assert_eq!(URL_SAFE_NO_PAD.decode(&key).unwrap().len(), 65);
    let service = Receiver::answering(|_| Answer::Status(201)).await;
    let made = app.post("/notifications/push", browser(&service.url)).await.created()["data"].clone();
    assert_eq!(made["label"], "laptop");
    assert!(service.url.starts_with(made["origin"].as_str().unwrap()), "{made}");
    assert!(!made.to_string().contains(AUTH));
    assert_eq!(app.get("/notifications/push").await.ok()["data"], json!([made]));
    assert_eq!(app.get("/notifications/push?access-token=ben").await.ok()["data"], json!([]));
    app.incoming("shop", ANNA, "a secret text").await;
    app.wait_until("the push", async || (service.count() > 0).then_some(())).await;
    let pushed = service.all().remove(0);
    assert_eq!(pushed.header("content-encoding"), "aes128gcm");
    assert!(pushed.header("authorization").starts_with("vapid t="));
    assert!(!String::from_utf8_lossy(&pushed.bytes).contains("secret"));

    let app = app.restarted().await;
    assert_eq!(app.get("/notifications/push/key").await.ok()["data"]["publicKey"], key);
    let path = format!("/notifications/push/{}", made["id"].as_str().unwrap());
    let not_mine = format!("{path}?access-token=ben");
    app.delete(&not_mine).await.refused(404, "subscription_not_found");
    app.delete(&path).await.ok();
    assert_eq!(app.get("/notifications/push").await.ok()["data"], json!([]));
}

#[tokio::test]
async fn gone_push_subscription_is_removed() {
    let app = app_with(&[("WHARF__NET__ALLOW_PRIVATE", "127.0.0.0/8")]).await;
    app.device("shop").await;
    let service = Receiver::answering(|_| Answer::Status(410)).await;
    app.post("/notifications/push", browser(&service.url)).await.created();
    app.incoming("shop", ANNA, "hello").await;
    app.wait_until("the subscription to be removed", async || {
        let left = app.get("/notifications/push").await.ok();
        (left["data"] == json!([])).then_some(())
    })
    .await;
}

#[tokio::test]
async fn stalled_push_delays_its_operator_only() {
    let app = app_with(&[("WHARF__NET__ALLOW_PRIVATE", "127.0.0.0/8")]).await;
    app.device("shop").await;
    let hanging = Receiver::answering(|_| Answer::Nothing).await;
    for n in 0..20 {
        let url = format!("{}/{n}", hanging.url);
        app.post("/notifications/push?access-token=mallory", browser(&url)).await.created();
    }
    let service = Receiver::answering(|_| Answer::Status(201)).await;
    app.post("/notifications/push", browser(&service.url)).await.created();
    let begun = tokio::time::Instant::now();
    for (count, from) in [(1, ANNA), (2, BEN)] {
        app.incoming("shop", from, "hello").await;
        app.wait_until("the push", async || (service.count() >= count).then_some(())).await;
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(8), "{:?}", begun.elapsed());
    assert!(hanging.count() > 0, "the stalled browser had a push");
}

#[tokio::test]
async fn failing_push_backs_off() {
    let app = app_with(&[("WHARF__NET__ALLOW_PRIVATE", "127.0.0.0/8")]).await;
    app.device("shop").await;
    let failing =
        Receiver::answering(|n| if n < 2 { Answer::Status(500) } else { Answer::Status(201) }).await;
    let other = Receiver::answering(|_| Answer::Status(201)).await;
    app.post("/notifications/push", browser(&failing.url)).await.created();
    app.post("/notifications/push?access-token=ben", browser(&other.url)).await.created();
    let mut pushed = 0;
    let mut next = async |after_ms: i64| {
        app.clock.advance(after_ms);
        pushed += 1;
        // A different chat each time, so that nothing is coalesced.
        app.incoming("shop", &format!("155501001{pushed:02}"), "hello").await;
        app.wait_until("the push", async || (other.count() >= pushed).then_some(())).await;
    };
    let tried = async |count: usize, outcome: &str| {
        app.wait_until(&format!("{count} {outcome}"), async || {
            let metrics = app.get("//metrics").await.text();
            let line = format!("{{action=\"push\",outcome=\"{outcome}\"}} {count}\n");
            metrics.contains(&line).then_some(())
        })
        .await;
    };
    next(0).await;
    tried(1, "busy").await;
    next(30_000).await;
    tried(1, "rests").await;
    next(31_000).await;
    tried(2, "busy").await;
    next(61_000).await;
    tried(2, "rests").await;
    next(240_000).await;
    app.wait_until("the next successful push", async || (failing.accepted().len() == 1).then_some(())).await;
    assert_eq!(failing.count(), 3);
}

#[tokio::test]
async fn push_subscriptions_are_limited_per_key() {
    let app = app_with(&[("WHARF__NET__ALLOW_PRIVATE", "127.0.0.0/8")]).await;
    let key = app.post("/api-keys", json!({ "name": "k", "scopes": ["events:read"] })).await.created();
    let key = key["data"]["key"].as_str().unwrap().to_owned();
    let mallory = app.with_key(&key);
    let subscribe = |n: usize| browser(&format!("http://127.0.0.1:9/{n}"));
    for n in 0..20 {
        mallory.post("/notifications/push?access-token=n0", subscribe(n)).await.created();
    }
    let refused = mallory.post("/notifications/push?access-token=n0", subscribe(20)).await;
    let refused = refused.refused(409, "too_many_subscriptions");
    assert!(refused.to_string().contains("one operator"), "{refused}");
    for n in 20..100 {
        let path = format!("/notifications/push?access-token=n{}", n / 20);
        mallory.post(&path, subscribe(n)).await.created();
    }
    let refused = mallory.post("/notifications/push?access-token=more", subscribe(100)).await;
    let refused = refused.refused(409, "too_many_subscriptions");
    assert!(refused.to_string().contains("this API key"), "{refused}");
    app.post("/notifications/push", subscribe(101)).await.created();
}

#[tokio::test]
async fn muted_operator_gets_no_push() {
    let app = app_with(&[("WHARF__NET__ALLOW_PRIVATE", "127.0.0.0/8")]).await;
    app.device("shop").await;
    let service = Receiver::answering(|_| Answer::Status(201)).await;
    app.post("/notifications/push", browser(&service.url)).await.created();
    app.post("/devices/shop/notifications/mute", json!({})).await.ok();
    app.incoming("shop", ANNA, "muted text").await;
    message_notifications(&app, "shop", 1).await;
    app.post("/devices/shop/notifications/unmute", json!({})).await.ok();
    let before = service.count();
    app.incoming("shop", BEN, "audible text").await;
    app.wait_until("the push", async || (service.count() > before).then_some(())).await;
    assert_eq!((before, service.count()), (0, 1));
}

#[tokio::test]
async fn invalid_push_subscription_is_rejected() {
    let app = app().await;
    for (endpoint, p256dh) in [
        ("http://push.example.com/x", P256DH),
        ("https://127.0.0.1/x", P256DH),
        ("https://push.example.com/x", "AAAA"),
        ("nowhere", P256DH),
    ] {
        let body = json!({ "endpoint": endpoint, "keys": { "p256dh": p256dh, "auth": AUTH } });
        app.post("/notifications/push", body).await.refused(400, "invalid_field");
    }
}

#[tokio::test]
async fn push_of_deleted_device_does_not_cover_later_one() {
    let app = app_with(&[("WHARF__NET__ALLOW_PRIVATE", "127.0.0.0/8")]).await;
    app.device("shop").await;
    let (old, new) = (
        Receiver::answering(|_| Answer::Status(201)).await,
        Receiver::answering(|_| Answer::Status(201)).await,
    );
    let of_shop = |url: &str| {
        let mut body = browser(url);
        body["devices"] = json!(["shop"]);
        body
    };
    app.post("/notifications/push", of_shop(&old.url)).await.created();
    app.delete("/devices/shop?keepMessages=true").await.ok();
    app.device("shop").await;
    app.post("/notifications/push", of_shop(&new.url)).await.created();
    let listed = app.get("/notifications/push").await.ok()["data"].clone();
    assert_eq!((&listed[0]["devices"], &listed[1]["devices"]), (&json!([]), &json!(["shop"])));
    app.incoming("shop", ANNA, "for the next tenant").await;
    app.wait_until("the push", async || (new.count() > 0).then_some(())).await;
    app.assert_stays("no push to the old browser", "pushes of one event are sent concurrently", async || {
        old.count() == 0
    })
    .await;
}
