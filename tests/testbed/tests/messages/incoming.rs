//! What people say to the device.

use serde_json::json;
use wacore::types::events::Event;

use crate::device::Device;
use crate::support::{ANNA, Linkage, ME, of};

#[tokio::test(flavor = "multi_thread")]
async fn a_text_reaches_the_device_and_is_acknowledged() {
    let mut link = Linkage::new().await;
    let body = json!({ "from": ANNA, "body": "hello", "networkId": "3EB001", "notifyName": "Anna" });
    let answer = link.does("incoming", body).await.unwrap();
    assert_eq!(answer["messageId"], format!("false_{ANNA}@c.us_3EB001"));
    let got = link.hears().await;
    assert_eq!((got.text.as_str(), got.sender.as_str()), ("hello", of(ANNA).as_str()));
    assert_eq!(link.network().await["acknowledged"], json!(["3EB001"]));
    link.testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_texts_reach_the_device_in_order() {
    let mut link = Linkage::new().await;
    for at in 0..100 {
        link.does("incoming", json!({ "from": ANNA, "body": format!("number {at}") })).await.unwrap();
    }
    let texts: Vec<String> = link.hears_all(100).await.into_iter().map(|got| got.text).collect();
    let expected: Vec<String> = (0..100).map(|at| format!("number {at}")).collect();
    assert_eq!(texts, expected);
    link.testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_write_in_one_session() {
    let mut link = Linkage::new().await;
    for at in 0..5 {
        link.does("incoming", json!({ "from": ANNA, "body": format!("in {at}") })).await.unwrap();
        assert_eq!(link.hears().await.text, format!("in {at}"));
        link.says(&of(ANNA), &format!("out {at}")).await;
        let seen =
            link.network_when("the answer", |seen| seen["sent"].as_array().unwrap().len() == at + 1).await;
        assert_eq!(seen["sent"][at]["body"], format!("out {at}"));
        assert_eq!(seen["undecryptable"], json!([]));
    }
    link.testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_while_the_device_was_off_comes_when_it_is_back() {
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
            // Nobody acknowledges it yet.
            let _ = tokio::time::timeout(std::time::Duration::from_millis(100), asked).await;
        }
    };
    waits.await;
    let Linkage { testbed, device, kept, linked } = link;
    device.stop().await;
    let device = Device::start(&testbed, &kept).await;
    let mut link = Linkage { testbed, device, kept, linked };
    let late = link.hears_all(3).await;
    let texts: Vec<&str> = late.iter().map(|got| got.text.as_str()).collect();
    assert_eq!(texts, ["late 0", "late 1", "late 2"]);
    assert!(late.iter().all(|got| got.offline), "they waited in the network");
    let all = json!(["LATE0", "LATE1", "LATE2"]);
    link.network_when("their acknowledgement", |seen| seen["acknowledged"] == all).await;
    link.testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_opened_is_asked_for_again_and_sealed_anew() {
    let mut link = Linkage::new().await;
    link.does("incoming", json!({ "from": ANNA, "body": "first" })).await.unwrap();
    assert_eq!(link.hears().await.text, "first");
    link.does("fault", json!({ "kind": "garble_incoming" })).await.unwrap();
    link.does("incoming", json!({ "from": ANNA, "body": "second", "networkId": "GARBLED" })).await.unwrap();
    let got = link.hears().await;
    assert_eq!((got.text.as_str(), got.id.as_str()), ("second", "GARBLED"));
    link.does("incoming", json!({ "from": ANNA, "body": "third" })).await.unwrap();
    assert_eq!(link.hears().await.text, "third");
    link.testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_twice_is_acknowledged_twice() {
    let mut link = Linkage::new().await;
    link.does("fault", json!({ "kind": "duplicate_incoming" })).await.unwrap();
    link.does("incoming", json!({ "from": ANNA, "body": "again", "networkId": "TWICE" })).await.unwrap();
    let both = link.hears_all(2).await;
    assert!(both.iter().all(|got| got.id == "TWICE" && got.text == "again"), "{both:?}");
    assert_eq!(link.network().await["acknowledged"], json!(["TWICE"]));
    link.testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_account_writes_on_its_phone_reaches_the_device() {
    let mut link = Linkage::new().await;
    let body = json!({ "from": ANNA, "fromMe": true, "body": "from my phone", "networkId": "OWN" });
    let answer = link.does("incoming", body).await.unwrap();
    assert_eq!(answer["messageId"], format!("true_{ANNA}@c.us_OWN"));
    let got = link.hears().await;
    assert_eq!((got.text.as_str(), got.chat), ("from my phone", of(ANNA)));
    link.testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_may_be_known_by_their_hidden_id_alone() {
    let mut link = Linkage::new().await;
    let lid = link.testbed.world().directory.get_or_create(ANNA).unwrap().lid.clone();
    let answer = link.does("incoming", json!({ "from": format!("{lid}@lid"), "body": "who am I?" })).await;
    assert!(answer.unwrap()["messageId"].as_str().unwrap().starts_with(&format!("false_{lid}@lid_")));
    let got = link.hears().await;
    assert_eq!(got.chat, format!("{lid}@lid"));
    link.says(&got.chat, "I do not know").await;
    let seen = link.network_when("the answer", |seen| seen["sent"][0]["shown"] == 1).await;
    assert_eq!(seen["sent"][0]["to"], format!("{lid}@lid"));
    let body = json!({ "from": ANNA, "body": "it is me", "naming": "lid" });
    link.does("incoming", body).await.unwrap();
    assert_eq!(link.hears().await.text, "it is me");
    link.says(&of(ANNA), "I see").await;
    let seen = link.network_when("the next", |seen| seen["sent"][1]["shown"] == 1).await;
    assert_eq!(seen["sent"][1]["to"], format!("{ANNA}@c.us"));
    link.testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_messages_reach_the_device_and_come_from_it() {
    let mut link = Linkage::new().await;
    let answer = link.does("incoming", json!({ "from": ANNA, "body": "hello", "networkId": "M1" })).await;
    let id = answer.unwrap()["messageId"].clone();
    link.hears().await;
    for (verb, body) in [
        ("reaction", json!({ "messageId": id, "from": ANNA, "emoji": "👍" })),
        ("edit", json!({ "messageId": id, "body": "hello again" })),
        ("revoke", json!({ "messageId": id })),
    ] {
        link.does(verb, body).await.unwrap();
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
    let sent = link.says(&of(ANNA), "mine").await;
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
async fn a_wrong_call_is_refused_with_the_field_that_is_wrong() {
    let link = Linkage::new().await;
    for body in
        [json!({ "body": "x" }), json!({ "from": "no", "body": "x" }), json!({ "from": ANNA, "what": 1 })]
    {
        assert_eq!(link.does("incoming", body).await.unwrap_err(), "invalid_field");
    }
    assert_eq!(link.does("unheard_of", json!({})).await.unwrap_err(), "not_found");
    link.testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_comes_with_what_is_needed_to_open_it() {
    let mut link = Linkage::new().await;
    let media = json!({ "sizeBytes": 5_000, "mimetype": "image/png", "caption": "look" });
    link.does("incoming", json!({ "from": ANNA, "media": media })).await.unwrap();
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
async fn an_answer_quotes_what_was_said() {
    let mut link = Linkage::new().await;
    link.does("incoming", json!({ "from": ANNA, "body": "what?", "networkId": "Q1" })).await.unwrap();
    link.hears().await;
    let body = json!({ "from": ANNA, "body": "that", "quotedNetworkId": "Q1", "mentions": [ME] });
    link.does("incoming", body).await.unwrap();
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
