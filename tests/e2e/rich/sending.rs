//! Sending locations, contact cards, polls, quotes and mentions.

use serde_json::{Value, json};

use super::{message, sent};
use crate::support::{ANNA, BEN, TestApp};

const SEND: &str = "/devices/shop/messages/send";

async fn accepted(app: &TestApp, body: Value) -> String {
    let id = app.post(SEND, body).await.created()["data"]["id"].as_str().unwrap().to_owned();
    app.wait_for_status("shop", &id, "read").await;
    id
}

#[tokio::test]
async fn location_is_sent_and_searchable_by_name() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let place = json!({ "latitude": 52.52, "longitude": 13.405, "description": "Television tower" });
    let id = accepted(&app, json!({ "to": ANNA, "location": place })).await;
    let shown = message(&app, &id).await;
    assert_eq!(
        (&shown["type"], &shown["location"], &shown["hasMedia"]),
        (&json!("location"), &place, &json!(false))
    );
    let arrived = sent(&app).await.remove(0);
    assert_eq!((&arrived["type"], &arrived["location"]), (&json!("location"), &place));
    let found = app.get("/devices/shop/messages/search?query=tower&type=location").await.ok();
    assert_eq!(found["data"][0]["id"], id.as_str());
}

// covers: POST /devices/{id}/chats/location
#[tokio::test]
async fn legacy_location_path_accepts_flat_fields() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let path = "/devices/shop/chats/location";
    let flat = json!({ "chatId": ANNA, "latitude": 1.5, "longitude": "2.5" });
    let id = app.post(path, flat).await.created()["data"]["id"].as_str().unwrap().to_owned();
    assert_eq!(message(&app, &id).await["location"], json!({ "latitude": 1.5, "longitude": 2.5 }));
    app.post(path, json!({ "to": ANNA, "location": { "latitude": 1, "longitude": 2 } })).await.created();
    let refused = app.post(path, json!({ "to": ANNA, "latitude": 91 })).await.refused(400, "invalid_field");
    let named: Vec<&str> =
        refused["details"].as_array().unwrap().iter().map(|d| d["field"].as_str().unwrap()).collect();
    assert_eq!(named, ["location.latitude", "location.longitude"]);
}

#[tokio::test]
async fn contact_card_is_built_from_number_or_given() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let id =
        accepted(&app, json!({ "to": ANNA, "contact": { "name": "Ben; the baker", "phoneNumber": BEN } }))
            .await;
    let card = message(&app, &id).await["vCards"][0].clone();
    assert_eq!(card["displayName"], "Ben; the baker");
    assert!(card["vcard"].as_str().unwrap().contains("FN:Ben\\; the baker\r\n"), "{card}");
    assert!(card["vcard"].as_str().unwrap().contains("waid=15550100002:+15550100002"), "{card}");
    let ready = "BEGIN:VCARD\nVERSION:3.0\nFN:Cleo\nEND:VCARD";
    let both = json!([{ "vcard": ready }, { "phoneNumber": BEN }]);
    let id = accepted(&app, json!({ "to": ANNA, "contact": both })).await;
    let cards = message(&app, &id).await["vCards"].clone();
    assert_eq!((&cards[0]["displayName"], &cards[0]["vcard"]), (&json!("Cleo"), &json!(ready)));
    assert_eq!(cards[1]["displayName"], "+15550100002");
    let found = app.get("/devices/shop/messages/search?query=baker").await.ok();
    assert_eq!(found["totalResults"], 1);
}

