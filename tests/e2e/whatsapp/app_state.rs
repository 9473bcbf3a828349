//! The app state that an account's devices share, from before and after the link.

use serde_json::{Value, json};
use testbed::phone::app_state::{MessageRef, PhoneAction};
use testbed::server::app_state;
use whatsapp_rust::Jid;

use super::{ME, Native};
use crate::support::{ANNA, BEN};

const CLEO: &str = "15550100003";

async fn chat(native: &Native, number: &str) -> Value {
    native.app.get(&format!("/devices/shop/chats/{number}@c.us")).await.ok()["data"].clone()
}

/// Waits until a field of a chat has this value.
async fn becomes(native: &Native, number: &str, field: &str, value: bool) {
    let what = format!("{field} to be {value}");
    native
        .app
        .wait_until(&what, async || {
            let reply = native.app.get(&format!("/devices/shop/chats/{number}@c.us")).await;
            (reply.status == 200 && reply.json()["data"][field] == value).then_some(())
        })
        .await;
}

// covers: GET /devices/{id}/contacts
#[tokio::test]
async fn phone_changes_before_link_are_synced() {
    let native = Native::start().await;
    let account = native.testbed.world().directory.get_or_create(ME).unwrap();
    let before = [
        PhoneAction::Archive(Jid::pn(ANNA), true),
        PhoneAction::Pin(Jid::pn(BEN), true),
        PhoneAction::Mute(Jid::pn(CLEO), Some(None)),
    ];
    app_state::write(&account, &before).unwrap();
    let contacts = json!([
        { "id": ANNA, "name": "Anna" }, { "id": BEN, "name": "Ben" }, { "id": CLEO, "name": "Cleo" },
    ]);
    native.device("shop", json!({ "contacts": contacts, "history": 9 })).await;
    becomes(&native, ANNA, "archived", true).await;
    becomes(&native, BEN, "pinned", true).await;
    becomes(&native, CLEO, "muted", true).await;
    assert_eq!(chat(&native, ANNA).await["pinned"], false);
    let reply = native.app.get("/devices/shop/contacts").await.ok();
    let contacts = reply["data"].as_array().unwrap();
    let anna = contacts.iter().find(|contact| contact["id"] == format!("{ANNA}@c.us")).unwrap();
    assert_eq!(anna["name"], "Anna", "{anna}");
    native.stop().await;
}

#[tokio::test]
async fn rapid_phone_changes_all_arrive() {
    let native = Native::start().await;
    native.device("shop", json!({ "contacts": [{ "id": ANNA, "name": "Anna" }], "history": 3 })).await;
    native.app.incoming("shop", ANNA, "are we open on Sunday?").await;
    let account = native.testbed.world().directory.get_or_create(ME).unwrap();
    for round in 0..10 {
        // The second change is announced while the first is being read.
        let on = round % 2 == 0;
        for deed in [PhoneAction::Pin(Jid::pn(ANNA), on), PhoneAction::Archive(Jid::pn(ANNA), on)] {
            app_state::apply_on_phone(&account, &[deed]).await.unwrap();
        }
        becomes(&native, ANNA, "pinned", on).await;
        becomes(&native, ANNA, "archived", on).await;
    }
    native.stop().await;
}

/// A message of the chat with Anna, as the phone refers to it.
fn of_anna(id: &str) -> MessageRef {
    MessageRef { chat: Jid::pn(ANNA), id: id.to_owned(), from_me: false, participant: None }
}

async fn is_starred(native: &Native, id: &str, on: bool) {
    let path = format!("/devices/shop/messages/false_{ANNA}@c.us_{id}");
    native
        .app
        .wait_until(&format!("isStarred to be {on}"), async || {
            let reply = native.app.get(&path).await;
            (reply.status == 200 && reply.json()["data"]["isStarred"] == on).then_some(())
        })
        .await;
}

/// Sends a message with this id from Anna.
async fn incoming(native: &Native, id: &str) {
    let message = json!({ "from": ANNA, "body": "hello", "networkId": id });
    native.app.post("/simulator/shop/incoming", message).await.ok();
}

/// The stars and deletions of the phone are stored; only those made while the device is linked are events.
#[tokio::test]
async fn full_read_of_app_state_emits_no_events() {
    let native = Native::start().await;
    native.device("shop", json!({ "contacts": [{ "id": ANNA, "name": "Anna" }] })).await;
    for id in ["3EB0000000000000000001", "3EB0000000000000000002"] {
        incoming(&native, id).await;
        is_starred(&native, id, false).await;
    }
    native.app.post("/devices/shop/logout", json!({})).await.ok();
    native.app.wait_for_state("shop", "logged_out").await;
    let account = native.testbed.world().directory.get_or_create(ME).unwrap();
    let meanwhile = [
        // This message arrives after its star.
        PhoneAction::Star(of_anna("3EB0000000000000000003"), true),
        PhoneAction::Star(of_anna("3EB0000000000000000001"), true),
        PhoneAction::DeleteForMe(of_anna("3EB0000000000000000002")),
        PhoneAction::Pin(Jid::pn(ANNA), true),
    ];
    app_state::write(&account, &meanwhile).unwrap();
    native.app.post("/devices/shop/start", json!({})).await.ok();
    native.app.wait_for_state("shop", "qr").await;
    native.app.post("/simulator/shop/scan", json!({ "phoneNumber": ME })).await.ok();
    native.app.wait_for_state("shop", "ready").await;
    becomes(&native, ANNA, "pinned", true).await;
    is_starred(&native, "3EB0000000000000000001", true).await;
    let deleted = format!("/devices/shop/messages/false_{ANNA}@c.us_3EB0000000000000000002");
    native
        .app
        .wait_until("the message to be deleted", async || {
            (native.app.get(&deleted).await.status == 404).then_some(())
        })
        .await;
    incoming(&native, "3EB0000000000000000003").await;
    is_starred(&native, "3EB0000000000000000003", true).await;

    let live = [PhoneAction::Star(of_anna("3EB0000000000000000001"), false)];
    app_state::apply_on_phone(&account, &live).await.unwrap();
    is_starred(&native, "3EB0000000000000000001", false).await;
    let starred = native.app.logged("shop", "message:starred").await;
    assert_eq!(starred.len(), 1, "{starred:?}");
    assert_eq!(starred[0]["isStarred"], false);
    let deletions = native.app.logged("shop", "message:deleted").await;
    assert_eq!(deletions, Vec::<Value>::new());
    native.stop().await;
}
