//! Text of hostile senders is sanitized in every output.

use serde_json::{Value, json};

use super::{app_with_command, message_notifications, read};
use crate::support::ANNA;

#[tokio::test]
async fn hostile_text_is_sanitized_in_every_output() {
    let (app, dir) = app_with_command(&[]).await;
    let rule = json!({ "actions": ["dashboard", "command"], "command": "note" });
    app.post("/notifications/rules", rule).await.created();
    let bad = "\u{1b}[31m<b>x</b>\n$(touch owned)`id`\u{202E}\u{2066}\u{200F}\u{7}'\"; rm -rf /";
    let body = format!("{bad}{}", "x".repeat(65_000));
    let name = format!("Anna{bad}");
    app.post("/simulator/shop/incoming", json!({ "from": ANNA, "body": body, "notifyName": name }))
        .await
        .ok();
    let notification = message_notifications(&app, "shop", 1).await.remove(0);
    let acts = |c: char| {
        c.is_control()
            || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{200E}' | '\u{200F}')
    };
    for (field, most) in [("title", 120), ("body", 400)] {
        let text = notification[field].as_str().unwrap();
        assert!(!text.chars().any(acts) && text.chars().count() <= most, "{text:?}");
    }
    assert!(notification["title"].as_str().unwrap().starts_with("Anna"));
    let env = app.wait_until("the command", async || read(dir.path(), "env")).await;
    let line = env.strip_suffix('\n').unwrap();
    assert!(!line.chars().any(acts) && line.len() < 2_000, "{line:?}");
    assert!(line.contains("$(touch owned)`id`"), "{line:?}");
    let input: Value = serde_json::from_str(&read(dir.path(), "in").unwrap()).unwrap();
    assert_eq!(input["event"]["message"]["body"], body);
    assert!(!std::path::Path::new("owned").exists() && !dir.path().join("owned").exists());
}
