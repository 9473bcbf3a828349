//! Unread counts stay exact under concurrent reads, arrivals and removals.

use std::collections::HashSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{ANNA, BEN, TestApp};

const CHAT: &str = "/devices/shop/chats/15550100001@c.us";

async fn unread(app: &TestApp) -> Value {
    app.get(CHAT).await.ok()["data"]["unreadCount"].clone()
}

fn ids(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

// covers: POST /devices/{id}/chats/{chatId}/markRead
#[tokio::test]
async fn unread_counts_stay_exact_under_concurrency() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.incoming("shop", ANNA, "first").await;
    let writers = join_all((0..4).map(|writer| {
        let app = &app;
        async move {
            for n in 0..15 {
                app.incoming("shop", ANNA, &format!("{writer} {n}")).await;
            }
        }
    }));
    let readers = join_all((0..4).map(|_| {
        let app = &app;
        async move {
            let mut read = Vec::new();
            for _ in 0..10 {
                let marked = app.post(&format!("{CHAT}/markRead"), json!({})).await.ok();
                read.extend(ids(&marked["data"]["messageIds"]));
            }
            read
        }
    }));
    let (_, read) = tokio::join!(writers, readers);
    let answered: Vec<String> = read.into_iter().flatten().collect();
    let emitted: Vec<String> =
        app.logged("shop", "message:read").await.iter().flat_map(|e| ids(&e["messageIds"])).collect();
    let different: HashSet<&String> = emitted.iter().collect();
    assert_eq!(different.len(), emitted.len(), "a message was emitted as read twice");
    assert_eq!(answered.len(), emitted.len(), "a message was answered read twice, or never");
    assert_eq!(unread(&app).await, 61 - emitted.len());
    app.post(&format!("{CHAT}/markRead"), json!({})).await.ok();
    assert_eq!(unread(&app).await, 0);
}

// covers: event message:read
#[tokio::test]
async fn large_read_mark_emits_several_events() {
    let app = TestApp::start().await;
    app.device("shop").await;
    for _ in 0..12 {
        join_all((0..100).map(|_| app.incoming("shop", ANNA, "hello"))).await;
    }
    let marked = app.post(&format!("{CHAT}/markRead"), json!({})).await.ok();
    assert_eq!(ids(&marked["data"]["messageIds"]).len(), 1_200);
    let events = app.logged("shop", "message:read").await;
    let sizes: Vec<usize> = events.iter().map(|e| ids(&e["messageIds"]).len()).collect();
    assert_eq!(sizes, [500, 500, 200]);
    assert_eq!(unread(&app).await, 0);
}

// covers: event message:read
#[tokio::test]
async fn read_on_other_device_applies_here_and_in_groups() {
    let app = TestApp::start().await;
    skip_unless!(
        app.can(|engine| engine.groups) && app.reports("what was read elsewhere"),
        "groups and read marks of other devices"
    );
    app.device("shop").await;
    for (author, network) in [(ANNA, "AAA1"), (BEN, "AAA2")] {
        let body = json!({ "from": author, "groupId": "120363000000000001@g.us", "body": "hi", "networkId": network });
        app.post("/simulator/shop/incoming", body).await.ok();
    }
    let chat = "120363000000000001@g.us";
    let left =
        async || app.get(&format!("/devices/shop/chats/{chat}")).await.ok()["data"]["unreadCount"].clone();
    app.post("/simulator/shop/read", json!({ "chatId": chat, "networkIds": ["AAA1"] })).await.ok();
    assert_eq!(left().await, 1);
    // A freshly linked device may treat the first read mark as part of its history.
    app.wait_until("all to be read", async || {
        app.post("/simulator/shop/read", json!({ "chatId": chat })).await.ok();
        (left().await == 0).then_some(())
    })
    .await;
    let read = app.logged("shop", "message:read").await;
    assert_eq!(ids(&read[0]["messageIds"]), [format!("false_{chat}_AAA1_{ANNA}@c.us")]);
    let network = app.get("/simulator/shop/network").await.ok();
    assert!(
        network["data"]["read"].as_array().unwrap().is_empty(),
        "the network is not notified of its own change"
    );
}

#[tokio::test]
async fn expired_messages_are_not_counted_or_shown() {
    let app = TestApp::start_with(&[("WHARF__RETENTION__MESSAGES_DAYS", "1")]).await;
    app.device("shop").await;
    app.incoming("shop", ANNA, "old").await;
    app.clock.advance(86_400_000);
    app.incoming("shop", ANNA, "new").await;
    app.clock.advance(1_000);
    assert_eq!(unread(&app).await, 2);
    app.app().services.maintenance.sweep().await.unwrap();
    let chat = app.get(CHAT).await.ok()["data"].clone();
    assert_eq!((&chat["unreadCount"], &chat["lastMessage"]["body"]), (&json!(1), &json!("new")));
    app.clock.advance(2 * 86_400_000);
    app.app().services.maintenance.sweep().await.unwrap();
    let chat = app.get(CHAT).await.ok()["data"].clone();
    assert_eq!((&chat["unreadCount"], &chat["lastMessage"]), (&json!(0), &Value::Null));
}
