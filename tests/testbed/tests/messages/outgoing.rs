//! Messages that the device sends, and their receipts.

use serde_json::{Value, json};
use wacore::types::events::Event;
use wacore::types::presence::ReceiptType;

use crate::support::{ANNA, BEN, Linkage, of};

fn sent(seen: &Value) -> &[Value] {
    seen["sent"].as_array().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn sent_text_is_decrypted_and_shown_once() {
    let link = Linkage::new().await;
    let id = link.send(&of(ANNA), "hello").await;
    let seen = link.network_when("a message", |seen| seen["sent"][0]["onOwnPhone"] == true).await;
    let message = &sent(&seen)[0];
    assert_eq!(message["networkId"], id);
    assert_eq!(message["to"], format!("{ANNA}@c.us"));
    assert_eq!((&message["body"], &message["type"]), (&json!("hello"), &json!("chat")));
    assert_eq!((&message["arrivals"], &message["shown"]), (&json!(1), &json!(1)));
    assert_eq!(seen["undecryptable"], json!([]));
    link.testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hundred_sent_texts_keep_order() {
    let link = Linkage::new().await;
    for at in 0..100 {
        link.send(&of(ANNA), &format!("number {at}")).await;
    }
    let seen = link.network_when("a hundred messages", |seen| sent(seen).len() == 100).await;
    let bodies: Vec<&str> = sent(&seen).iter().map(|message| message["body"].as_str().unwrap()).collect();
    let expected: Vec<String> = (0..100).map(|at| format!("number {at}")).collect();
    assert_eq!(bodies, expected);
    assert_eq!(seen["undecryptable"], json!([]));
    link.testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sent_message_is_acked_delivered_and_read() {
    let mut link = Linkage::with(json!({ "ackServerMs": 0, "ackDeviceMs": 30, "ackReadMs": 90 })).await;
    let id = link.send(&of(ANNA), "hello").await;
    let (acked, error) = link
        .device
        .next("ack", |event| match event {
            Event::ServerAck(ack) if ack.class.as_deref() == Some("message") => {
                Some((ack.id.clone(), ack.error.clone()))
            }
            _ => None,
        })
        .await;
    assert_eq!((acked, error), (id.clone(), None));
    for kind in [ReceiptType::Delivered, ReceiptType::Read] {
        let receipt = link.next_receipt().await;
        assert_eq!((receipt.r#type, receipt.message_ids), (kind, vec![id.clone()]));
    }
    link.testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_can_arrive_in_any_order() {
    let mut link =
        Linkage::with(json!({ "ackServerMs": null, "ackDeviceMs": null, "ackReadMs": null })).await;
    let id = link.send(&of(ANNA), "hello").await;
    let message_id = format!("true_{ANNA}@c.us_{id}");
    let kinds = [(4, ReceiptType::Played), (3, ReceiptType::Read), (2, ReceiptType::Delivered)];
    for (ack, kind) in kinds {
        link.call_verb("receipt", json!({ "messageId": message_id, "ack": ack })).await.unwrap();
        assert_eq!(link.next_receipt().await.r#type, kind);
    }
    link.call_verb("receipt", json!({ "messageId": message_id, "ack": 1 })).await.unwrap();
    link.device.next("ack", |event| matches!(event, Event::ServerAck(_)).then_some(())).await;
    link.testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_message_has_code_and_is_not_shown() {
    let mut link = Linkage::new().await;
    link.call_verb("fault", json!({ "kind": "send_permanent", "value": 463 })).await.unwrap();
    let id = link.send(&of(ANNA), "to a stranger").await;
    let (acked, error) = link
        .device
        .next("refusal", |event| match event {
            Event::ServerAck(ack) if ack.error.is_some() => Some((ack.id.clone(), ack.error.clone())),
            _ => None,
        })
        .await;
    assert_eq!((acked, error.as_deref()), (id, Some("463")));
    assert_eq!(link.network().await["sent"], json!([]));
    link.testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicate_id_is_shown_once() {
    let mut link = Linkage::new().await;
    let options = || whatsapp_rust::SendOptions::default().with_message_id("3EB0AAAA");
    let text = || waproto::whatsapp::Message { conversation: Some("once".to_owned()), ..Default::default() };
    let to: wacore_binary::Jid = of(ANNA).parse().unwrap();
    for _ in 0..2 {
        link.device.client().send_message_with_options(to.clone(), text(), options()).await.unwrap();
    }
    let seen = link.network_when("both copies", |seen| seen["sent"][0]["arrivals"] == 2).await;
    assert_eq!((sent(&seen).len(), &seen["sent"][0]["shown"]), (1, &json!(1)));
    link.next_receipt_of(&ReceiptType::Delivered).await;
    link.testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn message_before_link_end_arrives() {
    let link = Linkage::new().await;
    link.call_verb("fault", json!({ "kind": "send_unknown" })).await.unwrap();
    link.send(&of(ANNA), "did it arrive?").await;
    let seen = link.network_when("the message", |seen| seen["sent"][0]["shown"] == 1).await;
    assert_eq!(seen["sent"][0]["body"], "did it arrive?");
    link.device.online(&link.testbed, &link.linked).await;
    link.testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_echo_messages() {
    let mut link = Linkage::with(json!({ "echo": true, "ackReadMs": 20 })).await;
    link.send(&of(BEN), "ping").await;
    let answer = link.receive().await;
    assert_eq!((answer.text.as_str(), answer.sender), ("echo: ping", of(BEN)));
    link.testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_accounts_exchange_messages() {
    let link = Linkage::new().await;
    let kept = crate::device::storage();
    let (mut anna, _) = crate::device::Device::linked(&link.testbed, &kept, ANNA).await;
    link.send(&of(ANNA), "are you there?").await;
    let text = anna
        .next("message", |event| match event {
            Event::Messages(batch) => batch.iter().find_map(|one| one.message.conversation.clone()),
            _ => None,
        })
        .await;
    assert_eq!(text, "are you there?");
    link.testbed.stop().await;
}
