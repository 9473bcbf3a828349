//! Contacts: lists, pictures, and whether a number is on the network.

use serde_json::{Value, json};

use crate::support::wire::Wire;
use crate::support::{ADMIN_KEY, ANNA, BEN, TestApp};

fn ids(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|c| c["id"].as_str().unwrap()).collect()
}

// covers: GET /devices/{id}/contacts
// covers: POST /devices/{id}/contacts
// covers: GET /devices/{id}/contacts/{cid}/exists
#[tokio::test]
async fn contacts_are_searched_by_get_and_post() {
    let app = TestApp::start().await;
    skip_unless!(app.has_phone(), "a phone account");
    let contacts = json!([{ "id": ANNA, "name": "Anna" }, { "id": BEN, "name": "Ben" }]);
    app.device_with("shop", json!({ "contacts": contacts })).await;
    app.wait_until("the contacts and their names", async || {
        let all = app.get("/devices/shop/contacts").await.ok()["data"].as_array().unwrap().clone();
        let named = |name: &str| all.iter().any(|contact| contact["name"] == name);
        (all.len() == 2 && named("Anna") && named("Ben")).then_some(())
    })
    .await;
    let found = app.get("/devices/shop/contacts?search=ann").await.ok();
    assert_eq!((ids(&found), &found["data"][0]["name"]), (vec!["15550100001@c.us"], &json!("Anna")));
    let found = app.post("/devices/shop/contacts", json!({ "contactIds": [BEN] })).await.ok();
    assert_eq!(ids(&found), ["15550100002@c.us"]);
    assert_eq!(app.get(&format!("/devices/shop/contacts/{ANNA}/exists")).await.ok()["data"]["exists"], true);
    assert_eq!(app.get("/devices/shop/contacts/15550190001/exists").await.ok()["data"]["exists"], false);
}

// covers: GET /devices/{id}/contacts/{cid}/profile-picture
#[tokio::test]
async fn contact_picture_is_url_or_null() {
    let app = TestApp::start().await;
    skip_unless!(app.has_phone(), "a phone account");
    let ben = json!({ "id": BEN, "picture": "https://pictures.invalid/ben.jpg" });
    app.device_with("shop", json!({ "contacts": [ben] })).await;
    let path = format!("/devices/shop/contacts/{ANNA}/profile-picture");
    let picture = app.get(&path).await.ok();
    assert_eq!(picture["data"], json!({ "contactId": "15550100001@c.us", "profilePicUrl": null }));
    let picture = app.get(&format!("/devices/shop/contacts/{BEN}/profile-picture")).await.ok();
    assert_eq!(picture["data"]["profilePicUrl"], "https://pictures.invalid/ben.jpg");
    app.post("/devices/shop/stop", json!({})).await.ok();
    app.get(&path).await.refused(409, "device_offline");
}

// covers: POST /devices/{id}/contacts
#[tokio::test]
async fn contact_list_pages_and_rejects_bad_query() {
    let app = TestApp::start().await;
    app.device("shop").await;
    for n in 1..=5 {
        app.incoming("shop", &format!("1555010000{n}"), "hello").await;
    }
    let page = app.post("/devices/shop/contacts", json!({ "limit": 2, "offset": 3 })).await.ok();
    assert_eq!(ids(&page), ["15550100004@c.us", "15550100005@c.us"]);
    assert_eq!((&page["pagination"]["total"], &page["pagination"]["hasMore"]), (&json!(5), &json!(false)));
    assert_eq!(app.post("/devices/shop/contacts", Value::Null).await.ok()["pagination"]["total"], 5);
    let wrong = json!({ "contactIds": ["nobody"], "limit": 0 });
    let refused = app.post("/devices/shop/contacts", wrong).await.refused(400, "invalid_field");
    assert_eq!(refused["details"].as_array().unwrap().len(), 2, "{refused}");
}

