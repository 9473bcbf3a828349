//! Messages that the device receives.

use serde_json::{Value, json};
use wacore::types::events::Event;

use crate::device::Device;
use crate::support::{ANNA, Linkage, ME, of};

#[tokio::test(flavor = "multi_thread")]
async fn text_is_received_and_acknowledged() {
    let mut link = Linkage::new().await;
    let body = json!({ "from": ANNA, "body": "hello", "networkId": "3EB001", "notifyName": "Anna" });
    let answer = link.call_verb("incoming", body).await.unwrap();
    assert_eq!(answer["messageId"], format!("false_{ANNA}@c.us_3EB001"));
    let got = link.receive().await;
    assert_eq!((got.text.as_str(), got.sender.as_str()), ("hello", of(ANNA).as_str()));
    assert_eq!(link.network().await["acknowledged"], json!(["3EB001"]));
    link.testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hundred_received_texts_keep_order() {
    let mut link = Linkage::new().await;
    for at in 0..100 {
        link.call_verb("incoming", json!({ "from": ANNA, "body": format!("number {at}") })).await.unwrap();
    }
    let texts: Vec<String> = link.receive_all(100).await.into_iter().map(|got| got.text).collect();
    let expected: Vec<String> = (0..100).map(|at| format!("number {at}")).collect();
    assert_eq!(texts, expected);
    link.testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_share_one_session() {
    let mut link = Linkage::new().await;
    for at in 0..5 {
        link.call_verb("incoming", json!({ "from": ANNA, "body": format!("in {at}") })).await.unwrap();
        assert_eq!(link.receive().await.text, format!("in {at}"));
        link.send(&of(ANNA), &format!("out {at}")).await;
        let seen =
            link.network_when("the answer", |seen| seen["sent"].as_array().unwrap().len() == at + 1).await;
        assert_eq!(seen["sent"][at]["body"], format!("out {at}"));
        assert_eq!(seen["undecryptable"], json!([]));
    }
    link.testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn offline_messages_arrive_after_reconnect() {
    let link = Linkage::new().await;
    let Linkage { testbed, device, kept, linked } = link;
    device.stop().await;
    let account = testbed.world().directory.find(ME).unwrap();
    crate::device::until("the device is off", || account.link(linked.device).is_none()).await;
    let link =
        Linkage { device: Device::start(&testbed, &crate::device::storage()).await, testbed, kept, linked };
    let waits = async {
        for at in 0..3 {
            let body =
                json!({ "from": ANNA, "body": format!("late {at}"), "networkId": format!("LATE{at}") });
            let (testbed, path) = (&link.testbed, format!("/control/accounts/{ME}/incoming"));
            let asked = crate::support::post(testbed, &path, &body);
            // The device does not acknowledge yet.
            let _ = tokio::time::timeout(std::time::Duration::from_millis(100), asked).await;
        }
    };
    waits.await;
    let Linkage { testbed, device, kept, linked } = link;
    device.stop().await;
    let device = Device::start(&testbed, &kept).await;
    let mut link = Linkage { testbed, device, kept, linked };
    let late = link.receive_all(3).await;
    // The library commits messages in batches until the backlog ends, and one by one afterwards; the last
    // batch and the first single message may change places (`whatsapp-rust` 0.7, `message/commit_batch.rs`).
    let mut texts: Vec<&str> = late.iter().map(|got| got.text.as_str()).collect();
    texts.sort_unstable();
    assert_eq!(texts, ["late 0", "late 1", "late 2"]);
    assert!(late.iter().all(|got| got.offline), "they waited in the network");
    let is_acknowledged = |seen: &Value, id| seen["acknowledged"].as_array().unwrap().contains(&json!(id));
    link.network_when("their acknowledgement", |seen| {
        ["LATE0", "LATE1", "LATE2"].iter().all(|id| is_acknowledged(seen, id))
    })
    .await;
    link.testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn undecryptable_message_is_requested_again() {
    let mut link = Linkage::new().await;
    link.call_verb("incoming", json!({ "from": ANNA, "body": "first" })).await.unwrap();
    assert_eq!(link.receive().await.text, "first");
    link.call_verb("fault", json!({ "kind": "garble_incoming" })).await.unwrap();
    link.call_verb("incoming", json!({ "from": ANNA, "body": "second", "networkId": "GARBLED" }))
        .await
        .unwrap();
    let got = link.receive().await;
    assert_eq!((got.text.as_str(), got.id.as_str()), ("second", "GARBLED"));
    link.call_verb("incoming", json!({ "from": ANNA, "body": "third" })).await.unwrap();
    assert_eq!(link.receive().await.text, "third");
    link.testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicate_message_is_acknowledged_twice() {
    let mut link = Linkage::new().await;
    link.call_verb("fault", json!({ "kind": "duplicate_incoming" })).await.unwrap();
    link.call_verb("incoming", json!({ "from": ANNA, "body": "again", "networkId": "TWICE" })).await.unwrap();
    let both = link.receive_all(2).await;
    assert!(both.iter().all(|got| got.id == "TWICE" && got.text == "again"), "{both:?}");
    assert_eq!(link.network().await["acknowledged"], json!(["TWICE"]));
    link.testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn message_written_on_phone_reaches_device() {
    let mut link = Linkage::new().await;
    let body = json!({ "from": ANNA, "fromMe": true, "body": "from my phone", "networkId": "OWN" });
    let answer = link.call_verb("incoming", body).await.unwrap();
    assert_eq!(answer["messageId"], format!("true_{ANNA}@c.us_OWN"));
    let got = link.receive().await;
    assert_eq!((got.text.as_str(), got.chat), ("from my phone", of(ANNA)));
    link.testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn person_may_have_hidden_id_only() {
    let mut link = Linkage::new().await;
    let lid = link.testbed.world().directory.get_or_create(ANNA).unwrap().lid.clone();
    let answer =
        link.call_verb("incoming", json!({ "from": format!("{lid}@lid"), "body": "who am I?" })).await;
    assert!(answer.unwrap()["messageId"].as_str().unwrap().starts_with(&format!("false_{lid}@lid_")));
    let got = link.receive().await;
    assert_eq!(got.chat, format!("{lid}@lid"));
    link.send(&got.chat, "I do not know").await;
    let seen = link.network_when("the answer", |seen| seen["sent"][0]["shown"] == 1).await;
    assert_eq!(seen["sent"][0]["to"], format!("{lid}@lid"));
    let body = json!({ "from": ANNA, "body": "it is me", "naming": "lid" });
    link.call_verb("incoming", body).await.unwrap();
    assert_eq!(link.receive().await.text, "it is me");
    link.send(&of(ANNA), "I see").await;
    let seen = link.network_when("the next", |seen| seen["sent"][1]["shown"] == 1).await;
    assert_eq!(seen["sent"][1]["to"], format!("{ANNA}@c.us"));
    link.testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn message_changes_work_in_both_directions() {
    let mut link = Linkage::new().await;
    let answer =
        link.call_verb("incoming", json!({ "from": ANNA, "body": "hello", "networkId": "M1" })).await;
    let id = answer.unwrap()["messageId"].clone();
    link.receive().await;
    for (verb, body) in [
        ("reaction", json!({ "messageId": id, "from": ANNA, "emoji": "👍" })),
        ("edit", json!({ "messageId": id, "body": "hello again" })),
        ("revoke", json!({ "messageId": id })),
    ] {
        link.call_verb(verb, body).await.unwrap();
        let same = link
            .device
            .next("change", |event| match event {
                Event::Messages(batch) => batch.iter().find_map(|one| {
                    let message = &one.message;
                    let reaction = message.reaction_message.as_option().and_then(|it| it.key.as_option());
                    let change = message.protocol_message.as_option().and_then(|it| it.key.as_option());
                    reaction.or(change).map(|key| key.id.clone())
                }),
                _ => None,
            })
            .await;
        assert_eq!(same.as_deref(), Some("M1"), "{verb}");
    }
    let sent = link.send(&of(ANNA), "mine").await;
    let to: wacore_binary::Jid = of(ANNA).parse().unwrap();
    let kind = whatsapp_rust::RevokeType::Sender;
    link.device.client().revoke_message(to, sent.clone(), kind).await.unwrap();
    let seen = link.network_when("the change", |seen| seen["changes"][0].is_object()).await;
    assert_eq!(seen["changes"][0]["kind"], "revoke");
    assert_eq!(seen["changes"][0]["messageId"], format!("true_{ANNA}@c.us_{sent}"));
    assert_eq!(seen["sent"].as_array().unwrap().len(), 1, "a change is no message");
    link.testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_call_names_its_field() {
    let link = Linkage::new().await;
    for body in
        [json!({ "body": "x" }), json!({ "from": "no", "body": "x" }), json!({ "from": ANNA, "what": 1 })]
    {
        assert_eq!(link.call_verb("incoming", body).await.unwrap_err(), "invalid_field");
    }
    assert_eq!(link.call_verb("unheard_of", json!({})).await.unwrap_err(), "not_found");
    link.testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn file_message_has_decryption_key() {
    let mut link = Linkage::new().await;
    let media = json!({ "sizeBytes": 5_000, "mimetype": "image/png", "caption": "look" });
    link.call_verb("incoming", json!({ "from": ANNA, "media": media })).await.unwrap();
    let picture = link
        .device
        .next("picture", |event| match event {
            Event::Messages(batch) => {
                batch.iter().find_map(|one| one.message.image_message.as_option().cloned())
            }
            _ => None,
        })
        .await;
    assert_eq!((picture.caption.as_deref(), picture.file_length), (Some("look"), Some(5_000)));
    let sealed = testbed::media::cipher::Sealed {
        direct_path: picture.direct_path.unwrap(),
        media_key: picture.media_key.unwrap(),
        file_sha256: picture.file_sha256.unwrap(),
        file_enc_sha256: picture.file_enc_sha256.unwrap(),
        file_length: 5_000,
    };
    let kind = wacore::download::MediaType::Image;
    let bytes = testbed::media::cipher::open(&link.testbed.world().media, &sealed, kind).unwrap();
    assert!(bytes.starts_with(b"\x89PNG"));
    link.testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reply_quotes_message() {
    let mut link = Linkage::new().await;
    link.call_verb("incoming", json!({ "from": ANNA, "body": "what?", "networkId": "Q1" })).await.unwrap();
    link.receive().await;
    let body = json!({ "from": ANNA, "body": "that", "quotedNetworkId": "Q1", "mentions": [ME] });
    link.call_verb("incoming", body).await.unwrap();
    let context = link
        .device
        .next("quote", |event| match event {
            Event::Messages(batch) => batch.iter().find_map(|one| {
                one.message.extended_text_message.as_option()?.context_info.as_option().cloned()
            }),
            _ => None,
        })
        .await;
    assert_eq!((context.stanza_id.as_deref(), context.participant), (Some("Q1"), Some(of(ANNA))));
    let quoted = context.quoted_message.as_option().and_then(|quoted| quoted.conversation.as_deref());
    assert_eq!((quoted, context.mentioned_jid), (Some("what?"), vec![of(ME)]));
    link.testbed.stop().await;
}
