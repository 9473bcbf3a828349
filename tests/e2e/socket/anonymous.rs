//! Sessions without a namespace: their time, their number, and refusals without a valid key.

use crate::support::wire::Wire;
use crate::support::{ADMIN_KEY, Reply, TestApp};

const PER_ADDRESS: (&str, &str) = ("WHARF__SOCKET__MAX_ANONYMOUS_PER_ADDRESS", "4");
const FAILED_TRIES: (&str, &str) = ("WHARF__AUTH__FAILED_TRIES_PER_MINUTE", "1000");

async fn polling(app: &TestApp, method: &str, sid: &str, body: String) -> Reply {
    let path = format!("//ws/?EIO=4&transport=polling{sid}");
    Reply::of(app.request(method, &path).body(body).send().await.unwrap()).await
}

async fn open_polling(app: &TestApp) -> String {
    let reply = polling(app, "GET", "", String::new()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let text = reply.text();
    let sid = text.split("\"sid\":\"").nth(1).unwrap().split('"').next().unwrap();
    format!("&sid={sid}")
}

#[tokio::test]
async fn session_without_namespace_is_closed_in_time() {
    let app = TestApp::start_with(&[("WHARF__SOCKET__CONNECT_TIMEOUT_MS", "300")]).await;
    let (mut wire, _) = Wire::open(&app).await;
    wire.closed().await;
}

#[tokio::test]
async fn oldest_anonymous_polling_session_is_evicted() {
    let app = TestApp::start_with(&[PER_ADDRESS]).await;
    app.device("shop").await;
    let mut member = Wire::open(&app).await.0;
    member.join("shop", ADMIN_KEY).await;
    let mut sids = Vec::new();
    for _ in 0..6 {
        sids.push(open_polling(&app).await);
    }
    for (n, sid) in sids.iter().enumerate() {
        let status = polling(&app, "POST", sid, "3".to_owned()).await.status;
        assert_eq!(status, if n < 2 { 400 } else { 200 }, "session {n}");
    }
    member.send("42/device/shop,7[\"ping\"]").await;
    member.packet_with("43/device/shop,7").await;
}

#[tokio::test]
async fn oldest_anonymous_websocket_is_evicted() {
    let app = TestApp::start_with(&[PER_ADDRESS]).await;
    app.device("shop").await;
    let mut flood = Vec::new();
    for _ in 0..6 {
        flood.push(Wire::open(&app).await.0);
    }
    flood[0].closed().await;
    flood[1].closed().await;
    flood[5].join("shop", ADMIN_KEY).await;
    let mut joined = flood.pop().unwrap();
    for _ in 0..4 {
        flood.push(Wire::open(&app).await.0);
    }
    joined.send("42/device/shop,7[\"ping\"]").await;
    joined.packet_with("43/device/shop,7").await;
}

#[tokio::test]
async fn anonymous_sessions_are_limited_in_all() {
    let app = TestApp::start_with(&[("WHARF__SOCKET__MAX_ANONYMOUS", "3")]).await;
    let mut first = Wire::open(&app).await.0;
    let mut rest = Vec::new();
    for _ in 0..3 {
        rest.push(Wire::open(&app).await.0);
    }
    first.closed().await;
}

#[tokio::test]
async fn transport_closes_after_refusals_without_a_key() {
    let app = TestApp::start_with(&[("WHARF__SOCKET__MAX_REFUSALS", "5"), FAILED_TRIES]).await;
    app.device("shop").await;
    let (mut wire, _) = Wire::open(&app).await;
    for n in 0..5 {
        let (path, expected) = match n % 2 {
            0 => (format!("/device/none{n}"), "Invalid namespace"),
            _ => ("/device/shop".to_owned(), "API key is required"),
        };
        wire.send(&format!("40{path},")).await;
        let answer = wire.packet_with(&format!("44{path},")).await;
        assert!(answer.contains(expected), "{answer}");
    }
    wire.send("40/device/one-more,").await;
    wire.closed().await;
}

#[tokio::test]
async fn refused_polling_session_ends_without_further_answers() {
    let app = TestApp::start_with(&[("WHARF__SOCKET__MAX_REFUSALS", "5"), FAILED_TRIES]).await;
    app.device("shop").await;
    let sid = open_polling(&app).await;
    let names: Vec<_> = (0..30).map(|n| format!("40/device/none{n},")).collect();
    polling(&app, "POST", &sid, names.join("\u{1e}")).await;
    app.wait_until("the session to end", async || {
        let reply = polling(&app, "POST", &sid, "3".to_owned()).await;
        (reply.status == 400).then_some(())
    })
    .await;
    assert_eq!(polling(&app, "GET", &sid, String::new()).await.status, 400);
}

#[tokio::test]
async fn unknown_namespaces_count_as_failed_logins() {
    let app = TestApp::start_with(&[("WHARF__AUTH__FAILED_TRIES_PER_MINUTE", "3")]).await;
    app.device("shop").await;
    let (mut wire, _) = Wire::open(&app).await;
    for n in 0..3 {
        wire.send(&format!("40/device/none{n},")).await;
        wire.packet_with(&format!("44/device/none{n},")).await;
    }
    let wrong = app.with_key("whf_000000000000_wrong");
    wrong.get("/devices").await.refused(429, "too_many_failed_tries");
    // With a valid key it is a mistake, not an attempt.
    let (mut member, _) = Wire::open(&app).await;
    member.join("shop", ADMIN_KEY).await;
    let began = tokio::time::Instant::now();
    member.send(&format!("40/device/none,{{\"apiKey\":\"{ADMIN_KEY}\"}}")).await;
    assert!(member.packet_with("44/device/none,").await.contains("Invalid namespace"));
    assert!(began.elapsed() < std::time::Duration::from_secs(1));
}

#[tokio::test]
async fn device_after_unknown_name_has_its_namespace() {
    let app = TestApp::start().await;
    let (mut wire, _) = Wire::open(&app).await;
    wire.send("40/device/shop,").await;
    assert!(wire.packet_with("44/device/shop,").await.contains("Invalid namespace"));
    app.device("shop").await;
    let (mut member, _) = Wire::open(&app).await;
    member.join("shop", ADMIN_KEY).await;
}
