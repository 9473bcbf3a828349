//! Changes to a whole chat: made here, at the network, and on other devices of the account.

use serde_json::{Value, json};

use crate::support::wire::Wire;
use crate::support::{ADMIN_KEY, ANNA, BEN, TestApp};

const CHAT: &str = "/devices/shop/chats/15550100001@c.us";

async fn change(app: &TestApp, what: &str, body: Value) -> Value {
    app.post(&format!("{CHAT}/{what}"), body).await.ok()["data"].clone()
}

async fn shown(app: &TestApp) -> Value {
    app.get(CHAT).await.ok()["data"].clone()
}

/// Chat changes that reached the network, in order.
async fn network_changes(app: &TestApp) -> Vec<Value> {
    let network = app.get("/simulator/shop/network").await.ok();
    let changes = network["data"]["changes"].as_array().unwrap();
    changes.iter().filter(|change| change.get("chat").is_some()).cloned().collect()
}

async fn bodies(app: &TestApp) -> Vec<String> {
    let page = app.get(&format!("{CHAT}/messages")).await.ok();
    page["data"].as_array().unwrap().iter().map(|m| m["body"].as_str().unwrap().to_owned()).collect()
}

async fn app_with_chat() -> TestApp {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.incoming("shop", ANNA, "first").await;
    app
}

// covers: POST /devices/{id}/chats/{chatId}/archive
// covers: POST /devices/{id}/chats/{chatId}/unarchive
#[tokio::test]
async fn archived_chat_is_listed_as_archived_until_restored() {
    let app = app_with_chat().await;
    let archived = async |filter: &str| {
        app.get(&format!("/devices/shop/chats?filter={filter}")).await.ok()["pagination"]["total"].clone()
    };
    assert_eq!(change(&app, "archive", json!({})).await["archived"], true);
    assert_eq!((archived("archived").await, archived("all").await), (json!(1), json!(1)));
    assert_eq!(change(&app, "unarchive", Value::Null).await["archived"], false);
    assert_eq!(archived("archived").await, 0);
    if app.has_phone() {
        let network_changes = network_changes(&app).await;
        assert_eq!(
            (network_changes.len(), &network_changes[0]["on"], &network_changes[1]["on"]),
            (2, &json!(true), &json!(false)),
            "{network_changes:?}"
        );
    }
    app.post("/devices/shop/chats/15550109998@c.us/archive", json!({})).await.refused(404, "chat_not_found");
    app.post("/devices/nowhere/chats/15550100001@c.us/archive", json!({}))
        .await
        .refused(404, "device_not_found");
}

// covers: POST /devices/{id}/chats/{chatId}/pin
// covers: POST /devices/{id}/chats/{chatId}/unpin
#[tokio::test]
async fn pinned_chat_is_first_with_either_field_name() {
    let app = app_with_chat().await;
    // Some networks store whole seconds only.
    let later = shown(&app).await["timestamp"].as_i64().unwrap() + 2_000;
    let newer = json!({ "from": BEN, "body": "newer", "timestamp": later });
    app.post("/simulator/shop/incoming", newer).await.ok();
    let first = async || app.get("/devices/shop/chats").await.ok()["data"][0]["id"].clone();
    for (body, pinned) in [
        (json!({}), true),
        (json!({ "pin": false }), false),
        (json!({ "pinned": true }), true),
        (json!({ "pinned": false }), false),
    ] {
        assert_eq!(change(&app, "pin", body.clone()).await["pinned"], pinned, "{body}");
        let expected = if pinned { "15550100001@c.us" } else { "15550100002@c.us" };
        assert_eq!(first().await, expected, "{body}");
    }
    assert_eq!(change(&app, "pin", json!({})).await["pinned"], true);
    assert_eq!(change(&app, "unpin", json!({})).await["pinned"], false);
    app.post(&format!("{CHAT}/pin"), json!({ "pin": "yes" })).await.refused(400, "invalid_field");
}

// covers: POST /devices/{id}/chats/{chatId}/mute
#[tokio::test]
async fn chat_mute_expires_by_itself() {
    let app = app_with_chat().await;
    let now = shown(&app).await["timestamp"].as_i64().unwrap();
    let muted = change(&app, "mute", json!({ "durationMs": 60_000 })).await;
    assert_eq!(muted["muted"], true);
    assert!(muted["mutedUntil"].as_i64().is_some_and(|until| until >= now + 60_000), "{muted}");
    app.clock.advance(59_000);
    assert_eq!(shown(&app).await["muted"], true);
    app.clock.advance(1_000);
    let unmuted = shown(&app).await;
    assert_eq!((&unmuted["muted"], &unmuted["mutedUntil"]), (&json!(false), &Value::Null));
    assert_eq!(app.get("/devices/shop/chats").await.ok()["data"][0]["muted"], false);
}

