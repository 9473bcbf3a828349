//! The calls of the overview and the settings page: statistics by hour, sockets, settings, pictures.

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};

use super::new_key;
use crate::support::wire::Wire;
use crate::support::{ANNA, BEN, TestApp};

const HOUR_MS: i64 = 3_600_000;
/// A PNG of one pixel.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89";

// covers: GET /stats/history
#[tokio::test]
async fn history_has_each_hour_of_the_keys_devices() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.device("home").await;
    app.incoming("shop", ANNA, "first").await;
    app.clock.advance(2 * HOUR_MS);
    app.incoming("home", ANNA, "second").await;
    let sent = app.send("shop", ANNA, "third").await;
    app.wait_for_status("shop", &sent, "read").await;
    let hours = app.get("/stats/history?hours=4").await.ok()["data"].as_array().unwrap().clone();
    assert_eq!(hours.len(), 4);
    let starts: Vec<i64> = hours.iter().map(|hour| hour["hour"].as_i64().unwrap()).collect();
    assert!(starts.windows(2).all(|pair| pair[1] - pair[0] == HOUR_MS) && starts[3] % HOUR_MS == 0);
    let counted = |hours: &[Value], field: &str| -> Vec<i64> {
        hours.iter().map(|hour| hour[field].as_i64().unwrap()).collect()
    };
    assert_eq!((counted(&hours, "received"), counted(&hours, "sent")), (vec![0, 1, 0, 1], vec![0, 0, 0, 1]));
    assert!(hours[3]["averageResponseMs"].is_i64() && hours[0]["averageResponseMs"].is_null());

    let (key, _) =
        new_key(&app, json!({ "name": "home", "scopes": ["devices:read"], "devices": ["home"] })).await;
    let home = app.with_key(&key).get("/stats/history?hours=4").await.ok();
    let home = home["data"].as_array().unwrap();
    assert_eq!((counted(home, "received"), counted(home, "sent")), (vec![0, 0, 0, 1], vec![0; 4]));
    assert_eq!(app.get("/stats/history").await.ok()["data"].as_array().unwrap().len(), 24);
    for invalid in ["0", "721", "x"] {
        app.get(&format!("/stats/history?hours={invalid}")).await.refused(400, "invalid_field");
    }
}

#[tokio::test]
async fn sockets_are_counted_by_the_keys_devices() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.device("home").await;
    let (key, _) =
        new_key(&app, json!({ "name": "home", "scopes": ["devices:read"], "devices": ["home"] })).await;
    let sockets = async |key: &str| app.with_key(key).get("/stats").await.ok()["data"]["sockets"].clone();
    let (mut shop, _) = Wire::open(&app).await;
    shop.join("shop", &app.key).await;
    shop.event("shop", "state").await;
    assert_eq!(sockets(&key).await, 0);
    let (mut home, _) = Wire::open(&app).await;
    home.join("home", &app.key).await;
    home.event("home", "state").await;
    assert_eq!((sockets(&key).await, sockets(&app.key).await), (json!(1), json!(2)));
    home.drop_rudely();
    app.wait_until("the socket to be gone", async || (sockets(&key).await == 0).then_some(())).await;
}

// covers: GET /settings
#[tokio::test]
async fn settings_are_shown_with_sources_and_without_secrets() {
    let app = TestApp::start_with(&[
        ("WHARF__AUTH__JWT_SECRET", "not-to-be-shown"),
        ("WHARF__OUTBOX__MAX_ATTEMPTS", "7"),
    ])
    .await;
    app.device("shop").await;
    let reply = app.get("/settings").await;
    let settings = reply.ok();
    assert!(!reply.text().contains("not-to-be-shown"));
    let setting = |name: &str| {
        let all = settings["data"].as_array().unwrap();
        all.iter().find(|setting| setting["name"] == name).unwrap().clone()
    };
    assert_eq!(
        setting("outbox.max_attempts"),
        json!({ "name": "outbox.max_attempts", "value": 7,
            "source": "environment variable WHARF__OUTBOX__MAX_ATTEMPTS" })
    );
    assert_eq!(setting("outbox.in_flight")["source"], "default");
    assert_eq!(setting("auth.jwt_secret")["value"], "********");
    assert_eq!(setting("store.vault_key")["value"], "");
    for body in [
        json!({ "name": "shop", "scopes": ["admin"], "devices": ["shop"] }),
        json!({ "name": "all", "scopes": ["devices:read", "devices:write", "messages:read", "events:read"] }),
    ] {
        let (key, _) = new_key(&app, body).await;
        assert_eq!(app.with_key(&key).get("/settings").await.status, 403);
    }
}

/// A server of pictures; returns its URL and the number of its answers.
async fn pictures() -> (String, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    let answers = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = answers.clone();
    let routes = Router::new()
        .route(
            "/anna.png",
            get(move || async move {
                counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                PNG
            }),
        )
        .route("/page.svg", get(|| async { "<svg xmlns='http://www.w3.org/2000/svg'/>" }))
        .route("/large.png", get(|| async { [PNG, &vec![0; 300 * 1024]].concat() }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    #[expect(clippy::disallowed_methods, reason = "the server ends with its test")]
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (format!("http://{address}"), answers)
}

// covers: GET /devices/{id}/chats/{chatId}/picture
#[tokio::test]
async fn picture_is_fetched_once_and_served_by_the_daemon() {
    let app = TestApp::start_with(&[("WHARF__NET__ALLOW_PRIVATE", "127.0.0.0/8")]).await;
    if !app.is_simulated() {
        return;
    }
    let (server, answers) = pictures().await;
    let contacts = json!([
        { "id": ANNA, "picture": format!("{server}/anna.png") },
        { "id": BEN },
        { "id": "15550100003", "picture": format!("{server}/page.svg") },
        { "id": "15550100004", "picture": format!("{server}/large.png") },
        { "id": "15550100005", "picture": "http://10.255.255.1/anna.png" },
    ]);
    app.device_with("shop", json!({ "contacts": contacts })).await;
    let picture = async |chat: &str| app.get(&format!("/devices/shop/chats/{chat}/picture")).await;
    for _ in 0..3 {
        let reply = picture(ANNA).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, "image/png"));
        assert_eq!(reply.bytes, PNG);
        assert_eq!(reply.header("cache-control"), "private, max-age=3600");
        assert!(reply.header("content-security-policy").starts_with("sandbox"));
    }
    assert_eq!(answers.load(std::sync::atomic::Ordering::SeqCst), 1);
    picture(BEN).await.refused(404, "no_picture");
    for refused in ["15550100003", "15550100004", "15550100005"] {
        picture(refused).await.refused(422, "picture_unavailable");
    }
    let (key, _) =
        new_key(&app, json!({ "name": "other", "scopes": ["messages:read"], "devices": ["other"] })).await;
    let path = format!("/devices/shop/chats/{ANNA}/picture");
    app.with_key(&key).get(&path).await.refused(403, "device_not_allowed");
}
