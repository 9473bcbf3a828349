//! Files, up and down.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Cloud;
use crate::support::ANNA;
use crate::upstream::cloud_api::Trouble;

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
async fn a_picture_goes_up_before_the_message_that_names_it() {
    let cloud = Cloud::start().await;
    let id = sent(&cloud, json!({ "data": STANDARD.encode(PNG), "caption": "Look" })).await;
    cloud.app.wait_for_status("shop", &id, "sent").await;
    let asked = cloud.number().asked().pop().unwrap();
    assert_eq!((&asked["type"], &asked["image"]["caption"]), (&json!("image"), &json!("Look")));
    let network = cloud.app.get("/simulator/shop/network").await.ok()["data"]["sent"][0].clone();
    assert_eq!(network["media"]["filesize"], PNG.len(), "{network}");
}

#[tokio::test]
async fn what_meta_does_not_take_is_refused_before_it_goes_up() {
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
    let told = cloud.app.post("/simulator/shop/incoming", json!({ "from": ANNA, "media": media })).await.ok();
    let id = told["data"]["messageId"].as_str().unwrap().to_owned();
    cloud.app.get(&format!("/devices/shop/messages/{id}")).await.ok()["data"].clone()
}

#[tokio::test]
async fn a_picture_that_comes_in_is_fetched_in_two_steps_with_the_token() {
    let cloud = Cloud::start().await;
    let message = received(&cloud).await;
    assert_eq!((&message["type"], &message["body"]), (&json!("image"), &json!("Look")));
    assert_eq!(message["filesize"], PNG.len());
}

#[tokio::test]
async fn a_message_comes_without_its_file_where_that_cannot_be_had() {
    let cloud = Cloud::start().await;
    cloud.number().trouble(Trouble::ExpiredMedia, 1);
    let message = received(&cloud).await;
    assert_eq!((&message["type"], &message["hasMedia"]), (&json!("image"), &json!(false)), "{message}");
    assert_eq!(message["body"], "Look");
}
