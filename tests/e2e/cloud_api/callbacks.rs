//! Callbacks of Meta.

use serde_json::json;

use super::{Cloud, status, text};
use crate::support::{ANNA, said};
use crate::upstream::cloud_api::{GraphFault, sign};

#[tokio::test]
async fn callback_needs_a_valid_signature() {
    let cloud = Cloud::start().await;
    let body = cloud.envelope(&text("wamid.A=", "hello"));
    let good = sign(&cloud.number().app_secret, body.to_string().as_bytes());
    let changed = cloud.envelope(&text("wamid.A=", "changed"));
    let another = sign("another secret", body.to_string().as_bytes());
    for (body, signature) in [(&body, ""), (&body, another.as_str()), (&changed, &good), (&body, "sha256=")] {
        assert_eq!(cloud.graph.call_back("shop", body, Some(signature)).await, 401);
    }
    assert!(cloud.bodies().await.is_empty());
    assert_eq!(cloud.graph.call_back("shop", &body, Some(&good)).await, 200);
    assert_eq!(cloud.bodies().await, ["hello"]);
}

#[tokio::test]
async fn all_changes_of_this_number_are_read() {
    let cloud = Cloud::start().await;
    let mut other = text("wamid.B=", "for another number");
    other["metadata"] = json!({ "display_phone_number": "15550100099", "phone_number_id": "99" });
    let mut body = cloud.envelopes(&[text("wamid.A=", "one"), other, text("wamid.C=", "two")]);
    let more = cloud.envelope(&text("wamid.D=", "three"))["entry"][0]["changes"][0].clone();
    body["entry"][2]["changes"].as_array_mut().unwrap().push(more);
    let odd = json!({ "field": "template_category_update", "value": { "message_template_id": 1 } });
    body["entry"][0]["changes"].as_array_mut().unwrap().insert(0, odd);
    assert_eq!(cloud.call_back(&body).await, 200);
    assert_eq!(cloud.bodies().await, ["one", "two", "three"]);
}

#[tokio::test]
async fn unreadable_part_does_not_hide_the_others() {
    let cloud = Cloud::start().await;
    let mut value = text("wamid.A=", "hello");
    let messages = value["messages"].as_array_mut().unwrap();
    messages.insert(0, json!({ "id": 7 }));
    messages.insert(0, json!("odd"));
    assert_eq!(cloud.call_back(&cloud.envelope(&value)).await, 200);
    assert_eq!(cloud.bodies().await, ["hello"]);
    assert_eq!(cloud.graph.call_back("shop", &json!([]), None).await, 400);
}

#[tokio::test]
async fn odd_fields_lose_no_message() {
    let cloud = Cloud::start().await;
    for (n, (field, odd)) in [
        ("contacts", json!(null)),
        ("statuses", json!(null)),
        ("contacts", json!([{ "profile": null }])),
        ("contacts", json!([{ "wa_id": 5 }, 5])),
        ("metadata", json!({ "phone_number_id": cloud.number().id.parse::<u64>().unwrap() })),
    ]
    .into_iter()
    .enumerate()
    {
        let mut value = text(&format!("wamid.{n}="), &n.to_string());
        value[field] = odd;
        assert_eq!(cloud.call_back(&cloud.envelope(&value)).await, 200);
    }
    let mut value = text(&"w".repeat(300), "5");
    value["messages"][0]["context"] = json!({ "forwarded": "yes" });
    assert_eq!(cloud.call_back(&cloud.envelope(&value)).await, 200);
    assert_eq!(cloud.bodies().await, ["0", "1", "2", "3", "4", "5"]);
    let mut value = text("wamid.U=", "unreadable");
    value["messages"][0]["text"] = json!([]);
    assert_eq!(cloud.call_back(&cloud.envelope(&value)).await, 200);
    assert_eq!(cloud.app.logged("shop", "message").await.pop().unwrap()["message"]["type"], "unknown");
}

#[tokio::test]
async fn repeated_callback_is_ingested_once() {
    let cloud = Cloud::start().await;
    cloud.number().fail(GraphFault::Twice, 1);
    cloud.app.incoming("shop", ANNA, "hello").await;
    let body = cloud.envelope(&text("wamid.A=", "again"));
    for _ in 0..3 {
        assert_eq!(cloud.call_back(&body).await, 200);
    }
    assert_eq!(cloud.bodies().await, ["hello", "again"]);
}