// covers: POST /devices/{id}/chats/{chatId}/mute
// covers: POST /devices/{id}/chats/{chatId}/unmute
#[tokio::test]
async fn chat_mute_without_end_lasts_until_unmuted() {
    let app = app_with_chat().await;
    let muted = change(&app, "mute", json!({})).await;
    assert_eq!((&muted["muted"], &muted["mutedUntil"]), (&json!(true), &Value::Null));
    assert_eq!(change(&app, "mute", json!({ "mute": false })).await["muted"], false);
    change(&app, "mute", json!({ "mute": true })).await;
    assert_eq!(change(&app, "unmute", json!({})).await["muted"], false);
    for wrong in [json!({ "until": 5 }), json!({ "durationMs": 0 }), json!({ "until": 1, "durationMs": 1 })] {
        app.post(&format!("{CHAT}/mute"), wrong).await.refused(400, "invalid_field");
    }
}

// covers: event chat:update
#[tokio::test]
async fn chat_changes_are_emitted_to_every_dashboard() {
    let app = app_with_chat().await;
    let (mut wire, _) = Wire::open(&app).await;
    wire.join("shop", ADMIN_KEY).await;
    wire.event("shop", "state").await;
    change(&app, "pin", json!({})).await;
    assert_eq!(wire.event("shop", "chat:update").await["chat"], shown(&app).await);
    change(&app, "mute", json!({})).await;
    assert_eq!(wire.event("shop", "chat:update").await["chat"]["muted"], true);
}

// covers: POST /devices/{id}/chats/{chatId}/clear
#[tokio::test]
async fn clear_removes_messages_and_keeps_chat() {
    let app = app_with_chat().await;
    app.incoming("shop", BEN, "elsewhere").await;
    for n in 0..450 {
        app.incoming("shop", ANNA, &format!("more {n}")).await;
    }
    assert_eq!(
        change(&app, "clear", json!({})).await,
        json!({ "chatId": "15550100001@c.us", "removed": 451 })
    );
    let chat = shown(&app).await;
    assert_eq!((&chat["unreadCount"], &chat["lastMessage"]), (&json!(0), &Value::Null));
    assert!(bodies(&app).await.is_empty());
    assert_eq!(app.get("/devices/shop/messages/search?query=more").await.ok()["totalResults"], 0);
    assert_eq!(app.get("/devices/shop/chats").await.ok()["pagination"]["total"], 2);
    assert_eq!(app.logged("shop", "chat:cleared").await[0]["chatId"], "15550100001@c.us");
    change(&app, "clear", json!({})).await;
    assert_eq!(app.logged("shop", "chat:cleared").await.len(), 1, "there was nothing to clear");
    app.incoming("shop", ANNA, "again").await;
    assert_eq!(
        (bodies(&app).await, shown(&app).await["unreadCount"].clone()),
        (vec!["again".into()], json!(1))
    );
}

// covers: POST /devices/{id}/chats/{chatId}/clear
#[tokio::test]
async fn clear_keeps_queued_and_optionally_starred_messages() {
    let app = app_with_chat().await;
    let starred = app.incoming("shop", ANNA, "precious").await;
    app.post(&format!("/devices/shop/messages/{starred}/star"), json!({ "star": true })).await.ok();
    app.post("/devices/shop/stop", json!({})).await.ok();
    app.send("shop", ANNA, "waiting").await;
    assert_eq!(change(&app, "clear", json!({ "keepStarred": true })).await["removed"], 1);
    assert_eq!(bodies(&app).await, ["precious", "waiting"]);
    assert_eq!(shown(&app).await["unreadCount"], 1);
    assert_eq!(change(&app, "clear", json!({})).await["removed"], 1);
    assert_eq!(bodies(&app).await, ["waiting"]);
    app.post(&format!("{CHAT}/clear"), json!({ "keepStarred": 1 })).await.refused(400, "invalid_field");
}

#[tokio::test]
async fn interrupted_clear_resumes_at_next_start() {
    let app = app_with_chat().await;
    for n in 0..450 {
        app.incoming("shop", ANNA, &format!("more {n}")).await;
    }
    let breaks = "CREATE TRIGGER breaks BEFORE UPDATE OF hidden ON messages WHEN old.body = 'more 300'
                  BEGIN SELECT RAISE(ABORT, 'broken off'); END";
    let app = app.restarted_after(breaks).await;
    assert_eq!(app.post(&format!("{CHAT}/clear"), json!({})).await.status, 500);
    assert_eq!(app.logged("shop", "chat:cleared").await.len(), 1);
    assert!(!bodies(&app).await.is_empty());
    let app = app.restarted_after("DROP TRIGGER breaks").await;
    app.wait_until("the rest to be gone", async || bodies(&app).await.is_empty().then_some(())).await;
    assert_eq!(shown(&app).await["unreadCount"], 0);
    assert_eq!(app.logged("shop", "chat:cleared").await.len(), 1, "it was emitted before the restart");
}

