//! Commands that rules run, and the test of single actions.

use serde_json::{Value, json};

use super::{app, app_with, app_with_command, message_notifications, note_command, read};
use crate::support::{ANNA, BEN, TestApp};

#[tokio::test]
async fn command_receives_notification_and_event() {
    let rules = r#"[{ "match": { "events": ["message"] }, "actions": ["command"], "command": "note" }]"#;
    let (app, dir) = app_with_command(&[("WHARF__NOTIFY__RULES", rules)]).await;
    let body = json!({ "from": ANNA, "body": "hello", "notifyName": "Anna" });
    app.post("/simulator/shop/incoming", body).await.ok();
    let env = app.wait_until("the command", async || read(dir.path(), "env")).await;
    assert_eq!(env, "message|shop|Anna|hello\n");
    let input: Value = serde_json::from_str(&read(dir.path(), "in").unwrap()).unwrap();
    assert_eq!((&input["deviceId"], &input["notification"]["title"]), (&json!("shop"), &json!("Anna")));
    assert_eq!(input["event"]["message"]["body"], "hello");
    // A rule without dashboard and webhook emits no event.
    assert!(app.logged("shop", "notification").await.iter().all(|entry| entry["kind"] != "message"));
    app.wait_until("its exit code", async || {
        app.get("//metrics")
            .await
            .text()
            .contains("wharf_notify_command_exits_total{exit=\"0\"} 1")
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn command_runs_for_pending_and_old_notifications() {
    let rules = r#"[{ "match": { "events": ["message"] }, "actions": ["command"], "command": "note", "group": "10s" }]"#;
    let settings = [("WHARF__NOTIFY__RULES", rules), ("WHARF__NOTIFY__FRESH_MS", "60000")];
    let (app, dir) = app_with_command(&settings).await;
    let ran = async |app: &TestApp, text: &str| {
        app.wait_until("the command", async || {
            read(dir.path(), "env").is_some_and(|env| env.contains(text)).then_some(())
        })
        .await;
    };
    app.incoming("shop", ANNA, "one").await;
    ran(&app, "one").await;
    app.incoming("shop", ANNA, "two").await;
    let app = app.restarted().await;
    ran(&app, "two").await;
    app.wait_for_state("shop", "ready").await;
    let long_ago = wharf::domain::clock::Clock::now(&app.clock).0 - 600_000;
    let body = json!({ "from": BEN, "body": "while away", "timestamp": long_ago });
    app.post("/simulator/shop/incoming", body).await.ok();
    ran(&app, "while away").await;
}

// covers: POST /notifications/test
#[tokio::test]
async fn each_action_can_be_tested() {
    let (app, dir) = app_with_command(&[]).await;
    let tried = async |body: Value| app.post("/notifications/test", body).await.ok()["data"].clone();
    for action in ["desktop", "sound"] {
        let off = tried(json!({ "action": action })).await;
        assert_eq!((&off["done"], &off["action"]), (&json!(false), &json!(action)));
        assert!(off["said"].as_str().unwrap().starts_with("It was not done: "), "{off}");
    }
    let ran = tried(json!({ "action": "command" })).await;
    assert_eq!(ran["done"], true, "{ran}");
    assert!(ran["said"].as_str().unwrap().starts_with("The command note ended with code 0"), "{ran}");
    assert!(read(dir.path(), "env").unwrap().starts_with("test|test|Wharf|"));
    let none = tried(json!({ "action": "push" })).await;
    assert_eq!(
        (&none["done"], none["said"].as_str().unwrap().starts_with("There is no push subscription")),
        (&json!(false), true)
    );
    let logged = tried(json!({ "action": "dashboard", "deviceId": "shop" })).await;
    assert_eq!(logged["done"], true, "{logged}");
    let all = app.logged("shop", "notification").await;
    assert!(all.iter().any(|entry| entry["kind"] == "test"));
    app.post("/notifications/test", json!({ "action": "dashboard" })).await.refused(400, "invalid_field");
    app.post("/notifications/test", json!({ "action": "mail" })).await.refused(400, "invalid_field");
    let other = json!({ "action": "command", "command": "rm" });
    app.post("/notifications/test", other).await.refused(400, "invalid_field");
    let body = json!({ "name": "k", "scopes": ["devices:write"], "devices": ["shop"] });
    let key = app.post("/api-keys", body).await.created()["data"]["key"].as_str().unwrap().to_owned();
    let tried = json!({ "action": "command", "deviceId": "shop" });
    app.with_key(&key).post("/notifications/test", tried).await.refused(403, "device_not_allowed");
}

#[tokio::test]
async fn commands_run_only_if_enabled() {
    let dir = tempfile::tempdir().unwrap();
    let commands = note_command(dir.path());
    let app = app_with(&[("WHARF__NOTIFY__COMMANDS", &commands)]).await;
    app.device("shop").await;
    let rule = json!({ "actions": ["command", "dashboard"], "command": "note" });
    app.post("/notifications/rules", rule).await.created();
    app.incoming("shop", ANNA, "hello").await;
    message_notifications(&app, "shop", 1).await;
    app.wait_until("the refusal", async || {
        let metrics = app.get("//metrics").await.text();
        metrics.contains("wharf_notify_effects_total{action=\"command\",outcome=\"off\"}").then_some(())
    })
    .await;
    assert_eq!(read(dir.path(), "env"), None);
}

#[tokio::test]
async fn dashboard_notifies_without_desktop_and_sound() {
    let app = app().await;
    app.device("shop").await;
    app.incoming("shop", ANNA, "hello").await;
    message_notifications(&app, "shop", 1).await;
    app.wait_until("the actions to be off", async || {
        let metrics = app.get("//metrics").await.text();
        let off = |action: &str| metrics.contains(&format!("{{action=\"{action}\",outcome=\"off\"}}"));
        (off("desktop") && off("sound")).then_some(())
    })
    .await;
}
