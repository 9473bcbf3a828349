//! Private addresses and redirects never receive a delivery.

use serde_json::json;

use super::{app, attempts, for_messages};
use crate::support::receiver::Receiver;
use crate::support::{ANNA, TestApp};

#[tokio::test]
async fn private_webhook_url_is_refused_in_every_spelling() {
    let app = TestApp::start().await;
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "255.255.255.255",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[fc00::1]",
        "[fe80::1]",
        "[64:ff9b::7f00:1]",
    ] {
        let body = json!({ "url": format!("http://{host}/in") });
        let refused = app.post("/webhooks", body).await.refused(400, "invalid_field");
        assert_eq!(refused["details"][0]["field"], "url", "{host}");
    }
}

#[tokio::test]
async fn name_of_private_address_is_refused_on_lookup() {
    let app = TestApp::start_with(&[("WHARF__WEBHOOKS__RETRY_DELAYS", "")]).await;
    app.device("shop").await;
    let receiver = Receiver::start().await;
    let port = receiver.url.split(':').nth(2).unwrap().trim_end_matches("/in").to_owned();
    let (id, _) = for_messages(&app, &format!("http://localhost:{port}/in")).await;
    let report = app.post(&format!("/webhooks/{id}/test"), json!({})).await.ok();
    assert_eq!(report["data"]["outcome"], "address_refused");
    app.incoming("shop", ANNA, "hello").await;
    app.wait_until("the attempt", async || (attempts(&app, &id).await.len() == 2).then_some(())).await;
    assert_eq!(attempts(&app, &id).await[0]["outcome"], "address_refused");
    assert_eq!(receiver.count(), 0);
}

#[tokio::test]
async fn redirect_is_failure_and_not_followed() {
    let app = app().await;
    let elsewhere = Receiver::start().await;
    let answer = format!(
        "HTTP/1.1 307 There\r\nlocation: {}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        elsewhere.url
    );
    let url = crate::support::receiver::raw_receiver(answer.into_bytes().leak()).await;
    let (id, _) = for_messages(&app, &url).await;
    let report = app.post(&format!("/webhooks/{id}/test"), json!({})).await.ok();
    assert_eq!(report["data"]["outcome"], "redirected");
    assert_eq!(elsewhere.count(), 0);
}

#[tokio::test]
async fn private_address_is_not_revealed_to_tenants() {
    let app = TestApp::start_with(&[("WHARF__WEBHOOKS__RETRY_DELAYS", "")]).await;
    app.device("shop").await;
    let body = json!({ "name": "shop", "scopes": ["admin"], "devices": ["shop"] });
    let made = app.post("/api-keys", body).await.created();
    let tenant = app.with_key(made["data"]["key"].as_str().unwrap());
    let hook = json!({ "url": "http://localhost:9/in", "events": ["message"] });
    let created = tenant.post("/devices/shop/webhooks", hook).await.created();
    let path = format!("/devices/shop/webhooks/{}", created["data"]["webhook"]["id"].as_str().unwrap());
    let report = tenant.post(&format!("{path}/test"), json!({})).await.ok();
    assert_eq!(report["data"]["outcome"], "unreachable");
    app.incoming("shop", ANNA, "hello").await;
    let letters = app
        .wait_until("the dead letter", async || {
            let letters = tenant.get(&format!("{path}/dead-letters")).await.ok()["data"].clone();
            (letters != json!([])).then_some(letters)
        })
        .await;
    assert_eq!(letters[0]["lastError"], "unreachable");
    let attempts = tenant.get(&format!("{path}/attempts")).await.ok();
    assert_eq!(attempts["data"][0]["outcome"], "unreachable");
    let attempts = app.get(&format!("{path}/attempts")).await.ok();
    assert_eq!(attempts["data"][0]["outcome"], "address_refused");
}
