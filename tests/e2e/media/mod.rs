//! Media of messages: upload, fetch, inline data, download, ranges, and deletion.

#[cfg(feature = "s3")]
mod bucket;
mod fetching;
pub mod files;
mod hostile;
mod quota;
mod receiving;
mod retention;
mod sending;
mod serving;
mod uploading;

use serde_json::{Value, json};

use crate::support::{ANNA, Reply, TestApp};

const UPLOAD: &str = "/devices/shop/media";
const SEND: &str = "/devices/shop/messages/send";

/// Uploads a file as the raw body.
async fn upload(app: &TestApp, bytes: &[u8]) -> Value {
    upload_named(app, bytes, "").await
}

async fn upload_named(app: &TestApp, bytes: &[u8], name: &str) -> Value {
    let request = app.request("POST", UPLOAD).query(&[("filename", name)]).body(bytes.to_vec());
    app.with_key(&app.key).send(request).await.created()["data"].clone()
}

/// Sends an uploaded file, waits until the network has it, and returns the message.
async fn sent(app: &TestApp, uploaded: &Value) -> Value {
    let media = json!({ "mediaId": uploaded["mediaId"] });
    sent_media(app, media).await
}

async fn sent_media(app: &TestApp, media: Value) -> Value {
    let accepted = app.post(SEND, json!({ "to": ANNA, "media": media })).await.created();
    app.wait_for_status("shop", accepted["data"]["id"].as_str().unwrap(), "read").await
}

/// Sends a message with this file.
async fn message_with(app: &TestApp, bytes: &[u8], name: &str) -> Value {
    let uploaded = upload_named(app, bytes, name).await;
    sent(app, &uploaded).await
}

/// Requests a URL as a web page does: without a key.
async fn get_without_key(app: &TestApp, url: &Value) -> Reply {
    Reply::of(request_without_key(app, "GET", url).send().await.unwrap()).await
}

fn request_without_key(app: &TestApp, method: &str, url: &Value) -> reqwest::RequestBuilder {
    let url = url.as_str().unwrap();
    // A configured public address precedes the path.
    let path = url
        .splitn(4, '/')
        .nth(3)
        .filter(|_| url.starts_with("http"))
        .map_or_else(|| url.to_owned(), |path| format!("/{path}"));
    app.request(method, &format!("/{path}"))
}

/// `…/media/<what>` of a message.
fn path(message: &Value, what: &str) -> String {
    format!("/devices/shop/messages/{}/media/{what}", message["id"].as_str().unwrap())
}
