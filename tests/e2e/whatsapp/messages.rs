//! Messages both ways.

use serde_json::json;

use super::Native;
use crate::support::ANNA;

const CREW: &str = "120363000000000077@g.us";

#[tokio::test]
async fn a_message_goes_out_once_and_its_receipts_come_back() {
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
async fn a_message_comes_in_and_is_there_when_the_network_hears_that_it_was_taken() {
    let native = Native::start().await;
    native.device("shop", json!({})).await;
    let id = native.app.incoming("shop", ANNA, "is the shop open?").await;
    let message = native.app.get(&format!("/devices/shop/messages/{id}")).await.ok();
    assert_eq!(message["data"]["body"], "is the shop open?");
    native.stop().await;
}

#[tokio::test]
async fn a_message_to_a_number_that_is_nobodys_fails_with_its_reason() {
    let native = Native::start().await;
    native.device("shop", json!({})).await;
    let id = native.app.send("shop", "15550190001", "anybody?").await;
    native.app.wait_for_status("shop", &id, "failed").await;
    let failed = native.app.logged("shop", "message:status").await;
    assert!(failed.iter().any(|step| step.to_string().contains("not_on_network")), "{failed:?}");
    native.stop().await;
}

#[tokio::test]
async fn a_groups_key_goes_again_with_the_next_message_where_the_network_did_not_take_the_first() {
    let native = Native::start().await;
    let crew = json!({ "id": CREW, "subject": "Crew", "participants": [ANNA] });
    native.device("shop", json!({ "groups": [crew], "ackDeviceMs": 10 })).await;
    // The first message with the key in it is refused, and so is the second, which nobody could have read without.
    native.app.fault("shop", json!({ "kind": "send_permanent" })).await;
    let refused = native.app.send("shop", CREW, "we are closed").await;
    native.app.wait_for_status("shop", &refused, "failed").await;
    native.app.fault("shop", json!({ "kind": "send_transient" })).await;
    let tried_again = native.app.send("shop", CREW, "we are open").await;
    native.app.wait_for_status("shop", &tried_again, "delivered").await;

    let network = native.app.get("/simulator/shop/network").await.ok();
    let network = &network["data"];
    assert_eq!(network["askedAgain"], 0, "somebody could not read it at once: {network}");
    assert_eq!(network["undecryptable"], json!([]), "{network}");
    native.stop().await;
}

#[tokio::test]
async fn an_answer_stands_after_its_question_though_the_network_dates_it_by_the_second() {
    let native = Native::start().await;
    native.device("shop", json!({})).await;
    for round in 1..=3 {
        let id = native.app.send("shop", ANNA, &format!("question {round}")).await;
        native.app.wait_for_status("shop", &id, "sent").await;
        native.app.incoming("shop", ANNA, &format!("answer {round}")).await;
    }
    let page = native.app.get(&format!("/devices/shop/chats/{ANNA}@c.us/messages")).await.ok();
    let bodies: Vec<_> = page["data"].as_array().unwrap().iter().map(|m| m["body"].clone()).collect();
    let told = ["question 1", "answer 1", "question 2", "answer 2", "question 3", "answer 3"];
    assert_eq!(bodies, told);
    native.stop().await;
}
