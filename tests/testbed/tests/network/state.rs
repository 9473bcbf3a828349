//! The app state that an account's devices share.

use serde_json::json;
use testbed::phone::app_state::PhoneAction;
use testbed::server::app_state::apply_on_phone;
use wacore::types::events::Event;
use wacore_binary::Jid;

use crate::device::{Device, until};
use crate::{PHONE, account, testbed};

const ANNE: &str = "15550110001";

#[tokio::test(flavor = "multi_thread")]
async fn pin_on_phone_reaches_device() {
    let testbed = testbed().await;
    let account = account(&testbed, PHONE, &json!({}));
    let mut device = Device::linked(&testbed, &account).await;
    for on in [true, false] {
        apply_on_phone(&account, &[PhoneAction::Pin(Jid::pn(ANNE), on)]).await.unwrap();
        let pinned = device.next("pin", |event| pinned(event, ANNE)).await;
        assert_eq!(pinned, on);
    }
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pin_by_device_reaches_phone_and_devices() {
    let testbed = testbed().await;
    let account = account(&testbed, PHONE, &json!({}));
    let one = Device::linked(&testbed, &account).await;
    let mut two = Device::linked(&testbed, &account).await;
    one.client().chat_actions().pin_chat(&Jid::pn(ANNE)).await.unwrap();
    two.next("pin", |event| pinned(event, ANNE)).await;
    let mut done = account.lock().network_view.view()["changes"][0].clone();
    done.as_object_mut().unwrap().remove("at");
    assert_eq!(done, json!({ "kind": "pin", "chat": "15550110001@c.us", "on": true }));
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn late_patch_is_rebuilt_on_newer_version() {
    let testbed = testbed().await;
    let account = account(&testbed, PHONE, &json!({}));
    let device = Device::linked(&testbed, &account).await;
    // Not announced to the device, so its next patch is built on an older version.
    testbed::server::app_state::write(&account, &[PhoneAction::Pin(Jid::pn(ANNE), true)]).unwrap();
    device.client().chat_actions().archive_chat(&Jid::pn(ANNE), None).await.unwrap();
    until("both patches to be applied", || account.lock().collections["regular_low"].version() == 2).await;
    assert_eq!(account.lock().collections["regular_low"].record_count(), 2);
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn late_device_gets_snapshot() {
    let testbed = testbed().await;
    let account = account(&testbed, PHONE, &json!({}));
    for at in 0..20 {
        let chat = Jid::pn(format!("155501100{at:02}"));
        apply_on_phone(&account, &[PhoneAction::Pin(chat, true)]).await.unwrap();
    }
    let before = testbed.world().media.len();
    let mut device = Device::linked(&testbed, &account).await;
    device.next("last pin", |event| pinned(event, "15550110019")).await;
    assert_eq!(testbed.world().media.len(), before + 1, "the snapshot lies in the media store");
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_have_address_book_names() {
    let testbed = testbed().await;
    let account = account(&testbed, PHONE, &json!({ "contacts": 2 }));
    let mut device = Device::linked(&testbed, &account).await;
    let name = device
        .next("contact", |event| match event {
            Event::ContactUpdate(contact) if contact.jid.user == ANNE => contact.action.full_name.clone(),
            _ => None,
        })
        .await;
    assert_eq!(name, "Contact 1");
    testbed.stop().await;
}

fn pinned(event: &Event, number: &str) -> Option<bool> {
    match event {
        Event::PinUpdate(pin) if pin.jid.user == number => pin.action.pinned,
        _ => None,
    }
}
