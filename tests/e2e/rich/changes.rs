//! Reactions, edits, stars, revocation and deletion of messages.

use serde_json::{Value, json};

use super::{changes, message, sent, sent_text};
use crate::support::{ANNA, BEN, TestApp};

const EDIT: &str = "/devices/shop/messages/edit";
const DELETE: &str = "/devices/shop/messages/delete";

// covers: POST /devices/{id}/messages/{mid}/react
// covers: event message:reaction
#[tokio::test]
async fn reaction_reaches_network_until_removed() {
    let app = TestApp::start().await;
    let device = app.device("shop").await;
    let me = format!("{}@c.us", device["phoneNumber"].as_str().unwrap());
    let id = app.incoming("shop", ANNA, "done!").await;
    let path = format!("/devices/shop/messages/{id}/react");
    let shown = app.post(&path, json!({ "emoji": "👍" })).await.ok();
    assert_eq!(shown["data"]["reactions"], json!([{ "emoji": "👍", "from": me, "fromMe": true }]));
    app.post(&path, json!({ "emoji": "👍" })).await.ok();
    app.post(&path, json!({ "emoji": "🎉" })).await.ok();
    app.post(&path, json!({ "emoji": "" })).await.ok();
    assert_eq!(message(&app, &id).await["reactions"], json!([]));
    let logged = app.logged("shop", "message:reaction").await;
    let emoji: Vec<&str> = logged.iter().map(|e| e["emoji"].as_str().unwrap()).collect();
    assert_eq!(emoji, ["👍", "🎉", ""], "each change is emitted once");
    assert_eq!((&logged[0]["messageId"], &logged[0]["from"]), (&json!(id), &json!(me)));
    assert_eq!(changes(&app).await[0]["kind"], "react");
    for wrong in ["two words", "hello", "1", "👍\n", &"👍".repeat(20)] {
        app.post(&path, json!({ "emoji": wrong })).await.refused(400, "invalid_field");
    }
    app.post(&path, json!({})).await.refused(400, "invalid_field");
    let unknown = "/devices/shop/messages/false_15550100001@c.us_NONE/react";
    app.post(unknown, json!({ "emoji": "👍" })).await.refused(404, "message_not_found");
}

#[tokio::test]
async fn network_changes_require_connection() {
    let app = TestApp::start().await;
    skip_unless!(app.can(|engine| engine.edit), "edits");
    app.device("shop").await;
    let id = sent_text(&app, ANNA, "hello").await;
    app.post("/devices/shop/stop", json!({})).await.ok();
    app.post(&format!("/devices/shop/messages/{id}/react"), json!({ "emoji": "👍" }))
        .await
        .refused(409, "device_offline");
    app.post(EDIT, json!({ "messageId": id, "newText": "hi" })).await.refused(409, "device_offline");
    app.post(DELETE, json!({ "messageId": id, "forEveryone": true })).await.refused(409, "device_offline");
    assert_eq!(message(&app, &id).await["body"], "hello");
    // A change that only this account sees needs no connection.
    app.post(&format!("/devices/shop/messages/{id}/star"), json!({})).await.ok();
    app.post(DELETE, json!({ "messageId": id })).await.ok();
}

// covers: POST /devices/{id}/messages/edit
// covers: event message:edited
#[tokio::test]
async fn edit_changes_text_everywhere() {
    let app = TestApp::start().await;
    skip_unless!(app.can(|engine| engine.edit), "edits");
    app.device("shop").await;
    let id = sent_text(&app, ANNA, "see you at nine").await;
    let edited = app.post(EDIT, json!({ "messageId": id, "newText": "see you at ten" })).await.ok();
    assert_eq!(
        (&edited["data"]["body"], &edited["data"]["isEdited"]),
        (&json!("see you at ten"), &json!(true))
    );
    let logged = app.logged("shop", "message:edited").await;
    assert_eq!((logged.len(), &logged[0]["message"]["body"]), (1, &json!("see you at ten")));
    let reported = changes(&app).await;
    assert_eq!((&reported[0]["kind"], &reported[0]["body"]), (&json!("edit"), &json!("see you at ten")));
    let found = async |word: &str| {
        app.get(&format!("/devices/shop/messages/search?query={word}")).await.ok()["totalResults"].clone()
    };
    assert_eq!((found("nine").await, found("ten").await), (json!(0), json!(1)));
    let chat = app.get("/devices/shop/chats/15550100001@c.us").await.ok();
    assert_eq!(chat["data"]["lastMessage"]["body"], "see you at ten");
    let theirs = app.incoming("shop", ANNA, "ok").await;
    app.post(EDIT, json!({ "messageId": theirs, "newText": "no" })).await.refused(422, "not_own_message");
    app.post(EDIT, json!({ "messageId": id, "newText": " " })).await.refused(400, "invalid_field");
    app.post(EDIT, json!({ "messageId": id, "newText": "x".repeat(4_097) }))
        .await
        .refused(400, "invalid_field");
}

