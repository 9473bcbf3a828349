//! Contacts: registration, ids, pictures, presence and typing.

use serde_json::json;
use testbed::server::presence::{self, Presence};
use wacore::types::events::Event;
use wacore_binary::Jid;

use crate::device::{Device, until};
use crate::{PHONE, account, testbed};

const ANNE: &str = "15550110001";
const BEN: &str = "15550110002";
const UNREGISTERED: &str = "15550190001";

#[tokio::test(flavor = "multi_thread")]
async fn registered_numbers_have_lids() {
    let testbed = testbed().await;
    let account = account(&testbed, PHONE, &json!({}));
    let device = Device::linked(&testbed, &account).await;
    let client = device.client();
    let found = client.contacts().is_on_whatsapp(&[Jid::pn(ANNE), Jid::pn(UNREGISTERED)]).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|found| (found.jid, found.is_registered, found.lid)).collect();
    let lid = testbed.world().directory.get_or_create(ANNE).unwrap().lid_jid(0);
    assert_eq!(found, [(Jid::pn(ANNE), true, Some(lid.clone())), (Jid::pn(UNREGISTERED), false, None)]);
    let by_lid = client.contacts().is_on_whatsapp(&[lid]).await.unwrap();
    assert_eq!((by_lid[0].is_registered, by_lid[0].pn_jid.clone()), (true, Some(Jid::pn(ANNE))));
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_number_is_omitted_until_revealed() {
    let testbed = testbed().await;
    let account = account(&testbed, PHONE, &json!({ "contacts": [{ "number": ANNE, "lidOnly": true }] }));
    let device = Device::linked(&testbed, &account).await;
    let client = device.client();
    let lid = testbed.world().directory.get_or_create(ANNE).unwrap().lid_jid(0);
    let hidden = client.contacts().is_on_whatsapp(std::slice::from_ref(&lid)).await.unwrap();
    assert_eq!((hidden[0].is_registered, hidden[0].pn_jid.clone()), (true, None));
    account.lock().hidden_numbers.remove(ANNE);
    let revealed = client.contacts().is_on_whatsapp(&[lid]).await.unwrap();
    assert_eq!(revealed[0].pn_jid, Some(Jid::pn(ANNE)));
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_come_from_settings() {
    let testbed = testbed().await;
    let picture = "http://127.0.0.1:9/anne.jpg";
    let account = account(&testbed, PHONE, &json!({ "contacts": [{ "number": ANNE, "picture": picture }] }));
    let device = Device::linked(&testbed, &account).await;
    let client = device.client();
    let found = client.contacts().get_profile_picture(&Jid::pn(ANNE), false).await.unwrap();
    assert_eq!(found.map(|found| found.url).as_deref(), Some(picture));
    assert!(client.contacts().get_profile_picture(&Jid::pn(BEN), false).await.unwrap().is_none());
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn presence_and_typing_work_in_both_directions() {
    let testbed = testbed().await;
    let me = account(&testbed, PHONE, &json!({}));
    let anne = testbed.world().directory.get_or_create(ANNE).unwrap();
    let mut device = Device::linked(&testbed, &me).await;
    let client = device.client();
    presence::send_presence(&me, &anne, Presence { online: false, last_seen: Some(1_700_000_000) }).await;
    device.next("last seen", seen(false)).await;
    client.presence().subscribe(Jid::pn(ANNE)).await.unwrap();
    device.next("last seen again", seen(false)).await;
    assert!(me.lock().presence.watched.contains(ANNE));
    presence::send_presence(&me, &anne, Presence { online: true, last_seen: None }).await;
    device.next("presence", seen(true)).await;
    presence::send_typing(&me, &anne, None, true, true).await;
    let state = device
        .next("chat state", |event| match event {
            Event::ChatPresence(typed) => Some(typed.source.sender.to_string()),
            _ => None,
        })
        .await;
    assert_eq!(state, format!("{ANNE}@s.whatsapp.net"));
    client.chatstate().send_composing(&Jid::pn(BEN)).await.unwrap();
    client.chatstate().send_paused(&Jid::pn(BEN)).await.unwrap();
    let typed = || me.lock().network_view.view()["typing"].as_array().cloned().unwrap_or_default();
    until("it typed and stopped", || typed().len() == 2).await;
    let typed: Vec<_> = typed().iter().map(|typed| (typed["to"].clone(), typed["on"].clone())).collect();
    let ben = json!(format!("{BEN}@c.us"));
    assert_eq!(typed, [(ben.clone(), json!(true)), (ben, json!(false))]);
    testbed.stop().await;
}

fn seen(online: bool) -> impl FnMut(&Event) -> Option<()> {
    move |event| match event {
        Event::Presence(seen) if seen.unavailable != online => Some(()),
        _ => None,
    }
}
