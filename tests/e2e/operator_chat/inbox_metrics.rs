//! Automatic assignment, read marks at the network, devices that cannot send, and the times of answers.

use serde_json::{Value, json};
use wharf::domain::clock::Clock as _;

use super::client::{ChatClient, app, app_with, rest, token};
use super::inbox::inbox;
use super::support::{ANNA, BEN, Reply, TestApp};

async fn native(app: &TestApp, user: &str, method: &str, path: &str, body: Option<Value>) -> Reply {
    rest(app, &token(user), method, &format!("/api/v1{path}"), body).await
}

/// The conversations of the device, those with the newest messages first.
async fn conversations(app: &TestApp) -> Vec<Value> {
    let list = app.get("/conversations").await.ok();
    list["data"]["conversations"].as_array().unwrap().clone()
}

/// The texts of a conversation, oldest first.
async fn texts(app: &TestApp, id: &str) -> Vec<String> {
    let page = app.get(&format!("/conversations/{id}/messages")).await.ok();
    let messages = page["data"]["messages"].as_array().unwrap();
    messages.iter().rev().map(|message| message["content"].as_str().unwrap().to_owned()).collect()
}

async fn reply(app: &TestApp, user: &str, id: &str, text: &str) -> Reply {
    let path = format!("/conversations/{id}/messages");
    native(app, user, "POST", &path, Some(json!({ "content": text }))).await
}

fn bela_and_dora() -> Value {
    json!([{ "who": "desk:bela" }, { "who": "desk:dora" }, { "who": "desk:cleo", "rights": "read" }])
}

/// Signs users in, who are stored by that.
async fn sign_in(app: &TestApp, users: &[&str]) {
    for user in users {
        native(app, user, "GET", "/conversations", None).await.ok();
    }
}

#[tokio::test]
async fn first_user_who_replies_is_assigned() {
    let app = app().await;
    inbox(&app, bela_and_dora()).await;
    let id = conversations(&app).await[0]["id"].as_str().unwrap().to_owned();
    reply(&app, "dora", &id, "Until six.").await.created();
    reply(&app, "bela", &id, "Or seven.").await.created();
    let shown = conversations(&app).await[0].clone();
    assert_eq!((&shown["assignee"]["id"], &shown["answeredBy"]["id"]), (&json!("dora"), &json!("dora")));
    let expected = ["Is it open?", "Until six.", "Assigned to dora's name automatically", "Or seven."];
    assert_eq!(texts(&app, &id).await, expected);
}

#[tokio::test]
async fn conversations_are_assigned_in_turn() {
    let app = app_with(&[("WHARF__CHAT__ASSIGN", "round_robin")]).await;
    sign_in(&app, &["bela", "cleo", "dora"]).await;
    inbox(&app, bela_and_dora()).await;
    app.incoming("shop", BEN, "Hello").await;
    app.incoming("shop", "15550100003", "Hello").await;
    app.incoming("shop", ANNA, "Hello?").await;
    let assigned: Vec<Value> = {
        let mut all = conversations(&app).await;
        all.sort_by_key(|one| one["id"].as_str().unwrap().parse::<i64>().unwrap());
        all.iter().map(|one| one["assignee"]["id"].clone()).collect()
    };
    assert_eq!(assigned, ["bela", "dora", "bela"], "an assigned conversation stays with its user");
}

#[tokio::test]
async fn online_user_with_fewest_open_conversations_is_assigned() {
    let app = app_with(&[("WHARF__CHAT__ASSIGN", "least_open")]).await;
    sign_in(&app, &["bela", "dora"]).await;
    inbox(&app, bela_and_dora()).await;
    assert_eq!(conversations(&app).await[0]["assignee"], Value::Null, "no one is online");
    let _dora = ChatClient::connect(&app, "dora").await;
    app.incoming("shop", ANNA, "Hello?").await;
    let _bela = ChatClient::connect(&app, "bela").await;
    app.incoming("shop", BEN, "Hello").await;
    let all = conversations(&app).await;
    let assigned: Vec<_> = all.iter().map(|one| one["assignee"]["id"].clone()).collect();
    assert_eq!(assigned, ["bela", "dora"]);
    let first = all[1]["id"].as_str().unwrap();
    native(&app, "dora", "POST", &format!("/conversations/{first}/close"), None).await.ok();
    app.incoming("shop", "15550100003", "Hello").await;
    assert_eq!(conversations(&app).await[0]["assignee"]["id"], "dora", "closed conversations do not count");
}

async fn unread_at_network(app: &TestApp) -> Value {
    let chats = app.get("/devices/shop/chats").await.ok();
    chats["data"][0]["unreadCount"].clone()
}

#[tokio::test]
async fn reading_of_the_assignee_counts_at_the_network() {
    for (mode, reader, unread) in
        [("assignee", "dora", 1), ("assignee", "bela", 0), ("any", "dora", 0), ("never", "bela", 1)]
    {
        let app = app_with(&[("WHARF__CHAT__BRIDGE__READ", mode)]).await;
        inbox(&app, bela_and_dora()).await;
        let id = conversations(&app).await[0]["id"].as_str().unwrap().to_owned();
        let claim = Some(json!({ "user": "bela" }));
        native(&app, "bela", "POST", &format!("/conversations/{id}/assign"), claim).await.ok();
        native(&app, reader, "POST", &format!("/conversations/{id}/read"), Some(json!({}))).await.ok();
        assert_eq!(unread_at_network(&app).await, json!(unread), "{mode} {reader}");
    }
}

