//! Failing receivers: retries, dead letters, disabling.

use std::time::Duration;

use serde_json::json;

use super::{app, app_with, attempts, dead_letters, for_messages, webhook};
use crate::support::receiver::{Answer, Receiver, raw_receiver};
use crate::support::{ANNA, TestApp};

async fn wait_for_dead_letters(app: &TestApp, id: &str, count: usize) {
    app.wait_until("dead letters", async || (dead_letters(app, id).await.len() >= count).then_some(())).await;
}

#[tokio::test]
async fn last_failed_attempt_makes_dead_letter_and_event() {
    let app = app().await;
    app.device("shop").await;
    let receiver = Receiver::answering(|_| Answer::Status(500)).await;
    let (id, _) = for_messages(&app, &receiver.url).await;
    app.incoming("shop", ANNA, "hello").await;
    wait_for_dead_letters(&app, &id, 1).await;
    assert_eq!(receiver.count(), 4);
    let letter = dead_letters(&app, &id).await.remove(0);
    let seq = app.logged("shop", "message").await[0]["seq"].clone();
    assert_eq!((&letter["seq"], &letter["attempts"]), (&seq, &json!(4)));
    assert_eq!(letter["lastError"], "server_error");
    let emitted = app.logged("shop", "webhook:dead").await.remove(0);
    assert_eq!(
        (&emitted["webhookId"], &emitted["eventSeq"], &emitted["event"]),
        (&json!(id), &seq, &json!("message"))
    );
    let status = webhook(&app, &id).await;
    assert_eq!((&status["waiting"], &status["deadLetters"]), (&json!(0), &json!(1)));
    assert!(status["failingSince"].is_i64());
}

#[tokio::test]
async fn every_failure_has_its_code() {
    let app = app_with(&[("WHARF__WEBHOOKS__RETRY_DELAYS", "")]).await;
    app.device("shop").await;
    let answering = async |answer: Answer| Receiver::answering(move |_| answer).await.url;
    let ways = [
        (answering(Answer::Status(404)).await, "rejected"),
        (answering(Answer::Status(302)).await, "redirected"),
        (answering(Answer::Busy(1)).await, "throttled"),
        (answering(Answer::Status(503)).await, "server_error"),
        (answering(Answer::Nothing).await, "timeout"),
        (answering(Answer::Slow(Duration::from_secs(3))).await, "timeout"),
        (raw_receiver(b"").await, "unreachable"),
        (raw_receiver(b"garbage\r\n\r\n").await, "unreachable"),
        ("http://127.0.0.1:9/".to_owned(), "unreachable"),
    ];
    for (url, word) in ways {
        let (id, _) = for_messages(&app, &url).await;
        let report = app.post(&format!("/webhooks/{id}/test"), json!({})).await.ok()["data"].clone();
        assert_eq!((&report["outcome"], &report["delivered"]), (&json!(word), &json!(false)), "{url}");
        app.incoming("shop", ANNA, "hello").await;
        wait_for_dead_letters(&app, &id, 1).await;
        assert_eq!(attempts(&app, &id).await[0]["outcome"], word, "{url}");
        app.delete(&format!("/webhooks/{id}")).await.ok();
    }
}

#[tokio::test]
async fn retry_after_is_respected() {
    let app = app().await;
    app.device("shop").await;
    let receiver = Receiver::answering(|n| if n == 0 { Answer::Busy(1) } else { Answer::Status(200) }).await;
    let (id, _) = for_messages(&app, &receiver.url).await;
    app.incoming("shop", ANNA, "hello").await;
    app.wait_until("the second attempt", async || (receiver.count() == 2).then_some(())).await;
    let tried = app
        .wait_until("both attempts to be recorded", async || {
            Some(attempts(&app, &id).await).filter(|tried| tried.len() == 2)
        })
        .await;
    let apart = tried[0]["at"].as_i64().unwrap() - tried[1]["at"].as_i64().unwrap();
    assert!(apart >= 1_000, "{apart}");
}

#[tokio::test]
async fn gone_receiver_is_disabled_without_loss() {
    let app = app().await;
    app.device("shop").await;
    let receiver = Receiver::answering(|_| Answer::Status(410)).await;
    let (id, _) = for_messages(&app, &receiver.url).await;
    for text in ["one", "two", "three"] {
        app.incoming("shop", ANNA, text).await;
    }
    app.wait_until("the webhook to be disabled", async || {
        (webhook(&app, &id).await["disabledReason"] == "gone").then_some(())
    })
    .await;
    app.wait_until("an empty queue", async || (webhook(&app, &id).await["waiting"] == 0).then_some(())).await;
    let emitted = app.logged("shop", "webhook:disabled").await.remove(0);
    assert_eq!((&emitted["webhookId"], &emitted["reason"]), (&json!(id), &json!("gone")));
    app.post(&format!("/webhooks/{id}/replay"), json!({ "dead": true })).await.refused(409, "wrong_state");
    receiver.answer_with(|_| Answer::Status(200));
    app.patch(&format!("/webhooks/{id}"), json!({ "enabled": true })).await.ok();
    let letters = dead_letters(&app, &id).await.len();
    let replayed = app.post(&format!("/webhooks/{id}/replay"), json!({ "dead": true })).await.ok();
    assert_eq!(replayed["data"]["replayed"], letters);
    app.wait_until("all dead letters", async || (receiver.events("message").len() == letters).then_some(()))
        .await;
}

