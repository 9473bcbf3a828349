//! Media that cannot be downloaded at once, or at all.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Waha;
use crate::media::files::png;
use crate::support::ANNA;

const FILES: &str = "/api/files/";

impl Waha {
    /// Delivers an inbound picture.
    async fn picture(&self) {
        let media = json!({ "data": STANDARD.encode(png()), "caption": "picture" });
        self.app.post("/simulator/shop/incoming", json!({ "from": ANNA, "media": media })).await.ok();
    }

    /// The logged messages, with whether they have media.
    async fn logged_media(&self) -> Vec<(String, bool)> {
        let events = self.app.logged("shop", "message").await;
        let message = |event: &Value| {
            let message = &event["message"];
            (message["body"].as_str().unwrap().to_owned(), message["hasMedia"] == true)
        };
        events.iter().map(message).collect()
    }

    /// How many requests for a single message the server got.
    fn asked_for_messages(&self) -> usize {
        let asked = self.server.asked.lock().unwrap();
        asked.iter().filter(|asked| asked.starts_with("GET ") && asked.contains("/messages/")).count()
    }

    fn fetched(&self) -> usize {
        self.server.asked.lock().unwrap().iter().filter(|asked| asked.contains(FILES)).count()
    }
}

fn with_file() -> (String, bool) {
    ("picture".to_owned(), true)
}

fn without_file() -> (String, bool) {
    ("picture".to_owned(), false)
}

#[tokio::test]
async fn webhook_with_failed_media_is_repeated() {
    let waha = Waha::start("webhook").await;
    waha.device().await;
    waha.fails(FILES, 503, 0, 2);
    waha.picture().await;
    assert_eq!((waha.logged_media().await, waha.fetched()), (vec![with_file()], 3));
}

#[tokio::test]
async fn message_comes_without_media_after_the_last_attempt() {
    let waha = Waha::start("webhook").await;
    waha.device().await;
    waha.fails(FILES, 500, 0, usize::MAX);
    waha.picture().await;
    assert_eq!((waha.logged_media().await, waha.fetched()), (vec![without_file()], 5));
}

#[tokio::test]
async fn message_with_deleted_media_comes_without_it_at_once() {
    for inbound in ["webhook", "websocket"] {
        let waha = Waha::start(inbound).await;
        waha.device().await;
        waha.fails(FILES, 404, 0, usize::MAX);
        waha.picture().await;
        // The named address, and the address after the message was requested again.
        assert_eq!((waha.logged_media().await, waha.fetched()), (vec![without_file()], 2), "{inbound}");
    }
}

#[tokio::test]
async fn expired_media_is_requested_again_by_its_message() {
    for inbound in ["webhook", "websocket"] {
        let waha = Waha::start(inbound).await;
        waha.device().await;
        waha.fails(FILES, 410, 0, 1);
        waha.picture().await;
        assert_eq!((waha.logged_media().await, waha.fetched()), (vec![with_file()], 2), "{inbound}");
        assert_eq!(waha.asked_for_messages(), 1, "{inbound}");
    }
}

#[tokio::test]
async fn failed_media_does_not_block_missed_messages() {
    let waha = Waha::start("webhook").await;
    waha.device().await;
    waha.app.incoming("shop", ANNA, "before").await;
    waha.app.post("/devices/shop/stop", json!({})).await.ok();
    waha.picture().await;
    waha.app.incoming("shop", ANNA, "behind").await;
    waha.fails("/messages/", 500, 0, 1);
    waha.app.post("/devices/shop/start", json!({})).await.ok();
    waha.is_there("behind").await;
    assert_eq!(waha.logged_media().await.len(), 2, "the picture waits for its file");
    waha.app
        .wait_until("the picture", async || {
            (waha.logged_media().await.last() == Some(&with_file())).then_some(())
        })
        .await;
    assert_eq!(waha.asked_for_messages(), 2, "files are asked for one by one, not with the page");
}

#[tokio::test]
async fn websocket_message_waits_for_media_without_blocking() {
    let waha = Waha::start("websocket").await;
    waha.device().await;
    waha.fails(FILES, 429, 0, 1);
    waha.picture().await;
    waha.app.incoming("shop", ANNA, "behind").await;
    assert_eq!(waha.logged_media().await, [("behind".to_owned(), false)]);
    waha.app
        .wait_until("the picture", async || {
            (waha.logged_media().await.last() == Some(&with_file())).then_some(())
        })
        .await;
    assert_eq!(waha.logged_media().await.len(), 2);
}

#[tokio::test]
async fn missed_message_waits_for_its_media() {
    let waha = Waha::start("webhook").await;
    waha.device().await;
    waha.app.incoming("shop", ANNA, "before").await;
    waha.app.post("/devices/shop/stop", json!({})).await.ok();
    waha.picture().await;
    waha.fails(FILES, 500, 0, 1);
    waha.app.post("/devices/shop/start", json!({})).await.ok();
    waha.app
        .wait_until("the picture", async || {
            (waha.logged_media().await.last() == Some(&with_file())).then_some(())
        })
        .await;
}
