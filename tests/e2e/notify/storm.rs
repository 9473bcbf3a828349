//! Ten thousand messages in ten seconds.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::app_with;

const MESSAGES: usize = 10_000;
const CHATS: usize = 500;

/// Notifications of one device in a minute: the default of the settings.
const PER_MINUTE: usize = 60;

#[tokio::test]
async fn slow_ten_thousand_messages_make_a_bounded_number_of_notifications_sounds_and_processes() {
    let dir = tempfile::tempdir().unwrap();
    let script = format!("printf x >> '{}/ran'", dir.path().display());
    let commands = json!([{ "name": "count", "run": ["/bin/sh", "-c", script] }]).to_string();
    let rules = json!([{
        "match": { "events": ["message"] }, "actions": ["dashboard", "desktop", "sound", "command"],
        "command": "count", "group": "10s",
    }]);
    let app = app_with(&[
        ("WHARF__EFFECTS__COMMAND__ENABLED", "true"),
        ("WHARF__NOTIFY__COMMANDS", &commands),
        ("WHARF__NOTIFY__RULES", &rules.to_string()),
    ])
    .await;
    app.device("shop").await;
    let begun = Instant::now();
    let senders = (0..20).map(|sender| {
        let app = &app;
        async move {
            for n in 0..MESSAGES / 20 {
                let from = format!("1555011{:04}", (sender * MESSAGES / 20 + n) % CHATS);
                app.incoming("shop", &from, "hello").await;
            }
        }
    });
    futures_util::future::join_all(senders).await;
    let took = begun.elapsed();
    // What waits is due.
    app.clock.advance(30_000);
    app.wait_until("all of them to be looked through", async || {
        let told = app.logged("shop", "notification").await;
        told.iter().any(|told| told["kind"] == "summary").then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let told = app.logged("shop", "notification").await;
    // At first a minute's allowance at once, then as much as comes back, and a summary each half minute.
    let minutes = usize::try_from(took.as_secs() / 60).unwrap() + 2;
    let most = PER_MINUTE + (PER_MINUTE + 2) * minutes;
    assert!(told.len() <= most, "{} notifications", told.len());
    let ran = std::fs::read_to_string(dir.path().join("ran")).unwrap_or_default().len();
    assert!(ran > 0 && ran <= most, "{ran} processes");
    let metrics = app.get("//metrics").await.text();
    let sounds: usize = metrics
        .lines()
        .filter(|line| line.starts_with("wharf_notify_effects_total{action=\"sound\""))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok())
        .sum();
    assert!(sounds <= most, "{sounds} sounds");
    let summed: i64 = told.iter().map(|told: &Value| told["count"].as_i64().unwrap()).sum();
    println!(
        "{MESSAGES} messages in {took:.1?}: {} notifications that stand for up to {summed}, {sounds} sounds, {ran} processes",
        told.len()
    );
}