#[tokio::test]
async fn offline_device_is_reported_once() {
    let app = app_with(&[("WHARF__CHAT__ASSIGN", "none")]).await;
    inbox(&app, bela_and_dora()).await;
    let id = conversations(&app).await[0]["id"].as_str().unwrap().to_owned();
    let line = "The device is offline. Messages are sent when it is connected again.";
    let stop_and_write = async |text: &str| {
        app.post("/devices/shop/stop", json!({})).await.ok();
        reply(&app, "bela", &id, text).await.created();
    };
    stop_and_write("One").await;
    reply(&app, "bela", &id, "Two").await.created();
    assert_eq!(texts(&app, &id).await, ["Is it open?", "One", line, "Two"]);
    app.post("/devices/shop/start", json!({})).await.ok();
    app.wait_until("both messages to be sent", async || {
        let page = app.get(&format!("/conversations/{id}/messages")).await.ok();
        let messages = page["data"]["messages"].as_array().unwrap().clone();
        let is_sent = |message: &Value| message["status"] != "queued" || message["type"] == "SYSTEM";
        messages.iter().all(is_sent).then_some(())
    })
    .await;
    stop_and_write("Three").await;
    assert_eq!(texts(&app, &id).await, ["Is it open?", "One", line, "Two", "Three", line]);
}

#[tokio::test]
async fn failed_device_refuses_messages() {
    let app = app().await;
    inbox(&app, bela_and_dora()).await;
    let id = conversations(&app).await[0]["id"].as_str().unwrap().to_owned();
    app.fault("shop", json!({ "kind": "ban" })).await;
    app.wait_for_state("shop", "failed").await;
    reply(&app, "bela", &id, "One").await.refused(409, "device_failed");
    assert_eq!(texts(&app, &id).await, ["Is it open?"]);
}

// covers: GET /stats/inbox
#[tokio::test]
async fn times_of_answers_are_measured() {
    let app = app_with(&[("WHARF__CHAT__ASSIGN", "none")]).await;
    let began = app.clock.now();
    inbox(&app, bela_and_dora()).await;
    let id = conversations(&app).await[0]["id"].as_str().unwrap().to_owned();
    assert!(conversations(&app).await[0]["waitingSince"].is_string());
    app.clock.advance(60_000);
    reply(&app, "bela", &id, "Until six.").await.created();
    reply(&app, "bela", &id, "And on Sunday.").await.created();
    app.incoming("shop", ANNA, "Thanks. And Monday?").await;
    app.clock.advance(20_000);
    reply(&app, "dora", &id, "Closed.").await.created();
    let shown = conversations(&app).await[0].clone();
    assert_eq!((&shown["waitingSince"], &shown["answeredBy"]["id"]), (&Value::Null, &json!("bela")));
    app.incoming("shop", BEN, "Hello").await;
    let stats = native(&app, "bela", "GET", "/stats/inbox", None).await.ok()["data"].clone();
    let counts = json!({ "created": 2, "open": 2, "unassigned": 2, "waiting": 1 });
    assert_eq!(stats["conversations"], counts);
    // The clock of the test runs on.
    let waited = |summary: &Value, field: &str| summary[field].as_i64().unwrap() / 10_000 * 10;
    let (first, all) = (&stats["firstResponse"], &stats["response"]);
    assert_eq!((&first["count"], waited(first, "averageMs")), (&json!(1), 60));
    let (average, median, p90) = (waited(all, "averageMs"), waited(all, "medianMs"), waited(all, "p90Ms"));
    assert_eq!((&all["count"], average, median, p90), (&json!(2), 40, 20, 60));
    let authors: Vec<_> =
        stats["operators"].as_array().unwrap().iter().map(|one| &one["user"]["id"]).collect();
    assert_eq!(authors, ["bela", "dora"]);
    let before = format!("/stats/inbox?from=0&to={}", began.0);
    assert_eq!(native(&app, "bela", "GET", &before, None).await.ok()["data"]["response"]["count"], 0);
    let none = native(&app, "eva", "GET", "/stats/inbox", None).await.ok()["data"].clone();
    assert_eq!((&none["conversations"]["open"], &none["response"]["count"]), (&json!(0), &json!(0)));
    for wrong in ["from=yesterday", "from=5&to=4", "device=_!"] {
        let path = format!("/stats/inbox?{wrong}");
        native(&app, "bela", "GET", &path, None).await.refused(400, "invalid_field");
    }
    // A message after the end opens the conversation, and its first answer is measured anew.
    native(&app, "bela", "POST", &format!("/conversations/{id}/close"), None).await.ok();
    app.incoming("shop", ANNA, "One more").await;
    let reopened = native(&app, "bela", "GET", &format!("/conversations/{id}"), None).await.ok();
    assert_eq!(reopened["data"]["firstResponseAt"], Value::Null);
    assert!(reopened["data"]["waitingSince"].is_string());
}
