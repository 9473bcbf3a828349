//! The history sync after linking.

use serde_json::{Value, json};

use crate::support::{ANNA, TestApp};

// covers: event history:progress
#[tokio::test]
async fn history_emits_progress_but_no_messages() {
    let app = TestApp::start().await;
    skip_unless!(app.has_phone(), "a phone account");
    let past = json!({ "contacts": [{ "id": ANNA, "name": "Anna" }], "history": 450 });
    app.device_with("shop", past).await;
    let progress = app
        .wait_until("the end of the history", async || {
            let progress = app.logged("shop", "history:progress").await;
            progress.last().is_some_and(|last| last["phase"] == "complete").then_some(progress)
        })
        .await;
    let messages: Vec<&Value> = progress.iter().filter(|progress| progress["phase"] == "messages").collect();
    let done: Vec<i64> = messages.iter().map(|progress| progress["done"].as_i64().unwrap()).collect();
    assert!(done.is_sorted() && done.last() == Some(&450), "{done:?}");
    let has_total =
        |progress: &Value| progress["total"] == 450 || (app.is_native() && progress["total"].is_null());
    assert!(messages.iter().all(|progress| has_total(progress)), "{messages:?}");
    assert_eq!(progress.last().unwrap()["total"], 450);
    let chat = app.get(&format!("/devices/shop/chats/{ANNA}@c.us")).await.ok()["data"].clone();
    assert_eq!((&chat["unreadCount"], &chat["name"]), (&json!(0), &json!("Anna")));
    assert!(chat["lastMessage"]["body"].as_str().is_some(), "{chat}");
    for kind in ["message", "message:reaction", "message:starred"] {
        assert!(app.logged("shop", kind).await.is_empty(), "{kind}");
    }
    let latest = app.get(&format!("/devices/shop/chats/{ANNA}@c.us/messages?limit=100")).await.ok();
    let reacted = latest["data"].as_array().unwrap().iter().find(|message| message["reactions"] != json!([]));
    assert!(
        reacted.is_some() || !app.reports("reactions of the past"),
        "one of the last messages has a reaction: {latest}"
    );
    assert_eq!(app.get("/devices/shop").await.ok()["data"]["stats"]["messagesReceived"], 0);
}

// covers: event history:progress
#[tokio::test]
async fn history_is_synced_once_per_link() {
    let app = TestApp::start().await;
    skip_unless!(app.has_phone(), "a phone account");
    app.device_with("shop", json!({ "history": 10 })).await;
    app.wait_until("the end of the history", async || {
        let progress = app.logged("shop", "history:progress").await;
        progress.last().is_some_and(|last| last["phase"] == "complete").then_some(())
    })
    .await;
    let before = app.logged("shop", "history:progress").await.len();
    app.post("/devices/shop/restart", json!({})).await.ok();
    app.wait_for_state("shop", "ready").await;
    app.incoming("shop", ANNA, "now").await;
    assert_eq!(app.logged("shop", "history:progress").await.len(), before);
}
