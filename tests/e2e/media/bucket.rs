//! Media tests with an S3 bucket as storage, on a local S3 server.
//!
//! `MOTO_SERVER` is the path of the server's program; `./dev test --slow` installs it.

use std::process::{Child, Command, Stdio};

use serde_json::json;

use super::files::{mp4, on_disk, png, sha256};
use super::{get_without_key, message_with, path};
use crate::support::TestApp;

/// An S3 server that ends with its test.
struct Server {
    process: Child,
    endpoint: String,
}

impl Server {
    async fn start() -> Self {
        let program = std::env::var("MOTO_SERVER").expect("MOTO_SERVER names the program of an S3 server");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        drop(listener);
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", &port]).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Self { process: command.spawn().unwrap(), endpoint: format!("http://127.0.0.1:{port}") };
        let bucket = format!("{}/wharf-files", server.endpoint);
        let client = reqwest_client();
        for _ in 0..300 {
            if client.put(&bucket).send().await.is_ok_and(|reply| reply.status().is_success()) {
                return server;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("the S3 server does not answer");
    }

    async fn app(&self) -> TestApp {
        let app = TestApp::start_with(&[
            ("WHARF__MEDIA__BACKEND", "s3"),
            ("WHARF__MEDIA__S3_ENDPOINT", &self.endpoint),
            ("WHARF__MEDIA__S3_BUCKET", "wharf-files"),
            ("WHARF__MEDIA__S3_ACCESS_KEY_ID", "test"),
            ("WHARF__MEDIA__S3_SECRET_ACCESS_KEY", "test"),
        ])
        .await;
        app.device("shop").await;
        app
    }

    /// Keys of all objects in the bucket.
    async fn keys(&self) -> Vec<String> {
        let list =
            reqwest_client().get(format!("{}/wharf-files?list-type=2", self.endpoint)).send().await.unwrap();
        let text = list.text().await.unwrap();
        let parts = text.split("<Key>").skip(1);
        parts.map(|part| part.split("</Key>").next().unwrap().to_owned()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn reqwest_client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap()
}

#[tokio::test]
async fn slow_bucket_files_behave_like_disk_files() {
    let server = Server::start().await;
    let app = server.app().await;
    let film = mp4(20_000_000);
    let message = message_with(&app, &film, "film.mp4").await;
    assert!(get_without_key(&app, &message["mediaUrl"]).await.bytes == film);
    let part = app.request("GET", &path(&message, "download")).header("Range", "bytes=9999990-10000009");
    let part = app.with_key(&app.key).send(part).await;
    assert!(part.status == 206 && part.bytes == film[9_999_990..10_000_010]);

    let picture = message_with(&app, &png(), "a.png").await;
    assert_eq!(
        get_without_key(&app, &picture["mediaInfo"]["thumbnailUrl"]).await.header("content-type"),
        "image/jpeg"
    );
    let hash = sha256(&png());
    assert!(server.keys().await.contains(&format!("files/{}/{}/{hash}", &hash[..2], &hash[2..4])));
    assert_eq!(server.keys().await.len(), 3);
    app.wait_until("nothing to be left here", async || on_disk(&app).is_empty().then_some(())).await;

    app.clock.advance(25 * 3_600_000);
    app.app().services.maintenance.sweep().await.unwrap();
    for message in [&message, &picture] {
        let body = json!({ "messageId": message["id"], "forEveryone": true });
        app.post("/devices/shop/messages/delete", body).await.ok();
    }
    for _ in 0..100 {
        if server.keys().await.is_empty() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("files stay in the bucket: {:?}", server.keys().await);
}

#[tokio::test]
async fn slow_unreachable_bucket_is_reported_and_stores_none() {
    let server = Server::start().await;
    let app = server.app().await;
    drop(server);
    let request = app.request("POST", super::UPLOAD).body("hello");
    let refused = app.with_key(&app.key).send(request).await;
    refused.refused(503, "media_store_unavailable");
}
