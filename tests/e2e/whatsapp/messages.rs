//! Messages in both directions.

use serde_json::json;

use super::Native;
use crate::support::ANNA;

const CREW: &str = "120363000000000077@g.us";

#[tokio::test]
async fn message_is_sent_once_and_gets_receipts() {
    let native = Native::start().await;
    native.device("shop", json!({ "ackDeviceMs": 10, "ackReadMs": 30 })).await;
    let id = native.app.send("shop", ANNA, "hello from the shop").await;
    native.app.wait_for_status("shop", &id, "read").await;
    let network = native.app.get("/simulator/shop/network").await.ok();
    let sent = network["data"]["sent"].as_array().unwrap().clone();
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!((&sent[0]["body"], &sent[0]["shown"]), (&json!("hello from the shop"), &json!(1)));
    native.stop().await;
}

#[tokio::test]
async fn acknowledged_message_is_stored() {
    let native = Native::start().await;
    native.device("shop", json!({})).await;
    let id = native.app.incoming("shop", ANNA, "is the shop open?").await;
    let message = native.app.get(&format!("/devices/shop/messages/{id}")).await.ok();
    assert_eq!(message["data"]["body"], "is the shop open?");
    native.stop().await;
}

#[tokio::test]
async fn message_to_unregistered_number_fails() {
    let native = Native::start().await;
    native.device("shop", json!({})).await;
    let id = native.app.send("shop", "15550190001", "anybody?").await;
    native.app.wait_for_status("shop", &id, "failed").await;
    let failed = native.app.logged("shop", "message:status").await;
    assert!(failed.iter().any(|step| step.to_string().contains("not_on_network")), "{failed:?}");
    native.stop().await;
}

#[tokio::test]
async fn refused_group_message_resends_key_with_next() {
    let native = Native::start().await;
    let crew = json!({ "id": CREW, "subject": "Crew", "participants": [ANNA] });
    native.device("shop", json!({ "groups": [crew], "ackDeviceMs": 10 })).await;
    // The first message carries the key and is refused; so is the second, which members could not decrypt
    // without it.
    native.app.fault("shop", json!({ "kind": "send_permanent" })).await;
    let refused = native.app.send("shop", CREW, "we are closed").await;
    native.app.wait_for_status("shop", &refused, "failed").await;
    native.app.fault("shop", json!({ "kind": "send_transient" })).await;
    let tried_again = native.app.send("shop", CREW, "we are open").await;
    native.app.wait_for_status("shop", &tried_again, "delivered").await;

    let network = native.app.get("/simulator/shop/network").await.ok();
    let network = &network["data"];
    assert_eq!(network["askedAgain"], 0, "a member could not decrypt it at once: {network}");
    assert_eq!(network["undecryptable"], json!([]), "{network}");
    native.stop().await;
}

#[tokio::test]
async fn answers_follow_questions_within_one_second() {
    let native = Native::start().await;
    native.device("shop", json!({})).await;
    for round in 1..=3 {
        let id = native.app.send("shop", ANNA, &format!("question {round}")).await;
        native.app.wait_for_status("shop", &id, "sent").await;
        native.app.incoming("shop", ANNA, &format!("answer {round}")).await;
    }
    let page = native.app.get(&format!("/devices/shop/chats/{ANNA}@c.us/messages")).await.ok();
    let bodies: Vec<_> = page["data"].as_array().unwrap().iter().map(|m| m["body"].clone()).collect();
    let expected = ["question 1", "answer 1", "question 2", "answer 2", "question 3", "answer 3"];
    assert_eq!(bodies, expected);
    native.stop().await;
}
