//! The app state that an account's devices share, from before and after the link.

use serde_json::{Value, json};
use testbed::phone::app_state::PhoneAction;
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