const HOUR_MS: i64 = 3_600_000;

#[tokio::test]
async fn late_edit_and_revocation_are_refused() {
    let app = TestApp::start().await;
    skip_unless!(app.can(|engine| engine.edit && engine.revoke), "edits and revoking messages");
    app.device("shop").await;
    let id = sent_text(&app, ANNA, "see you at nine").await;
    let edit = json!({ "messageId": id, "newText": "see you at ten" });
    let revoke = json!({ "messageId": id, "forEveryone": true });
    app.clock.advance(HOUR_MS / 4 + 1_000);
    app.post(EDIT, edit.clone()).await.refused(422, "too_late_to_edit");
    app.clock.advance(60 * HOUR_MS);
    app.post(DELETE, revoke.clone()).await.refused(422, "too_late_to_revoke");
    assert_eq!(message(&app, &id).await["body"], "see you at nine");
    assert_eq!(changes(&app).await, Vec::<Value>::new(), "nothing was sent to the network");
    app.post(DELETE, json!({ "messageId": id })).await.ok();
}

/// The windows begin when a message is sent, not when it is requested.
#[tokio::test]
async fn message_sent_late_can_still_be_changed() {
    let app = TestApp::start().await;
    skip_unless!(app.can(|engine| engine.edit && engine.revoke), "edits and revoking messages");
    app.device("shop").await;
    app.post("/devices/shop/stop", json!({})).await.ok();
    let id = app.send("shop", ANNA, "queued for three days").await;
    app.clock.advance(72 * HOUR_MS);
    app.post("/devices/shop/start", json!({})).await.ok();
    app.wait_for_status("shop", &id, "read").await;
    app.post(EDIT, json!({ "messageId": id, "newText": "sent now" })).await.ok();
    app.clock.advance(59 * HOUR_MS);
    app.post(DELETE, json!({ "messageId": id, "forEveryone": true })).await.ok();
    assert_eq!(message(&app, &id).await["type"], "revoked");
}

#[tokio::test]
async fn last_edit_wins_at_network() {
    let app = TestApp::start().await;
    skip_unless!(app.can(|engine| engine.edit), "edits");
    app.device("shop").await;
    let id = sent_text(&app, ANNA, "draft").await;
    let edit = async |text: String| {
        app.post(EDIT, json!({ "messageId": id, "newText": text })).await.ok();
    };
    futures_util::future::join_all((0..16).map(|n| edit(format!("version {n}")))).await;
    let reported = changes(&app).await;
    assert_eq!((reported.len(), &message(&app, &id).await["body"]), (16, &reported[15]["body"]));
    // The clock may step between the edits.
    app.clock.advance(-60_000);
    edit("final".to_owned()).await;
    assert_eq!(changes(&app).await[16]["body"], "final");
    assert_eq!(message(&app, &id).await["body"], "final");
}

#[tokio::test]
async fn queued_message_is_edited_before_send() {
    let app = TestApp::start().await;
    skip_unless!(app.can(|engine| engine.edit), "edits");
    app.device("shop").await;
    app.post("/devices/shop/stop", json!({})).await.ok();
    let first = app.send("shop", ANNA, "one").await;
    let second = app.send("shop", ANNA, "two").await;
    let third = app.send("shop", ANNA, "three").await;
    app.post(EDIT, json!({ "messageId": first, "newText": "one, mended" })).await.ok();
    app.post(DELETE, json!({ "messageId": second, "forEveryone": true })).await.ok();
    app.post(DELETE, json!({ "messageId": third })).await.ok();
    app.post("/devices/shop/start", json!({})).await.ok();
    let last = app.send("shop", ANNA, "four").await;
    app.wait_for_status("shop", &last, "read").await;
    let bodies: Vec<Value> = sent(&app).await.iter().map(|m| m["body"].clone()).collect();
    assert_eq!(bodies, ["one, mended", "four"]);
    assert!(changes(&app).await.is_empty(), "the network never received them");
    assert_eq!(app.steps("shop", &second).await, ["queued", "failed"]);
    let steps = app.logged("shop", "message:status").await;
    let failed = steps.iter().find(|s| s["messageId"] == second && s["status"] == "failed").unwrap();
    assert_eq!(failed["code"], "cancelled");
    let health = app.get("/devices/shop/health").await.ok();
    assert_eq!(health["data"]["metrics"]["successRate"], 100.0, "a revoked message is not a failure");
}