#[tokio::test]
async fn offline_chat_changes_are_synced_on_connect() {
    let app = app_with_chat().await;
    skip_unless!(app.has_phone(), "a phone account");
    app.post("/devices/shop/stop", json!({})).await.ok();
    app.post(&format!("{CHAT}/markRead"), json!({})).await.ok();
    change(&app, "pin", json!({})).await;
    change(&app, "mute", json!({})).await;
    change(&app, "pin", json!({ "pin": false })).await;
    change(&app, "archive", json!({})).await;
    let app = app.restarted().await;
    assert!(network_changes(&app).await.is_empty());
    app.post("/devices/shop/start", json!({})).await.ok();
    let expected: &[&str] = if app.reports("pins") { &["mute", "pin", "archive"] } else { &["archive"] };
    let changes = app
        .wait_until("the changes to reach the network", async || {
            let changes = network_changes(&app).await;
            (changes.len() == expected.len()).then_some(changes)
        })
        .await;
    let whats: Vec<&Value> = changes.iter().map(|change| &change["kind"]).collect();
    assert_eq!(whats, expected, "{changes:?}");
    let read = app.get("/simulator/shop/network").await.ok()["data"]["read"].clone();
    assert_eq!(read[0]["messageIds"].as_array().unwrap().len(), 1, "{read}");
    app.post("/devices/shop/restart", json!({})).await.ok();
    app.wait_for_state("shop", "ready").await;
    change(&app, if app.reports("pins") { "unmute" } else { "unarchive" }, json!({})).await;
    assert_eq!(network_changes(&app).await.len(), expected.len() + 1, "each change reaches the network once");
}

// covers: DELETE /devices/{id}/chats/{chatId}
#[tokio::test]
async fn deleted_chat_returns_with_next_message() {
    let app = app_with_chat().await;
    let old = app.incoming("shop", ANNA, "old").await;
    change(&app, "pin", json!({})).await;
    assert_eq!(app.delete(CHAT).await.ok()["data"]["removed"], 2);
    app.get(CHAT).await.refused(404, "chat_not_found");
    app.delete(CHAT).await.refused(404, "chat_not_found");
    app.get(&format!("/devices/shop/messages/{old}")).await.refused(404, "message_not_found");
    assert_eq!(app.logged("shop", "chat:deleted").await.len(), 1);
    if app.has_phone() {
        assert_eq!(network_changes(&app).await.last().unwrap()["chat"], "15550100001@c.us");
    }
    app.incoming("shop", ANNA, "new").await;
    let chat = shown(&app).await;
    assert_eq!((&chat["unreadCount"], &chat["pinned"]), (&json!(1), &json!(false)));
    assert_eq!(bodies(&app).await, ["new"]);
}

#[tokio::test]
async fn deleted_message_stays_deleted_on_redelivery() {
    let app = app_with_chat().await;
    let again = json!({ "from": ANNA, "body": "twice", "networkId": "BB886C09AEF9" });
    app.post("/simulator/shop/incoming", again.clone()).await.ok();
    app.delete(CHAT).await.ok();
    app.post("/simulator/shop/incoming", again).await.ok();
    app.get(CHAT).await.refused(404, "chat_not_found");
}

#[tokio::test]
async fn offline_chat_changes_survive_restart() {
    let app = app_with_chat().await;
    app.post("/devices/shop/stop", json!({})).await.ok();
    change(&app, "archive", json!({})).await;
    change(&app, "pin", json!({})).await;
    change(&app, "mute", json!({})).await;
    let app = app.restarted().await;
    let chat = shown(&app).await;
    assert_eq!(
        (&chat["archived"], &chat["pinned"], &chat["muted"]),
        (&json!(true), &json!(true), &json!(true))
    );
}

// covers: event chat:update
#[tokio::test]
async fn remote_chat_changes_apply_and_are_not_echoed() {
    let app = app_with_chat().await;
    skip_unless!(app.has_phone(), "a phone account");
    let elsewhere = async |field: &str| {
        let body = json!({ "chatId": "15550100001@c.us", field: true });
        app.post("/simulator/shop/chat", body).await.ok();
    };
    let (mut wire, _) = Wire::open(&app).await;
    wire.join("shop", ADMIN_KEY).await;
    wire.event("shop", "state").await;
    for (field, shown_as) in [("archive", "archived"), ("pin", "pinned"), ("mute", "muted")] {
        elsewhere(field).await;
        assert_eq!(wire.event("shop", "chat:update").await["chat"][shown_as], true);
        if !app.reports("pins") {
            return assert!(network_changes(&app).await.is_empty());
        }
    }
    elsewhere("clear").await;
    wire.event("shop", "chat:cleared").await;
    assert!(bodies(&app).await.is_empty());
    elsewhere("delete").await;
    wire.event("shop", "chat:deleted").await;
    app.get(CHAT).await.refused(404, "chat_not_found");
    assert!(network_changes(&app).await.is_empty());
}