#[tokio::test]
async fn receiver_failing_for_days_is_disabled_with_event() {
    let app = app_with(&[
        ("WHARF__WEBHOOKS__RETRY_DELAYS", "40ms,40ms,40ms,40ms,40ms,40ms,40ms,40ms"),
        ("WHARF__WEBHOOKS__DISABLE_AFTER_MS", "100"),
    ])
    .await;
    app.device("shop").await;
    let receiver = Receiver::answering(|_| Answer::Status(500)).await;
    let (id, _) = for_messages(&app, &receiver.url).await;
    app.incoming("shop", ANNA, "hello").await;
    app.wait_until("the webhook to be disabled", async || {
        (webhook(&app, &id).await["disabledReason"] == "failing").then_some(())
    })
    .await;
    assert_eq!(app.logged("shop", "webhook:disabled").await[0]["reason"], "failing");
    wait_for_dead_letters(&app, &id, 1).await;
    let before = receiver.count();
    app.incoming("shop", ANNA, "not delivered").await;
    assert_eq!(webhook(&app, &id).await["waiting"], 0, "a disabled endpoint queues no delivery");
    assert_eq!(receiver.count(), before);
}

#[tokio::test]
async fn overflow_becomes_dead_letters_with_one_event() {
    let app =
        app_with(&[("WHARF__WEBHOOKS__RETRY_DELAYS", "1h,1h"), ("WHARF__WEBHOOKS__MAX_WAITING", "2")]).await;
    app.device("shop").await;
    let receiver = Receiver::answering(|_| Answer::Status(500)).await;
    let (id, _) = for_messages(&app, &receiver.url).await;
    for n in 0..5 {
        app.incoming("shop", ANNA, &format!("{n}")).await;
    }
    let first = app.logged("shop", "message").await[0]["seq"].clone();
    // Housekeeping runs when the daemon starts.
    let app = app.restarted().await;
    wait_for_dead_letters(&app, &id, 3).await;
    let emitted = app.logged("shop", "webhook:dead").await;
    assert_eq!(emitted.len(), 1, "{emitted:?}");
    assert_eq!(
        (&emitted[0]["count"], &emitted[0]["eventSeq"], &emitted[0]["error"]),
        (&json!(3), &first, &json!("too_many_waiting"))
    );
    assert_eq!(webhook(&app, &id).await["waiting"], 2);
    app.wait_until("the oldest that is left", async || (receiver.count() >= 2).then_some(())).await;
}

#[tokio::test]
async fn dead_letter_events_do_not_multiply() {
    let app = app_with(&[("WHARF__WEBHOOKS__RETRY_DELAYS", "20ms")]).await;
    app.device("shop").await;
    let body = |url: &str| json!({ "url": url, "events": ["message", "webhook:*"] });
    let receiver = Receiver::answering(|_| Answer::Status(500)).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(super::create_webhook(&app, "/webhooks", body(&receiver.url)).await.0);
    }
    app.incoming("shop", ANNA, "hello").await;
    // Each endpoint fails for the message and for the dead-letter events of the two others.
    for id in &ids {
        wait_for_dead_letters(&app, id, 3).await;
    }
    for id in &ids {
        assert_eq!(
            webhook(&app, id).await["waiting"],
            0,
            "no delivery is left that could cause another event"
        );
    }
    assert_eq!(app.logged("shop", "webhook:dead").await.len(), 3);
    for id in &ids {
        assert_eq!(dead_letters(&app, id).await.len(), 3);
    }
}

#[tokio::test]
async fn silent_receiver_delays_no_other() {
    let app =
        app_with(&[("WHARF__WEBHOOKS__MAX_IN_FLIGHT", "4"), ("WHARF__WEBHOOKS__TIMEOUT_MS", "30000")]).await;
    app.device("shop").await;
    let silent = Receiver::answering(|_| Answer::Nothing).await;
    for _ in 0..12 {
        for_messages(&app, &silent.url).await;
    }
    let lively = Receiver::start().await;
    for_messages(&app, &lively.url).await;
    for text in ["one", "two", "three"] {
        app.incoming("shop", ANNA, text).await;
    }
    app.wait_until("all deliveries to the working receiver", async || {
        (lively.events("message").len() == 3).then_some(())
    })
    .await;
}