/// A message to Anna that failed once and is retried in a minute, and one to Ben.
async fn two_retrying_messages(app: &TestApp) -> [String; 2] {
    app.device("shop").await;
    app.fault("shop", json!({ "kind": "send_transient", "count": 2 })).await;
    let ids = [app.send("shop", ANNA, "one").await, app.send("shop", BEN, "two").await];
    app.wait_until("both to be rescheduled", async || {
        (app.get("/queue/status").await.ok()["data"]["totals"]["retrying"] == 2).then_some(())
    })
    .await;
    ids
}

#[tokio::test]
async fn retried_message_can_be_edited_or_deleted() {
    let app = TestApp::start_with(&[("WHARF__OUTBOX__RETRY_DELAY_MS", "60000")]).await;
    skip_unless!(
        app.reports_failed_attempts() && app.can(|engine| engine.edit),
        "reports of failed attempts and edits"
    );
    let [edited, removed] = two_retrying_messages(&app).await;
    let next = app.send("shop", BEN, "three").await;
    app.post(EDIT, json!({ "messageId": edited, "newText": "one, mended" })).await.ok();
    app.post(DELETE, json!({ "messageId": removed })).await.ok();
    app.wait_for_status("shop", &next, "read").await;
    let app = app.restarted().await;
    // Scheduled work does not react to a jump of the test clock; a started device reads it.
    app.post("/devices/shop/stop", json!({})).await.ok();
    app.clock.advance(60_000);
    app.post("/devices/shop/start", json!({})).await.ok();
    app.post("/queue/clear", json!({ "deviceIds": ["shop"], "chatId": BEN })).await.ok();
    app.wait_for_status("shop", &edited, "read").await;
    let bodies: Vec<Value> = sent(&app).await.iter().map(|m| m["body"].clone()).collect();
    assert_eq!(bodies, ["three", "one, mended"]);
}

#[tokio::test]
async fn retried_message_can_be_revoked() {
    let app = TestApp::start_with(&[("WHARF__OUTBOX__RETRY_DELAY_MS", "60000")]).await;
    skip_unless!(
        app.reports_failed_attempts() && app.can(|engine| engine.edit),
        "reports of failed attempts and edits"
    );
    let [revoked, _] = two_retrying_messages(&app).await;
    let next = app.send("shop", ANNA, "three").await;
    app.post(DELETE, json!({ "messageId": revoked, "forEveryone": true })).await.ok();
    app.wait_for_status("shop", &next, "read").await;
    assert_eq!(message(&app, &revoked).await["type"], "revoked");
    assert!(changes(&app).await.is_empty(), "the network never received it");
}

/// Removes a message locally while its outcome is unknown and the device is offline.
async fn remove_with_unknown_outcome(app: &TestApp, fault: Value) -> String {
    app.device_with("shop", json!({ "ackDeviceMs": null, "ackReadMs": null })).await;
    app.fault("shop", fault).await;
    let id = app.send("shop", ANNA, "gone here").await;
    app.wait_until("the attempt to end", async || {
        (app.get("/queue/status").await.ok()["data"]["totals"]["underWay"] == 1).then_some(())
    })
    .await;
    app.post("/devices/shop/stop", json!({})).await.ok();
    app.post(DELETE, json!({ "messageId": id, "forEveryone": true })).await.refused(409, "wrong_state");
    app.post(DELETE, json!({ "messageId": id })).await.ok();
    app.post("/devices/shop/start", json!({})).await.ok();
    app.wait_for_state("shop", "ready").await;
    send_another_message(app).await;
    id
}

/// Delivers another message to the same chat.
async fn send_another_message(app: &TestApp) {
    let next = app.send("shop", ANNA, "next").await;
    app.wait_for_status("shop", &next, "sent").await;
}

async fn in_flight_count(app: &TestApp) -> Value {
    app.get("/queue/status").await.ok()["data"]["totals"]["underWay"].clone()
}

