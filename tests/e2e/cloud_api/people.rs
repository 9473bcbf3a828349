//! People with and without phone numbers.

use serde_json::json;

use super::{Cloud, text};
use crate::support::ANNA;

#[tokio::test]
async fn person_without_a_number_can_be_answered() {
    let cloud = Cloud::start().await;
    let value = json!({ "contacts": [{ "profile": { "name": "Cleo" }, "user_id": "US.13491208655302741918" }],
        "messages": [{ "from_user_id": "US.13491208655302741918", "id": "wamid.A=", "timestamp": "1700000000",
            "type": "text", "text": { "body": "hello" } }] });
    assert_eq!(cloud.call_back(&cloud.envelope(&value)).await, 200);
    let message = cloud.app.logged("shop", "message").await.remove(0)["message"].clone();
    let chat = message["chatId"].as_str().unwrap().to_owned();
    assert!(chat.ends_with("@lid") && message["notifyName"] == "Cleo", "{message}");
    cloud.app.send("shop", &chat, "hello Cleo").await;
    let number = cloud.number();
    let asked = cloud
        .app
        .wait_until("the answer to leave", async || {
            number.asked().into_iter().find(|body| body["type"] == "text")
        })
        .await;
    assert_eq!((&asked["recipient"], asked.get("to")), (&json!("US.13491208655302741918"), None));
}

#[tokio::test]
async fn two_ids_of_a_person_become_one_chat() {
    let cloud = Cloud::start().await;
    let hidden = json!({ "messages": [{ "from_user_id": "US.1", "id": "wamid.A=", "timestamp": "1700000000",
        "type": "text", "text": { "body": "first" } }] });
    assert_eq!(cloud.call_back(&cloud.envelope(&hidden)).await, 200);
    let mut both = text("wamid.B=", "second");
    both["contacts"][0]["user_id"] = "US.1".into();
    assert_eq!(cloud.call_back(&cloud.envelope(&both)).await, 200);
    let chats = cloud.app.get("/devices/shop/chats").await.ok();
    assert_eq!(chats["pagination"]["total"], 1, "{chats}");
    assert_eq!(chats["data"][0]["id"], format!("{ANNA}@c.us"));
}

#[tokio::test]
async fn message_from_the_phone_is_an_own_message() {
    let cloud = Cloud::start().await;
    let me = cloud.app.get("/devices/shop").await.ok()["data"]["phoneNumber"].clone();
    let mut body = cloud.envelope(&json!({ "message_echoes": [{ "from": me, "to": ANNA, "id": "wamid.E=",
        "timestamp": "1700000000", "type": "text", "text": { "body": "from the phone" } }] }));
    body["entry"][0]["changes"][0]["field"] = "smb_message_echoes".into();
    assert_eq!(cloud.call_back(&body).await, 200);
    let message = cloud.app.logged("shop", "message").await.remove(0)["message"].clone();
    assert_eq!(
        (&message["fromMe"], &message["id"]),
        (&json!(true), &json!(format!("true_{ANNA}@c.us_wamid.E=")))
    );
}
