//! Rejected messages, and unknown outcomes.

use serde_json::{Value, json};

use super::{Cloud, status};
use crate::support::ANNA;
use crate::upstream::cloud_api::GraphFault;

async fn failed_with(cloud: &Cloud, status: u16, code: i64) -> Value {
    cloud.number().fail(GraphFault::Refuse(status, code, None), 1);
    let id = cloud.app.send("shop", ANNA, "hello").await;
    cloud.app.wait_for_status("shop", &id, "failed").await;
    cloud.app.logged("shop", "message:status").await.pop().unwrap()
}

#[tokio::test]
async fn each_rejection_has_its_code_and_metas_number() {
    let cloud = Cloud::start().await;
    for (number, code) in [
        (131_047, "window_closed"),
        (131_026, "undeliverable"),
        (131_051, "not_supported_by_engine"),
        (131_009, "message_invalid"),
        (131_030, "not_allowed"),
        (133_010, "not_registered"),
        (999_999, "refused_by_network"),
    ] {
        let step = failed_with(&cloud, 400, number).await;
        assert_eq!(step["code"], code, "{step}");
        assert!(step["error"].as_str().unwrap().contains(&number.to_string()), "{step}");
    }
    assert!(failed_with(&cloud, 400, 131_047).await["error"].as_str().unwrap().contains("24 hours"));
}

#[tokio::test]
async fn failed_status_after_the_answer_has_its_reason() {
    let cloud = Cloud::start().await;
    let id = cloud.app.send("shop", ANNA, "hello").await;
    cloud.app.wait_for_status("shop", &id, "sent").await;
    let mut value = status(&cloud.wamid(&id), "failed", Some(&id));
    value["statuses"][0]["errors"] = json!([{ "code": 131_047, "title": "Re-engagement message" }]);
    assert_eq!(cloud.call_back(&cloud.envelope(&value)).await, 200);
    let failed = cloud.app.wait_for_status("shop", &id, "failed").await;
    assert_eq!(failed["ack"], -1);
    assert_eq!(cloud.app.logged("shop", "message:status").await.pop().unwrap()["code"], "window_closed");
}

#[tokio::test]
async fn unknown_outcome_is_never_resent_and_ends_by_its_status() {
    let cloud = Cloud::start().await;
    cloud.number().fail(GraphFault::Swallow, 1);
    let id = cloud.app.send("shop", ANNA, "once").await;
    let number = cloud.number();
    cloud.app.wait_until("it to arrive", async || (!number.tried_at().is_empty()).then_some(())).await;
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    assert_eq!(cloud.app.steps("shop", &id).await, ["queued", "sending"]);
    // The answer was lost: only the callback data names the message.
    let value = status(&cloud.wamid(&id), "delivered", Some(&id));
    assert_eq!(cloud.call_back(&cloud.envelope(&value)).await, 200);
    cloud.app.wait_for_status("shop", &id, "delivered").await;
    assert_eq!(number.tried_at().len(), 1);
    // From now on Meta's id is stored.
    let value = status(&cloud.wamid(&id), "read", None);
    assert_eq!(cloud.call_back(&cloud.envelope(&value)).await, 200);
    cloud.app.wait_for_status("shop", &id, "read").await;
}

#[tokio::test]
async fn blocked_account_fails_and_keeps_its_outbox() {
    let cloud = Cloud::start().await;
    cloud.number().fail(GraphFault::Refuse(400, 368, None), 1);
    let id = cloud.app.send("shop", ANNA, "hello").await;
    let failed = cloud.app.wait_for_state("shop", "failed").await;
    assert_eq!(failed["reason"], "temporary_ban");
    cloud.app.post("/devices/shop/start", json!({})).await.ok();
    cloud.app.wait_for_status("shop", &id, "sent").await;
}
