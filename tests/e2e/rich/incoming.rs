//! Incoming messages other than text, and their later changes.

use serde_json::{Value, json};

use super::{message, sent_text};
use crate::support::{ANNA, BEN, TestApp};

async fn receive_message(app: &TestApp, body: Value) -> String {
    let reply = app.post("/simulator/shop/incoming", body).await.ok();
    reply["data"]["messageId"].as_str().unwrap().to_owned()
}

async fn simulate_change(app: &TestApp, what: &str, body: Value) {
    app.post(&format!("/simulator/shop/{what}"), body).await.ok();
}

#[tokio::test]
async fn incoming_locations_cards_and_polls_are_typed() {
    let app = TestApp::start().await;
    skip_unless!(app.can(|engine| engine.polls), "polls");
    app.device("shop").await;
    let place = json!({ "latitude": -33.5, "longitude": 151.25, "description": "Harbour" });
    let poll = json!({ "name": "Lunch?", "options": ["pasta", "soup"], "allowMultipleAnswers": true });
    let card = json!({ "displayName": "Cleo", "number": "15550100003" });
    for (body, kind) in [
        (json!({ "from": ANNA, "location": place }), "location"),
        (json!({ "from": ANNA, "poll": poll }), "poll_creation"),
        (json!({ "from": ANNA, "contact": card }), "vcard"),
    ] {
        let id = receive_message(&app, body).await;
        assert_eq!(message(&app, &id).await["type"], kind);
    }
    let reported = app.logged("shop", "message").await;
    assert_eq!(reported[0]["message"]["location"], place);
    assert_eq!(reported[1]["message"]["poll"]["options"], poll["options"]);
    assert_eq!(reported[2]["message"]["vCards"][0]["displayName"], "Cleo");
    for word in ["harbour", "soup", "cleo"] {
        let found = app.get(&format!("/devices/shop/messages/search?query={word}")).await.ok();
        assert_eq!(found["totalResults"], 1, "{word}");
    }
}

#[tokio::test]
async fn incoming_reply_shows_quote_of_unstored_message() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let ours = sent_text(&app, ANNA, "is it nine?").await;
    let network_id = ours.rsplit('_').next().unwrap();
    let answer = json!({ "from": ANNA, "body": "ten", "quotedNetworkId": network_id, "quotedFromMe": true });
    let shown = message(&app, &receive_message(&app, answer).await).await;
    assert_eq!(
        (&shown["quotedMessage"]["id"], &shown["quotedMessage"]["body"]),
        (&json!(ours), &json!("is it nine?"))
    );
    skip_unless!(app.has_phone(), "a phone account");
    let unknown =
        json!({ "from": ANNA, "body": "yes", "quotedNetworkId": "OLD1", "quotedBody": "from before" });
    let shown = message(&app, &receive_message(&app, unknown).await).await;
    assert_eq!(shown["quotedMessage"]["id"], "false_15550100001@c.us_OLD1");
    assert_eq!(
        (&shown["quotedMessage"]["body"], &shown["quotedMessage"]["type"]),
        (&json!("from before"), &json!("chat"))
    );
}

#[tokio::test]
async fn incoming_reaction_changes_and_is_removed() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let id = sent_text(&app, ANNA, "done").await;
    for emoji in ["👍", "👍", "❤️", ""] {
        simulate_change(&app, "reaction", json!({ "messageId": id, "from": ANNA, "emoji": emoji })).await;
    }
    let reported = app.logged("shop", "message:reaction").await;
    let emoji: Vec<&str> = reported.iter().map(|e| e["emoji"].as_str().unwrap()).collect();
    assert_eq!(emoji, ["👍", "❤️", ""], "a repeated reaction is emitted once");
    assert_eq!(reported[0]["from"], "15550100001@c.us");
    assert_eq!(message(&app, &id).await["reactions"], json!([]));
    // A reaction to a message that is not stored emits nothing.
    let unknown = json!({ "messageId": "true_15550100001@c.us_NONE", "from": ANNA, "emoji": "👍" });
    simulate_change(&app, "reaction", unknown).await;
    assert_eq!(app.logged("shop", "message:reaction").await.len(), 3);
}

#[tokio::test]
async fn later_incoming_edit_wins_in_any_order() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let id = app.incoming("shop", ANNA, "at nine").await;
    let at =
        app.get(&format!("/devices/shop/messages/{id}")).await.ok()["data"]["timestamp"].as_i64().unwrap();
    simulate_change(&app, "edit", json!({ "messageId": id, "body": "at eleven", "timestamp": at + 2_000 }))
        .await;
    simulate_change(&app, "edit", json!({ "messageId": id, "body": "at ten", "timestamp": at + 1_000 }))
        .await;
    let shown = message(&app, &id).await;
    assert_eq!((&shown["body"], &shown["isEdited"]), (&json!("at eleven"), &json!(true)));
    assert_eq!(app.logged("shop", "message:edited").await.len(), 1);
}

#[tokio::test]
async fn revoked_incoming_message_is_removed() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let id = app.incoming("shop", ANNA, "wrong chat").await;
    for _ in 0..2 {
        simulate_change(&app, "revoke", json!({ "messageId": id })).await;
    }
    let shown = message(&app, &id).await;
    assert_eq!((&shown["type"], &shown["body"]), (&json!("revoked"), &json!("")));
    assert_eq!(app.logged("shop", "message:revoked").await.len(), 1);
    assert_eq!(app.get("/devices/shop/messages/search?query=wrong").await.ok()["totalResults"], 0);
    // A late edit does not restore a revoked message.
    simulate_change(&app, "edit", json!({ "messageId": id, "body": "again" })).await;
    assert_eq!(message(&app, &id).await["body"], "");
}

#[tokio::test]
async fn contacts_vote_in_poll() {
    let app = TestApp::start().await;
    skip_unless!(app.can(|engine| engine.polls), "polls");
    app.device("shop").await;
    let poll = json!({ "to": ANNA, "poll": { "name": "Lunch?", "options": ["pasta", "soup"] } });
    let id = app.post("/devices/shop/messages/send", poll).await.created()["data"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    app.wait_for_status("shop", &id, "read").await;
    simulate_change(&app, "vote", json!({ "messageId": id, "from": ANNA, "options": ["soup"] })).await;
    let votes = message(&app, &id).await["poll"]["votes"].clone();
    assert_eq!((&votes[0]["voter"], &votes[0]["options"]), (&json!("15550100001@c.us"), &json!(["soup"])));
    assert_eq!(app.logged("shop", "poll:vote").await.len(), 1);
}

#[tokio::test]
async fn mentions_and_forwards_are_shown() {
    let app = TestApp::start().await;
    skip_unless!(app.has_phone(), "a phone account");
    app.device("shop").await;
    let body = json!({ "from": ANNA, "body": "ask @15550100002", "mentions": [BEN], "forwarded": true });
    let shown = message(&app, &receive_message(&app, body).await).await;
    assert_eq!((&shown["mentionedIds"], &shown["isForwarded"]), (&json!(["15550100002@c.us"]), &json!(true)));
}
