//! Messages in groups.

use serde_json::json;
use wacore::types::presence::ReceiptType;

use crate::support::{ANNA, BEN, GROUP, Linkage, of};

#[tokio::test(flavor = "multi_thread")]
async fn group_members_reuse_their_chains() {
    let mut link = Linkage::new().await;
    for (who, text) in [(ANNA, "one"), (BEN, "two"), (ANNA, "three"), (BEN, "four")] {
        let body = json!({ "from": who, "groupId": GROUP, "body": text, "networkId": format!("ID{text}") });
        let answer = link.call_verb("incoming", body).await.unwrap();
        assert_eq!(answer["messageId"], format!("false_{GROUP}_ID{text}_{who}@c.us"));
        let got = link.receive().await;
        assert_eq!((got.text.as_str(), got.chat.as_str(), got.sender), (text, GROUP, of(who)));
    }
    link.testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn group_message_is_decrypted_by_all_members() {
    let mut link = Linkage::with(json!({
        "groups": [{ "id": GROUP, "subject": "Two", "participants": [ANNA, BEN] }],
    }))
    .await;
    for who in [ANNA, BEN] {
        let body = json!({ "from": who, "groupId": GROUP, "body": "hello" });
        link.call_verb("incoming", body).await.unwrap();
        link.receive().await;
    }
    for (at, text) in ["to all", "and again"].into_iter().enumerate() {
        link.send(GROUP, text).await;
        let seen = link.network_when("both members", |seen| seen["sent"][at]["shownTo"] == 2).await;
        assert_eq!((&seen["sent"][at]["body"], &seen["sent"][at]["to"]), (&json!(text), &json!(GROUP)));
        assert_eq!(seen["undecryptable"], json!([]));
    }
    let mut members = [
        link.next_receipt_of(&ReceiptType::Delivered).await,
        link.next_receipt_of(&ReceiptType::Delivered).await,
    ]
    .map(|receipt| receipt.source.sender.to_string());
    members.sort();
    assert_eq!(members, [of(ANNA), of(BEN)]);
    link.testbed.stop().await;
}
