//! Uploads and downloads.

use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Cloud, text};
use crate::support::ANNA;
use crate::upstream::cloud_api::GraphFault;

const PNG: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0,
    0, 1, 8, 6, 0, 0, 0, 0x1f, 0x15, 0xc4, 0x89, 0, 0, 0, 0x0a, b'I', b'D', b'A', b'T', 0x78, 0x9c, 0x63, 0,
    1, 0, 0, 5, 0, 1, 0x0d, 0x0a, 0x2d, 0xb4, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];

async fn sent(cloud: &Cloud, media: Value) -> String {
    let body = json!({ "to": ANNA, "media": media });
    let reply = cloud.app.post("/devices/shop/messages/send", body).await.created();
    reply["data"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn picture_is_uploaded_before_its_message() {
    let cloud = Cloud::start().await;
    let id = sent(&cloud, json!({ "data": STANDARD.encode(PNG), "caption": "Look" })).await;
    cloud.app.wait_for_status("shop", &id, "sent").await;
    let asked = cloud.number().asked().pop().unwrap();
    assert_eq!((&asked["type"], &asked["image"]["caption"]), (&json!("image"), &json!("Look")));
    let network = cloud.app.get("/simulator/shop/network").await.ok()["data"]["sent"][0].clone();
    assert_eq!(network["media"]["filesize"], PNG.len(), "{network}");
}

#[tokio::test]
async fn file_lost_by_meta_is_uploaded_again_once() {
    let cloud = Cloud::start().await;
    cloud.number().fail(GraphFault::Refuse(400, 131_009, None), 1);
    let id = sent(&cloud, json!({ "data": STANDARD.encode(PNG) })).await;
    cloud.app.wait_for_status("shop", &id, "sent").await;
    assert_eq!(cloud.app.steps("shop", &id).await, ["queued", "sending", "sent"]);
    cloud.number().fail(GraphFault::Refuse(400, 131_009, None), 2);
    let id = sent(&cloud, json!({ "data": STANDARD.encode(PNG) })).await;
    cloud.app.wait_for_status("shop", &id, "failed").await;
}

#[tokio::test]
async fn unaccepted_file_is_rejected_before_its_upload() {
    let cloud = Cloud::start().await;
    let gif = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\
\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x01D\x00;";
    let large = [PNG, &vec![0; 5 << 20]].concat();
    let upload = cloud.app.request("POST", "/devices/shop/media").body(large);
    let large = cloud.app.with_key(&cloud.app.key).send(upload).await.created()["data"]["mediaId"].clone();
    for (media, code) in [
        (json!({ "data": STANDARD.encode(gif) }), "media_not_taken"),
        (json!({ "mediaId": large }), "media_too_large"),
    ] {
        let id = sent(&cloud, media).await;
        cloud.app.wait_for_status("shop", &id, "failed").await;
        assert_eq!(cloud.app.logged("shop", "message:status").await.pop().unwrap()["code"], code);
    }
    assert!(cloud.number().asked().iter().all(|body| body.get("type").is_none()));
}

async fn received(cloud: &Cloud) -> Value {
    let media = json!({ "data": STANDARD.encode(PNG), "caption": "Look" });
    let sent = cloud.app.post("/simulator/shop/incoming", json!({ "from": ANNA, "media": media })).await.ok();
    let id = sent["data"]["messageId"].as_str().unwrap().to_owned();
    cloud.app.get(&format!("/devices/shop/messages/{id}")).await.ok()["data"].clone()
}

#[tokio::test]
async fn inbound_picture_is_downloaded_with_the_token() {
    let cloud = Cloud::start().await;
    let message = received(&cloud).await;
    assert_eq!((&message["type"], &message["body"]), (&json!("image"), &json!("Look")));
    assert_eq!(message["filesize"], PNG.len());
}

#[tokio::test]
async fn message_with_expired_file_comes_without_it() {
    let cloud = Cloud::start().await;
    cloud.number().fail(GraphFault::ExpiredMedia, 1);
    let message = received(&cloud).await;
    assert_eq!((&message["type"], &message["hasMedia"]), (&json!("image"), &json!(false)), "{message}");
    assert_eq!(message["body"], "Look");
}

fn downloads(cloud: &Cloud) -> u64 {
    cloud.number().downloads.load(Ordering::SeqCst)
}

#[tokio::test]
async fn failed_download_succeeds_on_the_next_callback() {
    let cloud = Cloud::start().await;
    for fault in [GraphFault::RefuseMedia(500), GraphFault::RefuseMedia(429), GraphFault::OtherMedia] {
        let before = downloads(&cloud);
        cloud.number().fail(fault.clone(), 2);
        let message = received(&cloud).await;
        assert_eq!(message["filesize"], PNG.len(), "{fault:?}: {message}");
        assert_eq!(downloads(&cloud) - before, 3, "{fault:?}");
    }
}

#[tokio::test]
async fn message_comes_without_its_file_after_five_attempts() {
    let cloud = Cloud::start().await;
    cloud.number().fail(GraphFault::RefuseMedia(503), 100);
    let message = received(&cloud).await;
    assert_eq!((&message["type"], &message["hasMedia"]), (&json!("image"), &json!(false)), "{message}");
    assert_eq!(downloads(&cloud), 5);
}

#[tokio::test]
async fn ingested_message_is_not_downloaded_again() {
    let cloud = Cloud::start().await;
    cloud.number().fail(GraphFault::Twice, 1);
    received(&cloud).await;
    let callback = cloud.number().taken.lock().unwrap().last().unwrap().clone();
    assert_eq!(cloud.call_back(&callback).await, 200);
    cloud.app.post("/devices/shop/restart", json!({})).await.ok();
    cloud.app.wait_for_state("shop", "ready").await;
    assert_eq!(cloud.call_back(&callback).await, 200);
    assert_eq!(downloads(&cloud), 1);
}

#[tokio::test]
async fn hanging_downloads_do_not_block_texts() {
    let cloud = Cloud::start_with(&[("WHARF__SERVER__REQUEST_TIMEOUT_MS", "3000")]).await;
    received(&cloud).await;
    let mut picture =
        cloud.number().taken.lock().unwrap().last().unwrap()["entry"][0]["changes"][0]["value"].clone();
    let one = picture["messages"][0].clone();
    let several = ["wamid.1=", "wamid.2=", "wamid.3="].map(|id| {
        let mut one = one.clone();
        one["id"] = id.into();
        one
    });
    picture["messages"] = json!(several);
    let body = cloud.envelopes(&[picture, text("wamid.T=", "no file")]);
    cloud.number().fail(GraphFault::HangingMedia, 3);
    let at_once = async {
        let came = async || cloud.bodies().await.contains(&"no file".to_owned()).then_some(());
        cloud.app.wait_until("the text to come", came).await;
        assert_eq!(cloud.app.logged("shop", "message").await.len(), 2, "the pictures still hang");
    };
    let started = tokio::time::Instant::now();
    let (status, ()) = tokio::join!(cloud.call_back(&body), at_once);
    assert_eq!(status, 503);
    assert!(started.elapsed().as_millis() < 2_900, "{:?}", started.elapsed());
    assert_eq!(cloud.call_back(&body).await, 200, "nothing hangs any more");
    assert_eq!(cloud.app.logged("shop", "message").await.len(), 5);
}
