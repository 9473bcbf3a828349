//! Sign-in, the session cookie, and the requests for which it counts.

use serde_json::{Value, json};

use super::{Browser, new_key};
use crate::support::{ANNA, TestApp, said};

const HOUR_MS: i64 = 3_600_000;

// covers: POST /session
// covers: GET /session
#[tokio::test]
async fn key_is_exchanged_for_a_cookie() {
    let app = TestApp::start().await;
    let request = app.request("POST", "/session").json(&json!({ "apiKey": app.key }));
    let reply = app.plain(request.header("sec-fetch-site", "same-origin")).await;
    let signed_in = reply.ok();
    let cookie = reply.header("set-cookie");
    app.private(cookie.split(['=', ';']).nth(1).unwrap());
    let (name, rest) = cookie.split_once('=').unwrap();
    assert!(name.starts_with("wharf_session_") && name.len() > 20, "{name}");
    let attributes: Vec<&str> = rest.split("; ").skip(1).collect();
    assert_eq!(attributes, ["Path=/", "Max-Age=604800", "HttpOnly", "SameSite=Strict"]);
    assert!(!reply.text().contains(&app.key));
    assert_eq!(reply.header("cache-control"), "no-store");
    assert!(signed_in["data"]["session"]["expiresAt"].is_i64());

    let browser = Browser::sign_in(&app, &app.key).await;
    let shown = browser.get("/session").await.ok();
    for field in ["key", "server"] {
        let expected = signed_in["data"][field].as_object().unwrap();
        let same = |(name, value): (&String, &Value)| name == "time" || shown["data"][field][name] == *value;
        assert!(expected.iter().all(same), "{shown}");
    }
    assert_eq!(shown["data"]["key"]["scopes"], json!(["admin"]));
    assert_eq!(shown["data"]["server"]["defaultEngine"], "simulator");
    assert_eq!(shown["data"]["server"]["simulator"], true);
    let with_key = app.get("/session").await.ok();
    assert_eq!(with_key["data"]["session"], Value::Null);
    assert_eq!(with_key["data"]["key"], shown["data"]["key"]);
    app.request("GET", "/session").send().await.unwrap().error_for_status().unwrap_err();
}

#[tokio::test]
async fn wrong_key_gets_no_session_and_is_counted() {
    let app = TestApp::start_with(&[("WHARF__AUTH__FAILED_TRIES_PER_MINUTE", "2")]).await;
    let attempt = async || {
        let request = app.request("POST", "/session").json(&json!({ "apiKey": "whf_000000000000_wrong" }));
        app.plain(request).await
    };
    for _ in 0..2 {
        let refused = attempt().await;
        refused.refused(401, "invalid_api_key");
        assert_eq!(refused.header("set-cookie"), "");
    }
    let throttled = attempt().await;
    throttled.refused(429, "too_many_failed_tries");
    assert!(throttled.header("retry-after").parse::<u64>().unwrap() >= 1);
    Browser::sign_in(&app, &app.key).await.get("/devices").await.ok();
    let empty = app.request("POST", "/session").json(&json!({}));
    app.plain(empty).await.refused(400, "invalid_field");
}

// covers: rest the dashboard's cookie
#[tokio::test]
async fn cookie_counts_only_for_the_daemons_own_pages() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let browser = Browser::sign_in(&app, &app.key).await;
    let host = app.app().address.to_string();
    let own = format!("http://{host}");
    let sending = || {
        app.request("POST", "/devices/shop/messages/send").json(&json!({ "to": ANNA, "text": "by cookie" }))
    };
    for headers in [&[("sec-fetch-site", "same-origin")][..], &[("origin", &own)]] {
        browser.send(sending(), headers).await.created();
        browser.send(app.request("GET", "/devices"), headers).await.ok();
    }
    for headers in [&[][..], &[("sec-fetch-site", "none")]] {
        browser.send(app.request("GET", "/devices"), headers).await.ok();
        browser.send(sending(), headers).await.refused(401, "unauthorized");
    }
    for headers in [
        &[("sec-fetch-site", "same-site"), ("origin", "http://127.0.0.1:5173")][..],
        &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "http://127.0.0.1:5173")],
        &[("origin", "http://localhost:5173")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
    ] {
        browser.send(app.request("GET", "/devices"), headers).await.refused(401, "unauthorized");
        browser.send(sending(), headers).await.refused(401, "unauthorized");
        browser.send(app.request("DELETE", "/session"), headers).await.refused(401, "unauthorized");
    }
    browser.get("/session").await.ok();
}

