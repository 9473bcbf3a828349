//! Rate-limit pauses, and typing.

use serde_json::json;

use super::Cloud;
use crate::support::{ANNA, BEN};
use crate::upstream::cloud_api::GraphFault;

async fn gap(cloud: &Cloud, fault: GraphFault) -> u128 {
    cloud.number().fail(fault, 1);
    let id = cloud.app.send("shop", ANNA, "hello").await;
    cloud.app.wait_for_status("shop", &id, "sent").await;
    let tried = cloud.number().tried_at();
    tried[tried.len() - 1] - tried[tried.len() - 2]
}

#[tokio::test]
async fn retry_waits_for_the_pause_of_meta() {
    let cloud = Cloud::start().await;
    // Without the pause the daemon would retry after 20 ms.
    let gap = gap(&cloud, GraphFault::Refuse(429, 130_429, Some(1))).await;
    assert!(gap >= 990, "{gap} ms");
}

#[tokio::test]
async fn pause_holds_for_the_account_or_for_one_recipient() {
    let cloud = Cloud::start().await;
    assert!(gap(&cloud, GraphFault::Refuse(400, 80_007, None)).await >= 1_990);
    cloud.number().fail(GraphFault::Refuse(400, 131_056, None), 1);
    let anna = cloud.app.send("shop", ANNA, "to Anna").await;
    cloud.app.wait_for_status("shop", &anna, "sending").await;
    let ben = cloud.app.send("shop", BEN, "to Ben").await;
    cloud.app.wait_for_status("shop", &ben, "sent").await;
    let found = cloud.app.get(&format!("/devices/shop/messages/{anna}")).await.ok();
    assert_ne!(found["data"]["status"], "sent");
    cloud.app.wait_for_status("shop", &anna, "sent").await;
}

#[tokio::test]
async fn pause_survives_a_restart_of_the_device() {
    let cloud = Cloud::start().await;
    cloud.number().fail(GraphFault::Refuse(429, 130_429, Some(u64::MAX)), 1);
    let id = cloud.app.send("shop", ANNA, "hello").await;
    let tried = async || (!cloud.number().tried_at().is_empty()).then_some(());
    cloud.app.wait_until("it to be refused", tried).await;
    cloud.app.post("/devices/shop/restart", json!({})).await.ok();
    cloud.app.wait_for_state("shop", "ready").await;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_eq!(cloud.number().tried_at().len(), 1);
    let found = cloud.app.get(&format!("/devices/shop/messages/{id}")).await.ok();
    assert_ne!(found["data"]["status"], "sent");
}

#[tokio::test]
async fn typing_marks_the_last_inbound_message_as_read() {
    let cloud = Cloud::start().await;
    let came = cloud.app.incoming("shop", ANNA, "hello").await;
    let pace = cloud.app.request("PUT", "/queue/config").json(&json!({ "typingDelay": 300 }));
    cloud.app.with_key(&cloud.app.key).send(pace).await.ok();
    let id = cloud.app.send("shop", ANNA, "hm").await;
    cloud.app.wait_for_status("shop", &id, "sent").await;
    let asked = cloud.number().asked();
    let typing: Vec<_> = asked.iter().filter(|body| !body["typing_indicator"].is_null()).collect();
    assert_eq!(typing.len(), 1, "it ends by itself: {asked:?}");
    assert_eq!(typing[0]["typing_indicator"], json!({ "type": "text" }));
    assert_eq!(
        (&typing[0]["status"], &typing[0]["message_id"]),
        (&json!("read"), &json!(came.rsplit('_').next()))
    );
    cloud.app.incoming("shop", ANNA, "and?").await;
    cloud.app.post(&format!("/devices/shop/chats/{ANNA}@c.us/markRead"), json!({})).await.ok();
    let asked = cloud.number().asked().pop().unwrap();
    assert_eq!((&asked["status"], asked.get("typing_indicator")), (&json!("read"), None));
}
