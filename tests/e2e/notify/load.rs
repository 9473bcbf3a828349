//! Ten thousand messages within ten seconds create a bounded number of notifications.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::app_with;

const MESSAGES: usize = 10_000;
const CHATS: usize = 500;

/// Notifications per device and minute: the default setting.
const PER_MINUTE: usize = 60;

#[tokio::test]
async fn slow_message_flood_makes_bounded_effects() {
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
    let elapsed = begun.elapsed();
    let half_minutes = AtomicUsize::new(0);
    let notifications = app
        .wait_until("each message to be counted in a notification", async || {
            // Makes pending notifications due.
            app.clock.advance(30_000);
            half_minutes.fetch_add(1, Ordering::Relaxed);
            let notifications = app.logged("shop", "notification").await;
            (counted_messages(&notifications) >= MESSAGES).then_some(notifications)
        })
        .await;
    assert_eq!(counted_messages(&notifications), MESSAGES, "each message is counted in one notification");
    // First one minute's allowance, then the refill rate and a summary every half minute.
    let waited = half_minutes.load(Ordering::Relaxed) / 2;
    let minutes = usize::try_from(elapsed.as_secs() / 60).unwrap() + waited + 2;
    let most = PER_MINUTE + (PER_MINUTE + 2) * minutes;
    assert!(notifications.len() <= most, "{} notifications", notifications.len());
    let ran = std::fs::read_to_string(dir.path().join("ran")).unwrap_or_default().len();
    assert!(ran > 0 && ran <= most, "{ran} processes");
    let metrics = app.get("//metrics").await.text();
    let sounds: usize = metrics
        .lines()
        .filter(|line| line.starts_with("wharf_notify_effects_total{action=\"sound\""))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok())
        .sum();
    assert!(sounds <= most, "{sounds} sounds");
    println!(
        "{MESSAGES} messages in {elapsed:.1?}: {} notifications, {sounds} sounds, {ran} processes",
        notifications.len()
    );
}

/// Number of messages that the notifications stand for; of equal ids the last count is used.
fn counted_messages(notifications: &[Value]) -> usize {
    let of_messages = notifications
        .iter()
        .filter(|entry| ["message", "summary"].contains(&entry["kind"].as_str().unwrap()));
    let last: BTreeMap<&str, u64> = of_messages
        .map(|notifications| {
            (notifications["id"].as_str().unwrap(), notifications["count"].as_u64().unwrap())
        })
        .collect();
    usize::try_from(last.values().sum::<u64>()).unwrap()
}