#[tokio::test]
async fn statuses_in_any_order_end_at_the_highest() {
    let cloud = Cloud::start().await;
    let id = cloud.app.send("shop", ANNA, "hello").await;
    cloud.app.wait_for_status("shop", &id, "sent").await;
    let wamid = cloud.wamid(&id);
    for word in ["read", "sent", "read", "delivered"] {
        // Only Meta's id: the engine has it from the answer.
        assert_eq!(cloud.call_back(&cloud.envelope(&status(&wamid, word, None))).await, 200);
    }
    assert_eq!(cloud.app.wait_for_status("shop", &id, "read").await["ack"], 3);
    assert_eq!(cloud.app.steps("shop", &id).await, ["queued", "sending", "sent", "read"]);
    let foreign = status("wamid.F=", "read", Some("another program's"));
    assert_eq!(cloud.call_back(&cloud.envelope(&foreign)).await, 200, "other programs use the number too");
}

#[tokio::test]
async fn callback_that_is_not_stored_is_not_answered_200() {
    let cloud = Cloud::start().await;
    let body = cloud.envelope(&text("wamid.A=", "hello"));
    cloud.app.post("/devices/shop/stop", json!({})).await.ok();
    assert_eq!(cloud.call_back(&body).await, 503);
    cloud.app.post("/devices/shop/start", json!({})).await.ok();
    cloud.app.wait_for_state("shop", "ready").await;
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON messages BEGIN SELECT RAISE(ABORT, 'no'); END";
    let database = rusqlite::Connection::open(cloud.app.data_dir().join("wharf.db")).unwrap();
    database.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    database.execute_batch(refuse).unwrap();
    assert_eq!(cloud.call_back(&body).await, 503);
    assert!(cloud.bodies().await.is_empty());
    database.execute_batch("DROP TRIGGER refuse").unwrap();
    assert_eq!(cloud.call_back(&body).await, 200);
    assert_eq!(cloud.bodies().await, ["hello"]);
}

#[tokio::test]
async fn reactions_and_quotes_find_our_message_by_metas_id() {
    let cloud = Cloud::start().await;
    let id = cloud.app.send("shop", ANNA, "is it nine?").await;
    cloud.app.wait_for_status("shop", &id, "sent").await;
    let mut value = text("wamid.A=", "ten");
    value["messages"][0]["context"] = json!({ "from": "15550100000", "id": cloud.wamid(&id) });
    assert_eq!(cloud.call_back(&cloud.envelope(&value)).await, 200);
    let event = cloud.app.logged("shop", "message").await.remove(0);
    assert_eq!(event["message"]["quotedMessage"]["id"], json!(id), "{event}");
    let reaction = json!({ "messages": [{ "from": ANNA, "id": "wamid.B=", "timestamp": "1700000001",
        "type": "reaction", "reaction": { "message_id": cloud.wamid(&id), "emoji": "👍" } }] });
    assert_eq!(cloud.call_back(&cloud.envelope(&reaction)).await, 200);
    let message = cloud.app.get(&format!("/devices/shop/messages/{id}")).await.ok()["data"].clone();
    assert_eq!(message["reactions"][0]["emoji"], "👍", "{message}");
}

#[tokio::test]
async fn unreadable_callbacks_are_logged_with_a_rate_limit() {
    let cloud = Cloud::start().await;
    assert_eq!(said("WARN", "server.public_url is not set"), 1, "Meta cannot call back");
    for _ in 0..3 {
        assert_eq!(cloud.call_back(&cloud.envelope(&json!({ "messages": [5] }))).await, 200);
    }
    let part = "unreadable input of the upstream skipped";
    assert_eq!(said("WARN", part), 1);
    cloud.app.clock.advance(60_000);
    assert_eq!(cloud.call_back(&cloud.envelope(&json!({ "messages": [5] }))).await, 200);
    assert_eq!(said("WARN", "suppressed=2"), 1);
}

#[tokio::test]
async fn message_of_the_far_future_is_dated_tomorrow() {
    let cloud = Cloud::start().await;
    let mut value = text("wamid.A=", "hello");
    // The year 2100.
    value["messages"][0]["timestamp"] = "4102444800".into();
    assert_eq!(cloud.call_back(&cloud.envelope(&value)).await, 200);
    let at = cloud.app.logged("shop", "message").await[0]["message"]["timestamp"].as_i64().unwrap();
    let now = wharf::domain::clock::Clock::now(&cloud.app.clock).0;
    assert!((now..=now + 86_400_000).contains(&at), "{at}, {now}");
}
