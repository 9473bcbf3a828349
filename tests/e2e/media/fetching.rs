//! Media that is fetched from a URL when a message is sent.

use axum::Router;
use axum::extract::Path;
use axum::http::header::LOCATION;
use axum::response::IntoResponse as _;
use axum::routing::get;
use serde_json::{Value, json};

use super::files::{on_disk, png, sha256};
use super::{SEND, sent_media};
use crate::support::{ANNA, Reply, TestApp};

/// Starts a server with files and redirects; returns its URL.
async fn server() -> String {
    let large = || async { vec![b'x'; 5_000] };
    let endless = || async {
        let pieces =
            std::iter::repeat_with(|| Ok::<_, std::io::Error>(bytes::Bytes::from_static(&[b'x'; 1_000])));
        axum::body::Body::from_stream(futures_util::stream::iter(pieces))
    };
    let to = |Path(to): Path<String>| async move {
        (axum::http::StatusCode::FOUND, [(LOCATION, to)]).into_response()
    };
    let routes = Router::new()
        .route("/files/{name}", get(|| async { png() }))
        .route("/large", get(large))
        .route("/endless", get(endless))
        .route("/slow", get(|| async { std::future::pending::<()>().await }))
        .route("/to/{*to}", get(to));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    #[expect(clippy::disallowed_methods, reason = "the server ends with its test")]
    tokio::spawn(async move { axum::serve(listener, routes).await });
    format!("http://{address}")
}

async fn app_with_fetching(overrides: &[(&str, &str)]) -> TestApp {
    let allowed = ("WHARF__NET__ALLOW_PRIVATE", "127.0.0.0/8");
    let app = TestApp::start_with(&[overrides, &[allowed]].concat()).await;
    app.device("shop").await;
    app
}

async fn send_url(app: &TestApp, url: &str) -> Reply {
    app.post(SEND, json!({ "to": ANNA, "media": { "url": url } })).await
}

fn sentence(refused: &Value) -> &str {
    refused["error"].as_str().unwrap()
}

#[tokio::test]
async fn media_url_is_fetched_and_names_file() {
    let app = app_with_fetching(&[]).await;
    let url = format!("{}/files/price%20list.png?x=1", server().await);
    let message = sent_media(&app, json!({ "url": url })).await;
    assert_eq!((&message["mimetype"], &message["filename"]), (&json!("image/png"), &json!("price list.png")));
    assert_eq!(message["mediaInfo"]["sha256"], sha256(&png()));
    let older = json!({ "to": ANNA, "mediaUrl": url });
    app.post(SEND, older).await.created();
}

#[tokio::test]
async fn private_media_url_is_refused_unless_allowed() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let port = server().await.rsplit(':').next().unwrap().to_owned();
    for host in ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"] {
        let refused = send_url(&app, &format!("http://{host}:{port}/files/a.png")).await;
        let refused = refused.refused(422, "media_unreachable");
        assert!(sentence(&refused).contains("net.allow_private"), "{refused}");
    }
    assert!(app.logged("shop", "message:created").await.is_empty() && on_disk(&app).is_empty());
}

#[tokio::test]
async fn every_redirect_address_is_checked() {
    let app = app_with_fetching(&[]).await;
    let server = server().await;
    let redirected = format!("{server}/to//to//files/a.png");
    assert_eq!(sent_media(&app, json!({ "url": redirected })).await["mimetype"], "image/png");
    for target in ["http://10.0.0.1/a.png", "http://169.254.169.254/latest/meta-data"] {
        let refused =
            send_url(&app, &format!("{server}/to/{target}")).await.refused(422, "media_unreachable");
        assert!(sentence(&refused).contains("net.allow_private"), "{refused}");
    }
    let round = format!("{server}{}/files/a.png", "/to/".repeat(7));
    let refused = send_url(&app, &round).await.refused(422, "media_unreachable");
    assert!(sentence(&refused).contains("5 times"), "{refused}");
}

#[tokio::test]
async fn unfetchable_media_url_is_refused_with_sentence() {
    let limits = [("WHARF__MEDIA__MAX_BYTES", "4096"), ("WHARF__MEDIA__FETCH_TIMEOUT_MS", "300")];
    let app = app_with_fetching(&limits).await;
    let server = server().await;
    for large in ["large", "endless"] {
        let refused = send_url(&app, &format!("{server}/{large}")).await.refused(413, "media_too_large");
        assert!(sentence(&refused).contains("4096 bytes"), "{refused}");
    }
    let slow = send_url(&app, &format!("{server}/slow")).await.refused(422, "media_unreachable");
    assert!(sentence(&slow).contains("in time"), "{slow}");
    let missing = send_url(&app, &format!("{server}/nothing")).await.refused(422, "media_unreachable");
    assert!(sentence(&missing).contains("answered 404"), "{missing}");
    send_url(&app, "http://127.0.0.1:9/").await.refused(422, "media_unreachable");
    for wrong in ["file:///etc/passwd", "ftp://a.example/x", "nonsense"] {
        send_url(&app, wrong).await.refused(400, "invalid_field");
    }
    app.wait_until("the rest to be gone", async || on_disk(&app).is_empty().then_some(())).await;
}
