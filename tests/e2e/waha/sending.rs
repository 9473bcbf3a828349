//! Messages that are sent under ids of the server.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Waha;
use crate::support::ANNA;

async fn sent(waha: &Waha) -> Vec<Value> {
    let network = waha.app.get("/simulator/shop/network").await.ok();
    network["data"]["sent"].as_array().unwrap().clone()
}

#[tokio::test]
async fn unknown_outcome_is_retried_under_the_same_id() {
    let waha = Waha::start("webhook").await;
    waha.app.device_with("shop", json!({ "ackDeviceMs": null, "ackReadMs": null })).await;
    waha.app.fault("shop", json!({ "kind": "send_unknown", "count": 2 })).await;
    let id = waha.app.send("shop", ANNA, "hello").await;
    waha.app.wait_for_status("shop", &id, "sent").await;
    let seen = sent(&waha).await.remove(0);
    assert_eq!((&seen["shown"], &seen["arrivals"]), (&json!(1), &json!(3)));
    assert_eq!((waha.asked("GET /api/shop/new-message-id"), waha.asked("POST /api/sendText")), (1, 3));
}

#[tokio::test]
async fn assigned_id_survives_a_restart() {
    let waha = Waha::start_with("webhook", &[("WHARF__OUTBOX__RETRY_DELAY_MS", "60000")]).await;
    waha.app.device_with("shop", json!({ "ackDeviceMs": null, "ackReadMs": null })).await;
    waha.app.fault("shop", json!({ "kind": "send_unknown" })).await;
    let id = waha.app.send("shop", ANNA, "hello").await;
    waha.app.wait_until("a copy to arrive", async || (sent(&waha).await.len() == 1).then_some(())).await;
    let Waha { app, server } = waha;
    let waha = Waha { app: app.restarted().await, server };
    waha.app.clock.advance(60_000);
    waha.app.wait_for_status("shop", &id, "sent").await;
    let seen = sent(&waha).await;
    assert_eq!((seen.len(), &seen[0]["shown"], &seen[0]["arrivals"]), (1, &json!(1), &json!(2)));
    assert_eq!(waha.asked("GET /api/shop/new-message-id"), 1);
}

#[tokio::test]
async fn file_is_looked_up_before_it_is_resent() {
    let waha = Waha::start("webhook").await;
    waha.app.device_with("shop", json!({ "ackDeviceMs": null, "ackReadMs": null })).await;
    waha.app.fault("shop", json!({ "kind": "send_unknown" })).await;
    let media = json!({ "data": STANDARD.encode("a file of the shop"), "filename": "shop.txt" });
    let body = json!({ "to": ANNA, "media": media });
    let id = waha.app.post("/devices/shop/messages/send", body).await.created()["data"]["id"].clone();
    waha.app.wait_for_status("shop", id.as_str().unwrap(), "sent").await;
    let looked = waha
        .server
        .asked
        .lock()
        .unwrap()
        .iter()
        .filter(|asked| asked.starts_with("GET /api/shop/chats/"))
        .count();
    assert!(looked >= 1);
    assert_eq!(sent(&waha).await[0]["shown"], 1);
}

#[tokio::test]
async fn rejected_message_fails_with_the_message_of_the_server() {
    let waha = Waha::start("webhook").await;
    waha.app.device("shop").await;
    waha.app.fault("shop", json!({ "kind": "send_permanent" })).await;
    let id = waha.app.send("shop", ANNA, "hello").await;
    waha.app.wait_for_status("shop", &id, "failed").await;
    let steps = waha.app.logged("shop", "message:status").await;
    let last = steps.last().unwrap();
    assert_eq!(last["code"], "refused_by_network", "{last}");
    let unregistered = waha.app.send("shop", "15550190001", "anybody?").await;
    waha.app.wait_for_status("shop", &unregistered, "failed").await;
    let steps = waha.app.logged("shop", "message:status").await;
    assert_eq!(steps.last().unwrap()["code"], "not_on_network");
}

#[tokio::test]
async fn file_is_not_resent_while_its_lookup_fails() {
    let waha = Waha::start("webhook").await;
    waha.app.device_with("shop", json!({ "ackDeviceMs": null, "ackReadMs": null })).await;
    waha.app.fault("shop", json!({ "kind": "send_unknown" })).await;
    waha.fails("/messages/", 500, 0, 2);
    let media = json!({ "data": STANDARD.encode("a file of the shop"), "filename": "shop.txt" });
    let body = json!({ "to": ANNA, "media": media });
    let id = waha.app.post("/devices/shop/messages/send", body).await.created()["data"]["id"].clone();
    waha.app.wait_for_status("shop", id.as_str().unwrap(), "sent").await;
    let asked = waha.server.asked.lock().unwrap().clone();
    let sends: Vec<usize> = (0..asked.len()).filter(|at| asked[*at] == "POST /api/sendFile").collect();
    let lookups = |upto: usize| asked[..upto].iter().filter(|asked| asked.contains("/messages/")).count();
    assert_eq!((sends.len(), lookups(sends[1])), (2, 3), "{asked:?}");
}

#[tokio::test]
async fn failures_have_common_codes() {
    let waha = Waha::start_with("webhook", &[("WHARF__OUTBOX__MAX_ATTEMPTS", "1")]).await;
    waha.app.device("shop").await;
    let code = async |id: &str| {
        waha.app.wait_for_status("shop", id, "failed").await;
        waha.app.logged("shop", "message:status").await.last().unwrap()["code"].clone()
    };
    waha.fails("/sendText", 401, 0, 1);
    let text = waha.app.send("shop", ANNA, "hello").await;
    assert_eq!(code(&text).await, "upstream_unauthorized");
    waha.fails("/sendFile", 413, 0, 1);
    let media = json!({ "data": STANDARD.encode("a large file"), "filename": "large.txt" });
    let body = json!({ "to": ANNA, "media": media });
    let file = waha.app.post("/devices/shop/messages/send", body).await.created()["data"]["id"].clone();
    assert_eq!(code(file.as_str().unwrap()).await, "media_too_large");
}
