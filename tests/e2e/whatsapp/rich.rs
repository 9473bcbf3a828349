//! Received content besides text, and later changes to messages.

use serde_json::{Value, json};

use super::Native;
use crate::support::{ANNA, BEN};

async fn arrives(native: &Native, body: Value) -> String {
    let reply = native.app.post("/simulator/shop/incoming", body).await.ok();
    reply["data"]["messageId"].as_str().unwrap().to_owned()
}

async fn happens(native: &Native, what: &str, body: Value) {
    native.app.post(&format!("/simulator/shop/{what}"), body).await.ok();
}

async fn message(native: &Native, id: &str) -> Value {
    native.app.get(&format!("/devices/shop/messages/{id}")).await.ok()["data"].clone()
}

#[tokio::test]
async fn locations_cards_and_polls_are_received() {
    let native = Native::start().await;
    native.device("shop", json!({})).await;
    let place = json!({ "latitude": -33.5, "longitude": 151.25, "description": "Harbour" });
    let poll = json!({ "name": "Lunch?", "options": ["pasta", "soup"], "allowMultipleAnswers": true });
    let card = json!({ "displayName": "Cleo", "number": "15550100003" });
    for (body, kind) in [
        (json!({ "from": ANNA, "location": place }), "location"),
        (json!({ "from": ANNA, "poll": poll }), "poll_creation"),
        (json!({ "from": ANNA, "contact": card }), "vcard"),
    ] {
        let id = arrives(&native, body).await;
        assert_eq!(message(&native, &id).await["type"], kind);
    }
    let received = native.app.logged("shop", "message").await;
    assert_eq!(received[0]["message"]["location"], place);
    assert_eq!(received[1]["message"]["poll"]["options"], poll["options"]);
    assert_eq!(received[2]["message"]["vCards"][0]["displayName"], "Cleo");
    native.stop().await;
}

#[tokio::test]
async fn received_reply_has_quote() {
    let native = Native::start().await;
    native.device("shop", json!({})).await;
    let asked = arrives(&native, json!({ "from": ANNA, "body": "is it nine?" })).await;
    let network_id = asked.rsplit('_').next().unwrap();
    let answer = json!({
        "from": ANNA, "body": "ten", "quotedNetworkId": network_id, "quotedBody": "is it nine?", "forwarded": true,
    });
    let shown = message(&native, &arrives(&native, answer).await).await;
    assert_eq!(shown["quotedMessage"]["id"], asked);
    assert_eq!((&shown["body"], &shown["isForwarded"]), (&json!("ten"), &json!(true)));
    native.stop().await;
}

#[tokio::test]
async fn received_changes_apply_to_their_message() {
    let native = Native::start().await;
    native.device("shop", json!({})).await;
    let text = arrives(&native, json!({ "from": ANNA, "body": "at nine" })).await;
    happens(&native, "reaction", json!({ "messageId": text, "from": ANNA, "emoji": "👍" })).await;
    happens(&native, "edit", json!({ "messageId": text, "body": "at ten" })).await;
    let shown = message(&native, &text).await;
    assert_eq!((&shown["body"], &shown["isEdited"]), (&json!("at ten"), &json!(true)));
    let reaction = json!([{ "emoji": "👍", "from": "15550100001@c.us", "fromMe": false }]);
    assert_eq!(shown["reactions"], reaction);

    let poll = json!({ "name": "Lunch?", "options": ["pasta", "soup"] });
    let poll = arrives(&native, json!({ "from": ANNA, "poll": poll })).await;
    happens(&native, "vote", json!({ "messageId": poll, "voter": ANNA, "options": ["soup"] })).await;
    let votes = message(&native, &poll).await["poll"]["votes"].clone();
    assert_eq!((&votes[0]["voter"], &votes[0]["options"]), (&json!("15550100001@c.us"), &json!(["soup"])));

    happens(&native, "revoke", json!({ "messageId": text })).await;
    assert_eq!(message(&native, &text).await["type"], "revoked");
    native.stop().await;
}

/// Sends and waits until it is read.
async fn delivered(native: &Native, body: Value) -> String {
    let sent = native.app.post("/devices/shop/messages/send", body).await.created();
    let id = sent["data"]["id"].as_str().unwrap().to_owned();
    native.app.wait_for_status("shop", &id, "read").await;
    id
}

#[tokio::test]
async fn edit_keeps_file_type_quote_and_mentions() {
    let native = Native::start().await;
    native.device("shop", json!({ "ackServerMs": 0, "ackDeviceMs": 10, "ackReadMs": 30 })).await;
    let asked = arrives(&native, json!({ "from": ANNA, "body": "the prices?" })).await;
    let media = json!({ "data": "aGVsbG8=", "filename": "prices.txt", "caption": "for @15550100002" });
    let file = json!({ "to": ANNA, "media": media, "quotedMessageId": asked, "mentions": [BEN] });
    let text = json!({ "to": ANNA, "text": "for @15550100002", "quotedMessageId": asked, "mentions": [BEN] });
    let network_id = json!(asked.rsplit('_').next().unwrap());
    for (sent, kind) in [(file, json!("document")), (text, Value::Null)] {
        let id = delivered(&native, sent).await;
        let edit = json!({ "messageId": id, "newText": "new for @15550100002" });
        native.app.post("/devices/shop/messages/edit", edit).await.ok();
        let seen = native
            .app
            .wait_until("the edit to arrive", async || {
                let network = native.app.get("/simulator/shop/network").await.ok();
                let changes = network["data"]["changes"].as_array().unwrap();
                changes.iter().find(|change| change["messageId"] == id).cloned()
            })
            .await;
        assert_eq!((&seen["kind"], &seen["captionOf"]), (&json!("edit"), &kind));
        assert_eq!((&seen["body"], &seen["quotedNetworkId"]), (&json!("new for @15550100002"), &network_id));
        assert_eq!(seen["mentions"], json!(["15550100002@s.whatsapp.net"]));
        let shown = message(&native, &id).await;
        assert_eq!(
            (&shown["quotedMessage"]["id"], &shown["mentionedIds"]),
            (&json!(asked), &json!([format!("{BEN}@c.us")]))
        );
    }
    native.stop().await;
}