// covers: GET /devices/{id}/contacts/{cid}/exists
#[tokio::test]
async fn on_network_check_requires_connection() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.post("/devices/shop/stop", json!({})).await.ok();
    app.get(&format!("/devices/shop/contacts/{ANNA}/exists")).await.refused(409, "device_offline");
    app.get("/devices/shop/contacts/nobody/exists").await.refused(400, "invalid_field");
    app.get(&format!("/devices/nowhere/contacts/{ANNA}/exists")).await.refused(404, "device_not_found");
}

// covers: event contact:update
// covers: event chat:update
#[tokio::test]
async fn renamed_contact_renames_chat() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.incoming("shop", ANNA, "hello").await;
    let (mut wire, _) = Wire::open(&app).await;
    wire.join("shop", ADMIN_KEY).await;
    wire.event("shop", "state").await;
    let named = json!({ "from": ANNA, "body": "it is me", "notifyName": "Anna" });
    app.post("/simulator/shop/incoming", named).await.ok();
    assert_eq!(wire.event("shop", "contact:update").await["contact"]["pushname"], "Anna");
    assert_eq!(wire.event("shop", "chat:update").await["chat"]["name"], "Anna");
}

#[tokio::test]
async fn lid_and_number_of_person_merge_into_one_chat() {
    let app = TestApp::start().await;
    skip_unless!(app.has_phone() && app.reports("who is who"), "a phone account and merged identities");
    app.device("shop").await;
    let (mut wire, _) = Wire::open(&app).await;
    wire.join("shop", ADMIN_KEY).await;
    wire.event("shop", "state").await;
    let lid = "7700010001@lid";
    let hello = app.post("/simulator/shop/incoming", json!({ "from": lid, "body": "hello" })).await.ok();
    let first_id = hello["data"]["messageId"].as_str().unwrap().to_owned();
    app.post("/devices/shop/chats/7700010001@lid/pin", json!({})).await.ok();
    app.incoming("shop", ANNA, "it is me").await;
    assert_eq!(app.get("/devices/shop/chats").await.ok()["data"].as_array().unwrap().len(), 2);

    let update = json!({ "id": ANNA, "lid": lid, "name": "Anna" });
    app.post("/simulator/shop/contact", update).await.ok();
    let merged = wire.event("shop", "chat:merged").await;
    assert_eq!((&merged["from"], &merged["to"]), (&json!(lid), &json!("15550100001@c.us")));
    assert_eq!(wire.event("shop", "contact:update").await["contact"]["lid"], lid);

    let chats = app.get("/devices/shop/chats").await.ok();
    let chat = &chats["data"][0];
    assert_eq!(chats["data"].as_array().unwrap().len(), 1, "{chats}");
    assert_eq!(
        (&chat["id"], &chat["name"], &chat["unreadCount"]),
        (&json!("15550100001@c.us"), &json!("Anna"), &json!(2))
    );
    assert_eq!(chat["pinned"], true);
    for id in ["15550100001", lid] {
        let page = app.get(&format!("/devices/shop/chats/{id}/messages")).await.ok();
        let bodies: Vec<_> =
            page["data"].as_array().unwrap().iter().map(|m| m["body"].as_str().unwrap()).collect();
        assert_eq!(bodies, ["hello", "it is me"], "by {id}");
    }
    let message = app.get(&format!("/devices/shop/messages/{first_id}")).await.ok();
    assert_eq!(
        (&message["data"]["id"], &message["data"]["chatId"]),
        (&json!(first_id), &json!("15550100001@c.us"))
    );

    // From now on every id and every spelling leads to the merged person.
    app.post("/simulator/shop/incoming", json!({ "from": lid, "body": "still me" })).await.ok();
    let sent = app.post("/devices/shop/messages/send", json!({ "to": lid, "text": "I see" })).await;
    assert_eq!(sent.created()["data"]["chatId"], "15550100001@c.us");
    let read = app.post(&format!("/devices/shop/chats/{lid}/read"), json!({})).await.ok();
    assert_eq!(read["data"]["messageIds"].as_array().unwrap().len(), 3);
    let chats = app.get("/devices/shop/chats").await.ok();
    assert_eq!((chats["data"].as_array().unwrap().len(), &chats["data"][0]["unreadCount"]), (1, &json!(0)));
}
