//! Creating, showing, changing, testing and deleting webhooks.

use serde_json::json;

use super::{app, app_with, attempts, create_webhook, for_messages, webhook};
use crate::support::ANNA;
use crate::support::receiver::Receiver;

const URL: &str = "https://hooks.example.com/wharf";

// covers: GET /webhooks
// covers: GET /devices/{id}/webhooks
// covers: GET /webhooks/{wid}
// covers: GET /devices/{id}/webhooks/{wid}
// covers: PATCH /webhooks/{wid}
// covers: PATCH /devices/{id}/webhooks/{wid}
// covers: DELETE /webhooks/{wid}
// covers: DELETE /devices/{id}/webhooks/{wid}
#[tokio::test]
async fn webhook_is_created_shown_changed_and_deleted() {
    let app = app().await;
    app.device("shop").await;
    let url = format!("{URL}?token=hidden");
    let body = json!({ "url": url, "headers": { "Authorization": "Bearer hidden" }, "name": "Orders" });
    let created = app.post("/devices/shop/webhooks", body).await.created();
    assert!(created["data"]["signingSecret"].as_str().unwrap().starts_with("whsec_"));
    let shown = &created["data"]["webhook"];
    assert_eq!((&shown["deviceId"], &shown["name"]), (&json!("shop"), &json!("Orders")));
    assert_eq!(
        (&shown["events"], &shown["format"], &shown["ordering"]),
        (&json!(["*"]), &json!("wharf"), &json!("device"))
    );
    let id = shown["id"].as_str().unwrap();
    let (global, _) = for_messages(&app, URL).await;
    assert_eq!(app.get("/webhooks").await.ok()["data"].as_array().unwrap().len(), 2);
    let own = app.get("/devices/shop/webhooks").await.ok();
    assert_eq!(own["data"].as_array().unwrap().len(), 1);
    assert!(!own.to_string().contains("hidden"), "{own}");
    app.get(&format!("/devices/shop/webhooks/{global}")).await.refused(404, "webhook_not_found");

    let path = format!("/devices/shop/webhooks/{id}");
    let as_shown =
        json!({ "url": shown["url"], "headers": shown["headers"], "events": ["message"], "enabled": false });
    let changed = app.patch(&path, as_shown).await.ok()["data"].clone();
    let misspelt = || json!({ "url": URL, "event": ["message"] });
    app.post("/webhooks", misspelt()).await.refused(400, "invalid_field");
    for (wrong, field) in [(misspelt(), "event"), (json!({ "secret": "abc" }), "secret")] {
        let refused = app.patch(&path, wrong).await.refused(400, "invalid_field");
        assert_eq!(refused["details"][0]["field"], field);
    }
    assert_eq!((&changed["enabled"], &changed["disabledReason"]), (&json!(false), &json!("operator")));
    assert_eq!(app.get(&path).await.ok()["data"], changed);
    assert_eq!(
        app.patch(&format!("/webhooks/{id}"), json!({ "enabled": true })).await.ok()["data"]["enabled"],
        true
    );
    app.delete(&path).await.ok();
    app.delete(&format!("/webhooks/{global}")).await.ok();
    app.get(&format!("/webhooks/{id}")).await.refused(404, "webhook_not_found");
    assert_eq!(app.get("/webhooks").await.ok()["data"], json!([]));
}

// covers: POST /webhooks/{wid}/test
// covers: POST /devices/{id}/webhooks/{wid}/test
// covers: GET /webhooks/{wid}/attempts
// covers: GET /devices/{id}/webhooks/{wid}/attempts
// covers: POST /webhooks/{wid}/rotate
// covers: POST /devices/{id}/webhooks/{wid}/rotate
#[tokio::test]
async fn test_delivery_is_immediate_with_stored_headers() {
    let app = app().await;
    app.device("shop").await;
    let receiver = Receiver::start().await;
    let url = format!("{}?token=t", receiver.url);
    let body = json!({ "url": url, "headers": { "X-Key": "k" }, "enabled": false });
    let (id, first) = create_webhook(&app, "/devices/shop/webhooks", body).await;
    let shown = webhook(&app, &id).await;
    app.patch(&format!("/webhooks/{id}"), json!({ "headers": shown["headers"], "url": shown["url"] }))
        .await
        .ok();
    for path in ["/webhooks", "/devices/shop/webhooks"] {
        let report = app.post(&format!("{path}/{id}/test"), json!({})).await.ok();
        assert_eq!((&report["data"]["delivered"], &report["data"]["status"]), (&json!(true), &json!(204)));
        let rotated = app.post(&format!("{path}/{id}/rotate"), json!({})).await.ok();
        assert_ne!(rotated["data"]["signingSecret"], first);
        let tried = app.get(&format!("{path}/{id}/attempts")).await.ok();
        assert_eq!(tried["data"][0]["event"], "webhook:test");
    }
    let all = receiver.all();
    assert_eq!(all[0].json()["type"], "webhook:test");
    assert_eq!(all[0].header("x-key"), "k");
    assert_ne!(all[0].header("webhook-id"), all[1].header("webhook-id"));
    let page = app.get(&format!("/webhooks/{id}/attempts?limit=1")).await.ok();
    let before = page["pagination"]["before"].as_i64().unwrap();
    let rest = app.get(&format!("/webhooks/{id}/attempts?before={before}")).await.ok();
    assert_eq!(rest["data"].as_array().unwrap().len(), 1);
    assert_eq!(rest["pagination"]["before"], json!(null));
}

