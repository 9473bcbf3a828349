//! Replay of dead letters and of log ranges.

use serde_json::{Value, json};

use super::{app, app_with, create_webhook, dead_letters, for_messages};
use crate::support::ANNA;
use crate::support::receiver::{Answer, Receiver};

fn texts(receiver: &Receiver) -> Vec<String> {
    let text = |event: &Value| event["data"]["message"]["body"].as_str().unwrap().to_owned();
    receiver.events("message").iter().map(text).collect()
}

// covers: GET /webhooks/{wid}/dead-letters
// covers: POST /webhooks/{wid}/replay
#[tokio::test]
async fn dead_letters_replay_in_order_with_their_ids() {
    let app = app_with(&[("WHARF__WEBHOOKS__RETRY_DELAYS", "")]).await;
    app.device("shop").await;
    let receiver = Receiver::answering(|_| Answer::Status(500)).await;
    let (id, _) = for_messages(&app, &receiver.url).await;
    for text in ["one", "two", "three"] {
        app.incoming("shop", ANNA, text).await;
    }
    app.wait_until("all dead letters", async || (dead_letters(&app, &id).await.len() == 3).then_some(()))
        .await;
    let ids: Vec<String> = receiver.all().iter().map(|r| r.header("webhook-id").to_owned()).collect();
    receiver.answer_with(|_| Answer::Status(200));
    let replay = format!("/webhooks/{id}/replay");
    let last = dead_letters(&app, &id).await[0]["id"].clone();
    assert_eq!(app.post(&replay, json!({ "id": last })).await.ok()["data"]["replayed"], 1);
    app.wait_until("the last", async || (texts(&receiver).len() == 1).then_some(())).await;
    app.post(&replay, json!({ "id": last })).await.refused(404, "dead_letter_not_found");
    assert_eq!(app.post(&replay, json!({ "dead": true })).await.ok()["data"]["replayed"], 2);
    app.wait_until("the others", async || (texts(&receiver).len() == 3).then_some(())).await;
    assert_eq!(texts(&receiver), ["three", "one", "two"]);
    let again: Vec<String> = receiver.accepted().iter().map(|r| r.header("webhook-id").to_owned()).collect();
    assert_eq!(again, [&*ids[2], &*ids[0], &*ids[1]]);
    assert!(dead_letters(&app, &id).await.is_empty());
}

// covers: POST /devices/{id}/webhooks/{wid}/replay
// covers: GET /devices/{id}/webhooks/{wid}/dead-letters
#[tokio::test]
async fn log_range_is_replayed_regardless_of_outcome() {
    let app = app().await;
    app.device("shop").await;
    for text in ["before", "one", "two"] {
        app.incoming("shop", ANNA, text).await;
    }
    let receiver = Receiver::start().await;
    let (id, _) =
        create_webhook(&app, "/devices/shop/webhooks", json!({ "url": receiver.url, "events": ["message"] }))
            .await;
    let seqs: Vec<i64> =
        app.logged("shop", "message").await.iter().map(|event| event["seq"].as_i64().unwrap()).collect();
    let replay = format!("/devices/shop/webhooks/{id}/replay");
    let range = json!({ "from": seqs[1], "to": seqs[2] });
    assert_eq!(app.post(&replay, range.clone()).await.ok()["data"]["replayed"], 2);
    app.wait_until("both", async || (texts(&receiver).len() == 2).then_some(())).await;
    assert_eq!(texts(&receiver), ["one", "two"]);
    app.wait_until("the queue to be empty", async || {
        (super::webhook(&app, &id).await["waiting"] == 0).then_some(())
    })
    .await;
    assert_eq!(app.post(&replay, range).await.ok()["data"]["replayed"], 2);
    app.wait_until("both again", async || (texts(&receiver).len() == 4).then_some(())).await;
    let ids: Vec<String> = receiver.all().iter().map(|r| r.header("webhook-id").to_owned()).collect();
    assert_eq!(ids[0], ids[2]);
    assert!(
        app.get(&format!("/devices/shop/webhooks/{id}/dead-letters")).await.ok()["data"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn invalid_replay_is_rejected() {
    let app = app().await;
    app.device("shop").await;
    let receiver = Receiver::start().await;
    let (id, _) = for_messages(&app, &receiver.url).await;
    let replay = format!("/webhooks/{id}/replay");
    for wrong in [json!({}), json!({ "from": 5, "to": 1, "deviceId": "shop" }), json!({ "from": 1, "to": 2 })]
    {
        app.post(&replay, wrong).await.refused(400, "invalid_field");
    }
    let elsewhere = json!({ "from": 1, "to": 2, "deviceId": "nowhere" });
    app.post(&replay, elsewhere).await.refused(404, "device_not_found");
    app.post("/webhooks/wh_0/replay", json!({ "dead": true })).await.refused(404, "webhook_not_found");
}