#[tokio::test]
async fn form_post_of_another_page_has_no_effect() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let browser = Browser::sign_in(&app, &app.key).await;
    for form in ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"] {
        let request = app
            .request("POST", "/devices/shop/stop")
            .header("content-type", form)
            .header("origin", "http://127.0.0.1:5173")
            .body("{}");
        browser.send(request, &[("sec-fetch-site", "same-site")]).await.refused(401, "unauthorized");
    }
    assert_eq!(app.get("/devices/shop").await.ok()["data"]["state"], "ready");
}

#[tokio::test]
async fn page_of_another_origin_cannot_sign_in() {
    let app = TestApp::start().await;
    for headers in [("sec-fetch-site", "same-site"), ("origin", "http://localhost:5173")] {
        let request = app.request("POST", "/session").json(&json!({ "apiKey": app.key }));
        let reply = app.plain(request.header(headers.0, headers.1)).await;
        reply.refused(403, "foreign_origin");
        assert_eq!(reply.header("set-cookie"), "");
    }
}

#[tokio::test]
async fn presented_key_replaces_the_cookie() {
    let app = TestApp::start().await;
    let (reader, _) = new_key(&app, json!({ "name": "r", "scopes": ["devices:read"] })).await;
    let browser = Browser::sign_in(&app, &app.key).await;
    let own = ("sec-fetch-site", "same-origin");
    let shown = browser.send(app.request("GET", "/session"), &[own, ("x-api-key", &reader)]).await.ok();
    assert_eq!((&shown["data"]["key"]["name"], &shown["data"]["session"]), (&json!("r"), &Value::Null));
    let wrong = ("x-api-key", "whf_000000000000_wrong");
    browser.send(app.request("GET", "/session"), &[own, wrong]).await.refused(401, "invalid_api_key");
}

#[tokio::test]
async fn session_of_a_device_key_sees_only_its_device() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.device("home").await;
    let scopes = json!(["devices:read", "messages:read", "events:read"]);
    let (key, _) = new_key(&app, json!({ "name": "shop", "scopes": scopes, "devices": ["shop"] })).await;
    let browser = Browser::sign_in(&app, &key).await;
    for path in ["/devices", "/health/devices", "/health/attention", "/stats", "/notifications", "/session"] {
        let reply = browser.get(path).await;
        reply.ok();
        assert!(!reply.text().contains("home"), "{path}: {}", reply.text());
    }
    for path in ["/devices/home", "/devices/home/chats", "/devices/home/events", "/devices/home/qr.svg"] {
        browser.get(path).await.refused(403, "device_not_allowed");
    }
    browser.own("POST", "/devices/shop/stop", Some(json!({}))).await.refused(403, "missing_scope");
    let open = app.get("/devices/shop/events").await;
    assert_eq!(open.status, 200);
}

// covers: DELETE /session
#[tokio::test]
async fn sign_out_ends_the_session() {
    let app = TestApp::start().await;
    let (one, other) = (Browser::sign_in(&app, &app.key).await, Browser::sign_in(&app, &app.key).await);
    let reply = one.own("DELETE", "/session", None).await;
    assert_eq!(reply.ok()["data"]["signedOut"], true);
    assert!(reply.header("set-cookie").contains("=; Path=/; Max-Age=0;"));
    one.get("/session").await.refused(401, "unauthorized");
    other.get("/session").await.ok();
    assert_eq!(app.delete("/session").await.ok()["data"]["signedOut"], false);
}

#[tokio::test]
async fn idle_session_ends_and_used_one_does_not() {
    let app = TestApp::start().await;
    let (idle, used) = (Browser::sign_in(&app, &app.key).await, Browser::sign_in(&app, &app.key).await);
    app.clock.advance(11 * HOUR_MS);
    used.get("/session").await.ok();
    app.clock.advance(HOUR_MS + 1);
    idle.get("/session").await.refused(401, "unauthorized");
    used.get("/session").await.ok();
    for _ in 0..16 {
        app.clock.advance(10 * HOUR_MS);
        used.get("/session").await;
    }
    used.get("/session").await.refused(401, "unauthorized");
}