#[tokio::test]
async fn invalid_webhook_is_rejected_by_field() {
    let app = app().await;
    app.device("shop").await;
    for (body, field) in [
        (json!({}), "url"),
        (json!({ "url": "ftp://a.example/" }), "url"),
        (json!({ "url": "https://user:password@a.example/" }), "url"),
        (json!({ "url": "nothing" }), "url"),
        (json!({ "url": URL, "events": ["typing:start"] }), "events[0]"),
        (json!({ "url": URL, "events": [] }), "events[0]"),
        (json!({ "url": URL, "exclude": ["people"] }), "exclude[0]"),
        (json!({ "url": URL, "format": "waha", "events": ["message:ack"] }), "events[0]"),
        (json!({ "url": URL, "secret": "short" }), "secret"),
        (json!({ "url": URL, "headers": { "Host": "b" } }), "headers.Host"),
        (json!({ "url": URL, "headers": { "a": "b\r\nc: d" } }), "headers.a"),
        (json!({ "url": URL, "timeoutMs": 5 }), "timeoutMs"),
        (json!({ "url": URL, "customCa": "no PEM" }), "customCa"),
    ] {
        let refused = app.post("/webhooks", body.clone()).await.refused(400, "invalid_field");
        assert_eq!(refused["details"][0]["field"], field, "{body}");
    }
    app.post("/devices/nowhere/webhooks", json!({ "url": URL })).await.refused(404, "device_not_found");
    let full = app_with(&[("WHARF__WEBHOOKS__MAX_ENDPOINTS", "1")]).await;
    for_messages(&full, URL).await;
    full.post("/webhooks", json!({ "url": URL })).await.refused(409, "too_many_webhooks");
}

#[tokio::test]
async fn device_is_created_and_changed_with_webhook() {
    let app = app().await;
    let receiver = Receiver::start().await;
    app.post("/devices", json!({ "id": "bad", "webhook": "nothing" })).await.refused(400, "invalid_field");
    app.get("/devices/bad").await.refused(404, "device_not_found");
    let created = app.post("/devices", json!({ "id": "shop", "webhook": receiver.url })).await.created();
    assert!(created["data"]["webhook"]["signingSecret"].is_string());
    app.wait_until("an event", async || (receiver.count() > 0).then_some(())).await;
    app.patch("/devices/shop", json!({ "webhook": { "url": URL, "events": ["message"] } })).await.ok();
    assert_eq!(app.get("/devices/shop/webhooks").await.ok()["data"].as_array().unwrap().len(), 2);
    assert!(app.get("/devices/shop").await.ok()["data"].get("webhook").is_none());
}

#[tokio::test]
async fn disabled_webhook_queues_nothing() {
    let app = app().await;
    app.device("shop").await;
    let receiver = Receiver::start().await;
    let (id, _) = for_messages(&app, &receiver.url).await;
    let path = format!("/webhooks/{id}");
    app.patch(&path, json!({ "enabled": false })).await.ok();
    app.incoming("shop", ANNA, "sent while disabled").await;
    assert_eq!(webhook(&app, &id).await["waiting"], 0);
    app.patch(&path, json!({ "enabled": true })).await.ok();
    app.incoming("shop", ANNA, "sent while enabled").await;
    app.wait_until("the message", async || (receiver.count() == 1).then_some(())).await;
    assert_eq!(receiver.all()[0].data()["message"]["body"], "sent while enabled");
    app.wait_until("its only attempt", async || (attempts(&app, &id).await.len() == 1).then_some(())).await;
}

#[tokio::test]
async fn webhooks_of_a_device_are_limited() {
    let app = app_with(&[("WHARF__WEBHOOKS__MAX_PER_DEVICE", "2")]).await;
    app.device("shop").await;
    app.device("home").await;
    let body = || json!({ "url": URL });
    for _ in 0..2 {
        app.post("/devices/shop/webhooks", body()).await.created();
    }
    let refused = app.post("/devices/shop/webhooks", body()).await.refused(409, "too_many_webhooks");
    assert!(refused["error"].as_str().unwrap().contains("max_per_device"), "{refused}");
    let by_field = json!({ "url": URL, "deviceId": "shop" });
    app.post("/webhooks", by_field).await.refused(409, "too_many_webhooks");
    app.post("/devices/home/webhooks", body()).await.created();
    app.post("/webhooks", body()).await.created();
}