// covers: POST /devices/{id}/messages/{mid}/vote
#[tokio::test]
async fn poll_counts_own_and_foreign_votes() {
    let app = TestApp::start().await;
    skip_unless!(app.can(|engine| engine.polls), "polls");
    app.device("shop").await;
    let poll = json!({ "name": "Lunch?", "options": ["pasta", "soup"] });
    let id = accepted(&app, json!({ "to": ANNA, "poll": poll })).await;
    let path = format!("/devices/shop/messages/{id}/vote");
    let voted = app.post(&path, json!({ "options": ["soup"] })).await.ok();
    assert_eq!(voted["data"]["poll"]["votes"][0]["options"], json!(["soup"]));
    let voted = app.post(&path, json!({ "options": ["pasta", "pasta"] })).await.ok();
    assert_eq!(voted["data"]["poll"]["votes"][0]["options"], json!(["pasta"]));
    let votes = message(&app, &id).await["poll"]["votes"].clone();
    assert_eq!(votes.as_array().unwrap().len(), 1, "{votes}");
    let logged = app.logged("shop", "poll:vote").await;
    assert_eq!((logged.len(), &logged[1]["options"]), (2, &json!(["pasta"])));
    let refused = app.post(&path, json!({ "options": ["cake"] })).await.refused(400, "invalid_field");
    assert_eq!(refused["details"][0]["field"], "options[0]");
    app.post(&path, json!({ "options": ["pasta", "soup"] })).await.refused(400, "invalid_field");
    app.post(&path, json!({ "options": [] })).await.ok();
    assert_eq!(message(&app, &id).await["poll"]["votes"], json!([]));
    let text = app.send("shop", ANNA, "no poll").await;
    app.wait_for_status("shop", &text, "read").await;
    let path = format!("/devices/shop/messages/{text}/vote");
    app.post(&path, json!({ "options": ["soup"] })).await.refused(422, "not_a_poll");
    assert_eq!(app.get("/devices/shop/messages/search?query=lunch").await.ok()["totalResults"], 1);
}

#[tokio::test]
async fn reply_quotes_its_message() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let question = app.incoming("shop", ANNA, "is it ready?").await;
    let id = accepted(&app, json!({ "to": ANNA, "text": "yes", "quotedMessageId": question })).await;
    let shown = message(&app, &id).await;
    assert_eq!(
        (&shown["quotedMessage"]["id"], &shown["quotedMessage"]["body"]),
        (&json!(question), &json!("is it ready?"))
    );
    let network_id = question.rsplit('_').next().unwrap();
    assert_eq!(sent(&app).await[0]["quotedNetworkId"], network_id);
    // A reply to the reply quotes the reply only.
    let again = accepted(&app, json!({ "to": ANNA, "text": "sure", "quotedMessageId": id })).await;
    let shown = message(&app, &again).await;
    assert_eq!(shown["quotedMessage"]["body"], "yes");
    assert!(shown["quotedMessage"].get("quotedMessage").is_none(), "{shown}");
    let elsewhere = json!({ "to": BEN, "text": "yes", "quotedMessageId": question });
    app.post(SEND, elsewhere).await.refused(422, "quoted_message_not_found");
}

#[tokio::test]
async fn mentions_are_sent_to_network() {
    let app = TestApp::start().await;
    skip_unless!(app.has_phone(), "a phone account");
    let group = "120363000000000001@g.us";
    let team = json!([{ "id": group, "subject": "Team", "participants": [ANNA, BEN] }]);
    app.device_with("shop", json!({ "groups": team })).await;
    let id = accepted(&app, json!({ "to": group, "text": "hello @15550100002", "mentions": [BEN] })).await;
    let expected = json!(["15550100002@c.us"]);
    assert_eq!(message(&app, &id).await["mentionedIds"], expected);
    assert_eq!(sent(&app).await[0]["mentions"], expected);
}

#[tokio::test]
async fn idempotency_key_covers_all_content() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let send = async |longitude: f64| {
        let place = json!({ "to": ANNA, "location": { "latitude": 1, "longitude": longitude } });
        let request = app.request("POST", SEND).header("Idempotency-Key", "place-1").json(&place);
        app.with_key(&app.key).send(request).await
    };
    let first = send(2.0).await.created();
    assert_eq!(send(2.0).await.created()["data"]["id"], first["data"]["id"]);
    send(3.0).await.refused(422, "idempotency_mismatch");
}