#[tokio::test]
async fn session_ends_with_its_key() {
    let app = TestApp::start().await;
    let (key, id) = new_key(&app, json!({ "name": "a", "scopes": ["devices:read"] })).await;
    let revoked = Browser::sign_in(&app, &key).await;
    app.delete(&format!("/api-keys/{id}")).await.ok();
    revoked.get("/session").await.refused(401, "unauthorized");

    let soon = wharf::domain::clock::Clock::now(&app.clock).0 + 60_000;
    let expiring = json!({ "name": "b", "scopes": ["devices:read"], "expiresAt": soon });
    let (key, _) = new_key(&app, expiring).await;
    let browser = Browser::sign_in(&app, &key).await;
    let shown = browser.get("/session").await.ok();
    assert_eq!(
        (&shown["data"]["session"]["expiresAt"], &shown["data"]["key"]["expiresAt"]),
        (&json!(soon), &json!(soon))
    );
    app.clock.advance(60_001);
    browser.get("/session").await.refused(401, "unauthorized");
}

#[tokio::test]
async fn sessions_survive_a_restart() {
    let app = TestApp::start().await;
    let cookies = {
        let (kept, ended) = (Browser::sign_in(&app, &app.key).await, Browser::sign_in(&app, &app.key).await);
        ended.own("DELETE", "/session", None).await.ok();
        [kept.cookie, ended.cookie]
    };
    let app = app.restarted().await;
    let [kept, ended] = cookies.map(|cookie| Browser { app: &app, cookie });
    kept.get("/session").await.ok();
    ended.get("/session").await.refused(401, "unauthorized");
}

#[tokio::test]
async fn twenty_first_session_replaces_the_oldest() {
    let app = TestApp::start().await;
    let mut browsers = Vec::new();
    for _ in 0..20 {
        browsers.push(Browser::sign_in(&app, &app.key).await);
        app.clock.advance(1);
    }
    browsers[0].get("/session").await.ok();
    app.clock.advance(1);
    browsers.push(Browser::sign_in(&app, &app.key).await);
    for (place, browser) in browsers.iter().enumerate() {
        let status = browser.get("/session").await.status;
        assert_eq!(status, if place == 1 { 401 } else { 200 }, "{place}");
    }
}

#[tokio::test]
async fn https_cookie_is_secure_and_bound_to_the_host() {
    let app = TestApp::start_with(&[("WHARF__SERVER__PUBLIC_URL", "https://wharf.example/below")]).await;
    let browser = Browser::sign_in(&app, &app.key).await;
    assert!(browser.cookie.starts_with("__Host-wharf_session_"), "{}", browser.cookie);
    browser.get("/session").await.ok();
    let own = [("origin", "https://wharf.example")];
    browser.send(app.request("GET", "/session"), &own).await.ok();
    let planted = browser.cookie.strip_prefix("__Host-").unwrap().to_owned();
    Browser { app: &app, cookie: planted }.get("/session").await.refused(401, "unauthorized");
    let host = format!("http://{}", app.app().address);
    browser.send(app.request("GET", "/session"), &[("origin", &host)]).await.refused(401, "unauthorized");

    let proxied = TestApp::start_with(&[("WHARF__SERVER__TRUSTED_PROXIES", "127.0.0.1")]).await;
    for (scheme, secure) in [("https", true), ("http", false)] {
        let request = proxied.request("POST", "/session").json(&json!({ "apiKey": proxied.key }));
        let reply = proxied.plain(request.header("x-forwarded-proto", scheme)).await;
        reply.ok();
        let cookie = reply.header("set-cookie");
        proxied.private(cookie.split(['=', ';']).nth(1).unwrap());
        assert_eq!((cookie.contains("; Secure"), cookie.starts_with("__Host-")), (secure, secure));
    }
}

#[tokio::test]
async fn two_daemons_have_cookies_of_their_own() {
    let (one, two) = (TestApp::start().await, TestApp::start().await);
    let (first, second) = (Browser::sign_in(&one, &one.key).await, Browser::sign_in(&two, &two.key).await);
    assert_ne!(first.cookie.split_once('=').unwrap().0, second.cookie.split_once('=').unwrap().0);
    let both = format!("{}; {}", second.cookie, first.cookie);
    Browser { app: &one, cookie: both }.get("/session").await.ok();
    Browser { app: &one, cookie: second.cookie.clone() }.get("/session").await.refused(401, "unauthorized");
    assert_eq!(said("INFO", "signed in to the dashboard"), 2);
}