#[tokio::test]
async fn removed_unknown_send_is_finalized_by_receipt() {
    let app = TestApp::start_with(&[("WHARF__OUTBOX__RETRY_DELAY_MS", "60000")]).await;
    skip_unless!(
        app.reports_failed_attempts() && app.can(|engine| engine.revoke),
        "reports of failed attempts and revoking messages"
    );
    let id = remove_with_unknown_outcome(&app, json!({ "kind": "send_unknown" })).await;
    assert_eq!(in_flight_count(&app).await, 1);
    app.post("/simulator/shop/receipt", json!({ "messageId": id, "ack": 2 })).await.ok();
    app.wait_until("the outcome to be final", async || (in_flight_count(&app).await == 0).then_some(()))
        .await;
    assert_eq!(app.steps("shop", &id).await, ["queued", "sending", "sent", "delivered"]);
    let copies = sent(&app).await;
    assert_eq!((&copies[0]["body"], &copies[0]["arrivals"]), (&json!("gone here"), &json!(1)));
}

#[tokio::test]
async fn removed_unknown_send_is_not_resent_and_fails() {
    let app = TestApp::start_with(&[("WHARF__OUTBOX__RETRY_DELAY_MS", "60000")]).await;
    skip_unless!(
        app.reports_failed_attempts() && app.can(|engine| engine.revoke),
        "reports of failed attempts and revoking messages"
    );
    let id = remove_with_unknown_outcome(&app, json!({ "kind": "send_unknown", "value": "lost" })).await;
    app.app().services.maintenance.sweep().await.unwrap();
    assert_eq!(in_flight_count(&app).await, 1);
    app.clock.advance(2 * 86_400_000);
    app.app().services.maintenance.sweep().await.unwrap();
    assert_eq!(in_flight_count(&app).await, 0);
    let steps = app.logged("shop", "message:status").await;
    let last = steps.iter().rfind(|step| step["messageId"] == id).unwrap();
    assert_eq!((&last["status"], &last["code"]), (&json!("failed"), &json!("outcome_unknown")));
    let bodies: Vec<Value> = sent(&app).await.iter().map(|m| m["body"].clone()).collect();
    assert_eq!(bodies, ["next"]);
}

// covers: POST /devices/{id}/messages/delete
// covers: event message:revoked
#[tokio::test]
async fn revoked_message_leaves_tombstone() {
    let app = TestApp::start().await;
    skip_unless!(app.can(|engine| engine.edit), "edits");
    app.device("shop").await;
    let id = sent_text(&app, ANNA, "the secret is blue").await;
    app.post(&format!("/devices/shop/messages/{id}/react"), json!({ "emoji": "👍" })).await.ok();
    app.post(&format!("/devices/shop/messages/{id}/star"), json!({})).await.ok();
    for _ in 0..2 {
        app.post(DELETE, json!({ "messageId": id, "forEveryone": true })).await.ok();
    }
    let shown = message(&app, &id).await;
    assert_eq!(shown["isStarred"], false);
    assert_eq!(
        (&shown["type"], &shown["body"], &shown["reactions"]),
        (&json!("revoked"), &json!(""), &json!([]))
    );
    let logged = app.logged("shop", "message:revoked").await;
    assert_eq!(
        (logged.len(), &logged[0]["messageId"], &logged[0]["message"]["type"]),
        (1, &json!(id), &json!("revoked"))
    );
    assert_eq!(app.get("/devices/shop/messages/search?query=secret").await.ok()["totalResults"], 0);
    let kinds: Vec<Value> = changes(&app).await.iter().map(|c| c["kind"].clone()).collect();
    assert_eq!(kinds, ["react", "star", "revoke"]);
    for (path, body) in [
        (format!("/devices/shop/messages/{id}/react"), json!({ "emoji": "👍" })),
        ("/devices/shop/messages/forward".to_owned(), json!({ "messageId": id, "to": BEN })),
    ] {
        app.post(&path, body).await.refused(422, "message_revoked");
    }
    let theirs = app.incoming("shop", ANNA, "mine").await;
    app.post(DELETE, json!({ "messageId": theirs, "forEveryone": true }))
        .await
        .refused(422, "not_own_message");
}

#[tokio::test]
async fn locally_deleted_message_ignores_duplicates() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.incoming("shop", ANNA, "first").await;
    let copy = json!({ "from": ANNA, "body": "spam", "networkId": "SPAM1" });
    let id = app.post("/simulator/shop/incoming", copy.clone()).await.ok()["data"]["messageId"].clone();
    app.post(DELETE, json!({ "messageId": id })).await.ok();
    app.post("/simulator/shop/incoming", copy).await.ok();
    app.get(&format!("/devices/shop/messages/{}", id.as_str().unwrap()))
        .await
        .refused(404, "message_not_found");
    let chat = app.get("/devices/shop/chats/15550100001@c.us").await.ok()["data"].clone();
    assert_eq!((&chat["unreadCount"], &chat["lastMessage"]["body"]), (&json!(1), &json!("first")));
    assert_eq!(app.logged("shop", "message").await.len(), 2);
    assert_eq!(app.logged("shop", "message:deleted").await[0]["messageId"], id);
    app.post(DELETE, json!({ "messageId": id })).await.refused(404, "message_not_found");
}

