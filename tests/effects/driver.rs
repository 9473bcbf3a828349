//! Test driver of desktop notifications and sounds: reads one JSON request per line and prints one JSON
//! result each. Only the tests in this folder use it.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test program")]

use std::io::BufRead as _;
use std::time::Duration;

use serde_json::{Value, json};
use wharf::domain::notify::Priority;
use wharf::effects::desktop::{Desktop, DesktopConfig, DesktopNotification};
use wharf::effects::sound::{Speaker, SpeakerConfig};

#[tokio::main]
async fn main() {
    let dir = std::path::absolute(std::env::args().nth(1).unwrap()).unwrap();
    let (desktop, mut answers) = Desktop::new(DesktopConfig {
        enabled: true,
        app_name: "Wharf".to_owned(),
        icon: dir.join("icons/wharf.png"),
        max_kept: 8,
        max_waiting: 16,
    });
    let speaker = Speaker::new(SpeakerConfig {
        enabled: true,
        device: std::env::var("DEVICE").ok(),
        volume: 1.0,
        sounds_dir: Some(dir.join("sounds")),
        max_at_once: 3,
        pause_ms: 500,
        max_ms: 10_000,
    });
    for line in std::io::stdin().lock().lines() {
        let ask: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let text = |key: &str| ask[key].as_str().unwrap_or_default().to_owned();
        let begun = tokio::time::Instant::now();
        let answer = match ask["do"].as_str().unwrap() {
            "show" => {
                let urgency = serde_json::from_value::<Priority>(ask["urgency"].clone()).unwrap_or_default();
                let actions = serde_json::from_value(ask["actions"].clone()).unwrap_or_default();
                let (tag, title, body) = (text("tag"), text("title"), text("body"));
                let shown = desktop.show(DesktopNotification { tag, title, body, urgency, actions }).await;
                shown.map(|shown| json!({ "id": shown.id, "replaced": shown.replaced }))
            }
            "withdraw" => desktop.withdraw(&text("tag")).await.map(|was| json!(was)),
            "play" => speaker.play(&text("name"), 1.0).await.map(|played| json!({ "ms": played.ms })),
            "probe" => Ok(json!({
                "desktop": format!("{:?}", desktop.probe().await),
                "sound": format!("{:?}", speaker.probe().await),
            })),
            // A button may be pressed meanwhile.
            _ => {
                let answer = tokio::time::timeout(Duration::from_secs(10), answers.recv()).await;
                let answer = answer.ok().flatten();
                Ok(json!(answer.map(|answer| json!({ "tag": answer.tag, "action": answer.action }))))
            }
        };
        let ms = u64::try_from(begun.elapsed().as_millis()).unwrap();
        let answer = match answer {
            Ok(done) => json!({ "done": done, "ms": ms }),
            Err(error) => json!({ "error": error.to_string(), "ms": ms }),
        };
        println!("{answer}");
    }
}
