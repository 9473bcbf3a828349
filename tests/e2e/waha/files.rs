//! Files of messages that cannot be had at once, or at all.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Waha;
use crate::media::files::png;
use crate::support::ANNA;

const FILES: &str = "/api/files/";

impl Waha {
    /// A picture comes in.
    async fn picture(&self) {
        let media = json!({ "data": STANDARD.encode(png()), "caption": "picture" });
        self.app.post("/simulator/shop/incoming", json!({ "from": ANNA, "media": media })).await.ok();
    }

    /// Whether messages have their files, as they were told.
    async fn told(&self) -> Vec<(String, bool)> {
        let told = self.app.logged("shop", "message").await;
        let message = |told: &Value| {
            let message = &told["message"];
            (message["body"].as_str().unwrap().to_owned(), message["hasMedia"] == true)
        };
        told.iter().map(message).collect()
    }

    /// How often the server was asked for one message.
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
async fn a_webhook_whose_file_fails_is_to_be_sent_again() {
    let waha = Waha::start("webhook").await;
    waha.app.device("shop").await;
    waha.fails(FILES, 503, 0, 2);
    waha.picture().await;
    assert_eq!((waha.told().await, waha.fetched()), (vec![with_file()], 3));
}

#[tokio::test]
async fn a_message_whose_file_fails_again_and_again_comes_without_it() {
    let waha = Waha::start("webhook").await;
    waha.app.device("shop").await;
    waha.fails(FILES, 500, 0, usize::MAX);
    waha.picture().await;
    assert_eq!((waha.told().await, waha.fetched()), (vec![without_file()], 5));
}

#[tokio::test]
async fn a_message_whose_file_is_gone_comes_without_it_at_once() {
    for inbound in ["webhook", "websocket"] {
        let waha = Waha::start(inbound).await;
        waha.app.device("shop").await;
        waha.fails(FILES, 404, 0, usize::MAX);
        waha.picture().await;
        // Once where it is told to be, and once where it is after the server was asked for it anew.
        assert_eq!((waha.told().await, waha.fetched()), (vec![without_file()], 2), "{inbound}");
    }
}

#[tokio::test]
async fn a_file_that_the_server_does_not_keep_any_more_is_asked_for_by_its_message() {
    for inbound in ["webhook", "websocket"] {
        let waha = Waha::start(inbound).await;
        waha.app.device("shop").await;
        waha.fails(FILES, 410, 0, 1);
        waha.picture().await;
        assert_eq!((waha.told().await, waha.fetched()), (vec![with_file()], 2), "{inbound}");
        assert_eq!(waha.asked_for_messages(), 1, "{inbound}");
    }
}

#[tokio::test]
async fn a_file_that_fails_holds_up_no_other_that_was_missed() {
    let waha = Waha::start("webhook").await;
    waha.app.device("shop").await;
    waha.app.incoming("shop", ANNA, "before").await;
    waha.app.post("/devices/shop/stop", json!({})).await.ok();
    waha.picture().await;
    waha.app.incoming("shop", ANNA, "behind").await;
    waha.fails("/messages/", 500, 0, 1);
    waha.app.post("/devices/shop/start", json!({})).await.ok();
    waha.is_there("behind").await;
    assert_eq!(waha.told().await.len(), 2, "the picture waits for its file");
    waha.app
        .wait_until("the picture", async || (waha.told().await.last() == Some(&with_file())).then_some(()))
        .await;
    assert_eq!(waha.asked_for_messages(), 2, "files are asked for one by one, not with the page");
}

#[tokio::test]
async fn over_the_socket_a_message_waits_for_its_file_and_what_follows_does_not() {
    let waha = Waha::start("websocket").await;
    waha.app.device("shop").await;
    waha.fails(FILES, 429, 0, 1);
    waha.picture().await;
    waha.app.incoming("shop", ANNA, "behind").await;
    assert_eq!(waha.told().await, [("behind".to_owned(), false)]);
    waha.app
        .wait_until("the picture", async || (waha.told().await.last() == Some(&with_file())).then_some(()))
        .await;
    assert_eq!(waha.told().await.len(), 2);
}

#[tokio::test]
async fn what_was_missed_waits_for_its_file_too() {
    let waha = Waha::start("webhook").await;
    waha.app.device("shop").await;
    waha.app.incoming("shop", ANNA, "before").await;
    waha.app.post("/devices/shop/stop", json!({})).await.ok();
    waha.picture().await;
    waha.fails(FILES, 500, 0, 1);
    waha.app.post("/devices/shop/start", json!({})).await.ok();
    waha.app
        .wait_until("the picture", async || (waha.told().await.last() == Some(&with_file())).then_some(()))
        .await;
}