// covers: POST /devices/{id}/chats/{chatId}/messages/delete
#[tokio::test]
async fn legacy_delete_path_requires_chat() {
    let app = TestApp::start().await;
    skip_unless!(app.can(|engine| engine.edit), "edits");
    app.device("shop").await;
    let id = sent_text(&app, ANNA, "hello").await;
    let body = json!({ "messageId": id, "forEveryone": true });
    let elsewhere = "/devices/shop/chats/15550100002@c.us/messages/delete";
    app.post(elsewhere, body.clone()).await.refused(404, "message_not_found");
    app.post("/devices/shop/chats/15550100001@c.us/messages/delete", body).await.ok();
    assert_eq!(message(&app, &id).await["type"], "revoked");
}

// covers: POST /devices/{id}/messages/{mid}/star
#[tokio::test]
async fn star_is_stored_and_emitted_once() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let id = app.incoming("shop", ANNA, "the address").await;
    let path = format!("/devices/shop/messages/{id}/star");
    for _ in 0..2 {
        assert_eq!(app.post(&path, json!({ "star": true })).await.ok()["data"]["isStarred"], true);
    }
    assert_eq!(app.post(&path, json!({ "star": false })).await.ok()["data"]["isStarred"], false);
    let logged = app.logged("shop", "message:starred").await;
    let stars: Vec<&Value> = logged.iter().map(|e| &e["isStarred"]).collect();
    assert_eq!(stars, [&json!(true), &json!(false)]);
    app.post(&path, json!({ "star": "yes" })).await.refused(400, "invalid_field");
}

#[tokio::test]
async fn edited_caption_keeps_length_limit() {
    let app = TestApp::start().await;
    skip_unless!(app.can(|engine| engine.edit), "edits");
    app.device("shop").await;
    let send = json!({ "to": ANNA, "media": { "data": "aGVsbG8=", "filename": "a.txt", "caption": "one" } });
    let id = app.post("/devices/shop/messages/send", send).await.created()["data"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    app.wait_for_status("shop", &id, "read").await;
    app.post(EDIT, json!({ "messageId": id, "newText": "x".repeat(1_025) }))
        .await
        .refused(400, "invalid_field");
    let edited = app.post(EDIT, json!({ "messageId": id, "newText": "two" })).await.ok();
    assert_eq!((&edited["data"]["body"], &edited["data"]["hasMedia"]), (&json!("two"), &json!(true)));
}

#[tokio::test]
async fn offline_star_is_synced_on_reconnect() {
    let app = TestApp::start().await;
    skip_unless!(app.has_phone(), "a phone account");
    app.device("shop").await;
    let id = app.incoming("shop", ANNA, "the address").await;
    app.post("/devices/shop/stop", json!({})).await.ok();
    app.post(&format!("/devices/shop/messages/{id}/star"), json!({})).await.ok();
    assert!(changes(&app).await.is_empty());
    app.post("/devices/shop/start", json!({})).await.ok();
    let reported = app.wait_until("the star to reach the network", async || changes(&app).await.pop()).await;
    assert_eq!(
        (&reported["kind"], &reported["messageId"], &reported["on"]),
        (&json!("star"), &json!(id), &json!(true))
    );
}

#[tokio::test]
async fn messages_of_previous_account_cannot_be_changed() {
    let app = TestApp::start().await;
    // Linking by a code names the account.
    skip_unless!(
        app.can(|engine| engine.qr && engine.edit && engine.revoke),
        "linking by QR code, edits and revoking messages"
    );
    app.device("shop").await;
    let id = sent_text(&app, ANNA, "from the old number").await;
    app.post("/devices/shop/logout", json!({})).await.ok();
    app.post("/devices/shop/start", json!({})).await.ok();
    app.wait_for_state("shop", "qr").await;
    app.post("/simulator/shop/scan", json!({ "phoneNumber": "15550100077" })).await.ok();
    app.wait_for_state("shop", "ready").await;
    app.post(EDIT, json!({ "messageId": id, "newText": "new" })).await.refused(422, "not_own_message");
    let refused = app.post(DELETE, json!({ "messageId": id, "forEveryone": true })).await;
    assert!(refused.refused(422, "not_own_message")["error"].as_str().unwrap().contains("another account"));
    app.post(DELETE, json!({ "messageId": id })).await.ok();
}
