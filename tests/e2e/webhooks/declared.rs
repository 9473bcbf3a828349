//! Webhooks that are declared in device files.

use serde_json::json;

use super::{app, webhook};
use crate::support::receiver::{Answer, Receiver};
use crate::support::{ANNA, TestApp};

/// An environment variable that Cargo sets for every test.
const REFERENCE: &str = "${CARGO_PKG_NAME}";

fn declare(app: &TestApp, webhooks: &str) {
    std::fs::create_dir_all(app.devices_dir()).unwrap();
    let text = format!("id = 'shop'\n{webhooks}");
    std::fs::write(app.devices_dir().join("shop.toml"), text).unwrap();
}

fn declared_webhook(rest: &str) -> String {
    format!(
        "[[webhooks]]\nname = 'orders'\nurl = 'https://hooks.example.com/'\nformat = 'waha'\nsecret = '{REFERENCE}'\n{rest}\n"
    )
}

#[tokio::test]
async fn declaration_creates_changes_and_removes_webhooks() {
    let app = app().await;
    declare(&app, &declared_webhook("events = ['message']"));
    app.app().reconcile().await.unwrap();
    let list = async || app.get("/devices/shop/webhooks").await.ok()["data"].as_array().unwrap().clone();
    let create_webhook = list().await.remove(0);
    assert_eq!(
        (&create_webhook["declared"], &create_webhook["events"], &create_webhook["name"]),
        (&json!(true), &json!(["message"]), &json!("orders"))
    );
    let path = format!("/webhooks/{}", create_webhook["id"].as_str().unwrap());
    app.patch(&path, json!({ "name": "Mine" })).await.refused(409, "set_by_file");
    app.patch(&path, json!({ "name": "Mine", "enabled": false })).await.refused(409, "set_by_file");
    app.delete(&path).await.refused(409, "set_by_file");
    declare(&app, &declared_webhook("events = ['*']"));
    app.app().reconcile().await.unwrap();
    let changed = list().await.remove(0);
    assert_eq!((&changed["id"], &changed["events"]), (&create_webhook["id"], &json!(["*"])));
    declare(&app, "");
    app.app().reconcile().await.unwrap();
    assert!(list().await.is_empty());
}

async fn only_webhook_id(app: &TestApp) -> String {
    app.app().reconcile().await.unwrap();
    app.get("/devices/shop/webhooks").await.ok()["data"][0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn operator_switch_holds_until_declaration_changes() {
    let app = app().await;
    let receiver = Receiver::answering(|_| Answer::Status(410)).await;
    let declared = |rest: &str| {
        let world = "[settings.simulator]\nautoScanMs = 10\n";
        let table = format!("[[webhooks]]\nurl = '{}'\nformat = 'waha'\n", receiver.url);
        declare(&app, &format!("{world}{table}secret = '{REFERENCE}'\n{rest}\n"));
    };
    declared("events = ['message']");
    let id = only_webhook_id(&app).await;
    app.wait_for_state("shop", "ready").await;
    app.incoming("shop", ANNA, "one").await;
    app.wait_until("the webhook to be disabled", async || {
        (webhook(&app, &id).await["disabledReason"] == "gone").then_some(())
    })
    .await;
    let enabled = async || {
        app.app().reconcile().await.unwrap();
        webhook(&app, &id).await["enabled"].clone()
    };
    assert_eq!(enabled().await, false, "the declaration is unchanged");
    receiver.answer_with(|_| Answer::Status(200));
    let path = format!("/webhooks/{id}");
    app.patch(&path, json!({ "enabled": true })).await.ok();
    assert_eq!(enabled().await, true);
    app.incoming("shop", ANNA, "two").await;
    app.wait_until("the message", async || (receiver.accepted().len() == 1).then_some(())).await;
    app.patch(&path, json!({ "enabled": false })).await.ok();
    assert_eq!(enabled().await, false);
    declared("events = ['message.any']");
    assert_eq!(enabled().await, true, "the declaration changed");
}

#[tokio::test]
async fn replaced_declared_secret_signs_for_a_day() {
    let app = app().await;
    declare(&app, &declared_webhook(""));
    let id = only_webhook_id(&app).await;
    assert_eq!(webhook(&app, &id).await["previousSecretUntil"], json!(null));
    declare(&app, &declared_webhook("").replace(REFERENCE, "${CARGO_PKG_VERSION}"));
    assert_eq!(only_webhook_id(&app).await, id);
    assert!(webhook(&app, &id).await["previousSecretUntil"].is_i64());
    app.clock.advance(25 * 3_600_000);
    assert_eq!(webhook(&app, &id).await["previousSecretUntil"], json!(null));
}

#[tokio::test]
async fn several_declared_webhooks_need_names() {
    let app = app().await;
    let unnamed = |host: &str| declared_webhook("").replace("name = 'orders'\n", "").replace("hooks.", host);
    declare(&app, &unnamed("a."));
    let id = only_webhook_id(&app).await;
    declare(&app, &format!("{}{}", unnamed("b."), unnamed("a.")));
    let error = app.app().reconcile().await.unwrap_err().to_string();
    assert!(error.contains("webhooks[0].name") && error.contains("webhook-1"), "{error}");
    let named = unnamed("a.").replace("format", "name = 'webhook-1'\nformat");
    declare(&app, &format!("{}{named}", declared_webhook("")));
    app.app().reconcile().await.unwrap();
    let list = app.get("/devices/shop/webhooks").await.ok()["data"].as_array().unwrap().clone();
    assert!(list.iter().any(|webhook| webhook["id"] == id && webhook["name"] == "webhook-1"), "{list:?}");
}