#[tokio::test]
async fn recorded_attempts_of_a_second_are_limited() {
    let app = app_with(&[("WHARF__WEBHOOKS__MAX_ATTEMPTS_PER_SECOND", "3")]).await;
    app.device("shop").await;
    let receiver = Receiver::start().await;
    let (id, _) = for_messages(&app, &receiver.url).await;
    // The clock of the records does not advance within the test by more than a few seconds.
    let began = tokio::time::Instant::now();
    for n in 0..40 {
        app.incoming("shop", ANNA, &format!("message {n}")).await;
    }
    app.wait_until("all deliveries", async || (receiver.count() == 40).then_some(())).await;
    app.wait_until("no waiting delivery", async || (webhook(&app, &id).await["waiting"] == 0).then_some(()))
        .await;
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap() + 2;
    let recorded = attempts(&app, &id).await.len();
    assert!((3..=3 * seconds).contains(&recorded), "{recorded} in {seconds} s");
    assert!(recorded < 40 || seconds > 13, "{recorded} in {seconds} s");
}

#[tokio::test]
async fn reading_key_sees_no_path_of_webhook_url() {
    let app = app().await;
    app.device("shop").await;
    let body = json!({ "url": "https://hooks.example.com/services/T0/secret-path?token=t" });
    let (id, _) = create_webhook(&app, "/devices/shop/webhooks", body).await;
    let key = async |scopes: serde_json::Value| {
        let made = app.post("/api-keys", json!({ "name": "k", "scopes": scopes })).await.created();
        made["data"]["key"].as_str().unwrap().to_owned()
    };
    let (reader, writer) =
        (key(json!(["devices:read"])).await, key(json!(["devices:read", "devices:write"])).await);
    for path in ["/webhooks".to_owned(), format!("/webhooks/{id}"), "/devices/shop/webhooks".to_owned()] {
        let seen = app.with_key(&reader).get(&path).await.ok().to_string();
        assert!(
            !seen.contains("secret-path") && seen.contains("https://hooks.example.com/********"),
            "{seen}"
        );
        assert!(app.with_key(&writer).get(&path).await.ok().to_string().contains("secret-path"));
    }
}

#[tokio::test]
async fn webhook_tests_of_a_device_are_limited_per_minute() {
    let app = app_with(&[("WHARF__WEBHOOKS__MAX_TESTS_PER_MINUTE", "3")]).await;
    app.device("shop").await;
    app.device("other").await;
    let receiver = Receiver::start().await;
    let mut paths = Vec::new();
    for device in ["shop", "other"] {
        let body = json!({ "url": receiver.url, "events": ["message"] });
        let (id, _) = create_webhook(&app, &format!("/devices/{device}/webhooks"), body).await;
        paths.push(format!("/webhooks/{id}/test"));
    }
    for _ in 0..3 {
        app.post(&paths[0], json!({})).await.ok();
    }
    let reply = app.post(&paths[0], json!({})).await;
    let seconds: u64 = reply.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    let refused = reply.refused(429, "too_many_tests");
    assert!(refused["error"].as_str().unwrap().contains("webhooks.max_tests_per_minute"), "{refused}");
    app.post(&paths[1], json!({})).await.ok();
    app.clock.advance(60_000);
    app.post(&paths[0], json!({})).await.ok();
}

/// A receiver that accepts connections and never answers.
async fn silent_receiver() -> (String, tokio::net::TcpListener) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    (format!("http://{}/", listener.local_addr().unwrap()), listener)
}

#[tokio::test]
async fn webhook_tests_of_a_device_do_not_block_others() {
    let app =
        app_with(&[("WHARF__WEBHOOKS__TIMEOUT_MS", "15000"), ("WHARF__WEBHOOKS__MAX_TESTS", "4")]).await;
    app.device("shop").await;
    app.device("other").await;
    let (url, silent) = silent_receiver().await;
    let slow = json!({ "url": url, "events": ["message"] });
    let (slow, _) = create_webhook(&app, "/devices/shop/webhooks", slow).await;
    let receiver = Receiver::start().await;
    let body = json!({ "url": receiver.url, "events": ["message"] });
    let (quick, _) = create_webhook(&app, "/devices/other/webhooks", body).await;

    let path = format!("/webhooks/{slow}/test");
    let attack = futures_util::future::join_all((0..2).map(|_| app.post(&path, json!({}))));
    let victim = async {
        // Both requests have arrived at the receiver, so both tests run.
        let _held = (silent.accept().await.unwrap(), silent.accept().await.unwrap());
        let refused = app.post(&path, json!({})).await.refused(429, "too_many_tests");
        assert!(refused["error"].as_str().unwrap().contains("webhooks.max_tests_per_device"), "{refused}");
        let report = app.post(&format!("/webhooks/{quick}/test"), json!({})).await.ok();
        assert_eq!(report["data"]["delivered"], true, "{report}");
    };
    tokio::select! {
        _ = attack => panic!("a test without an answer ended"),
        () = victim => {}
    }
}
