//! Sockets of the dashboard: the handshake by cookie, the daemon's own origin, and the end with the session.

use serde_json::{Value, json};

use super::{Browser, new_key};
use crate::support::TestApp;
use crate::support::wire::Wire;

const QUERY: &str = "EIO=4&transport=websocket";

/// Connects with the cookie and these headers.
async fn connect(browser: &Browser<'_>, headers: &[(&str, &str)]) -> Result<Wire, u16> {
    let cookie = ("cookie", browser.cookie.as_str());
    let mut wire = Wire::with_headers(browser.app, QUERY, &[headers, &[cookie]].concat()).await?;
    assert!(wire.packet().await.starts_with('0'));
    Ok(wire)
}

/// The answer to a connection to a namespace: its packet type with the message.
async fn join(wire: &mut Wire, namespace: &str, auth: &Value) -> (char, Value) {
    let auth = if auth.is_null() { String::new() } else { auth.to_string() };
    wire.send(&format!("40{namespace},{auth}")).await;
    loop {
        let packet = wire.packet().await;
        let Some(rest) = packet.strip_prefix('4').filter(|rest| rest.starts_with(['0', '4'])) else {
            continue;
        };
        let payload = serde_json::from_str(rest.split_once(',').unwrap().1).unwrap();
        return (rest.chars().next().unwrap(), payload);
    }
}

// covers: connect with the dashboard's cookie
#[tokio::test]
async fn own_page_connects_by_cookie() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let browser = Browser::sign_in(&app, &app.key).await;
    let own = format!("http://{}", app.app().address);
    for headers in [[("origin", own.as_str())], [("sec-fetch-site", "same-origin")]] {
        let mut wire = connect(&browser, &headers).await.unwrap();
        assert_eq!(join(&mut wire, "/device/shop", &Value::Null).await.0, '0');
        assert_eq!(wire.event("shop", "state").await["state"], "ready");
        assert_eq!(join(&mut wire, "/devices", &Value::Null).await.0, '0');
    }
}

#[tokio::test]
async fn cookie_does_not_count_in_other_handshakes() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let browser = Browser::sign_in(&app, &app.key).await;
    // The default of `server.allowed_origins` has these origins: the handshake is accepted, the cookie is not.
    for headers in [
        &[("origin", "http://127.0.0.1:5173")][..],
        &[("origin", "http://localhost:5173"), ("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
        &[],
    ] {
        let mut wire = connect(&browser, headers).await.unwrap();
        for namespace in ["/device/shop", "/devices"] {
            let refused = join(&mut wire, namespace, &Value::Null).await;
            assert_eq!(refused, ('4', json!({ "message": "API key is required" })), "{headers:?}");
        }
        let with_key = json!({ "apiKey": app.key });
        assert_eq!(join(&mut wire, "/device/shop", &with_key).await.0, '0');
    }
    assert_eq!(connect(&browser, &[("origin", "https://evil.example")]).await.err(), Some(403));
}

// covers: connect from the daemon's own origin
#[tokio::test]
async fn own_origin_is_always_accepted() {
    let app = TestApp::start_with(&[("WHARF__SERVER__ALLOWED_ORIGINS", "https://app.example")]).await;
    app.device("shop").await;
    let own = format!("http://{}", app.app().address);
    let mut wire = Wire::with_headers(&app, QUERY, &[("origin", &own)]).await.unwrap();
    wire.packet().await;
    wire.join("shop", &app.key).await;
    for foreign in ["http://127.0.0.1:5173", "http://localhost:3000"] {
        let refused = Wire::with_headers(&app, QUERY, &[("origin", foreign)]).await;
        assert_eq!(refused.err(), Some(403), "{foreign}");
    }
}

#[tokio::test]
async fn socket_of_a_device_key_sees_only_its_device() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.device("home").await;
    let (key, _) =
        new_key(&app, json!({ "name": "shop", "scopes": ["events:read"], "devices": ["shop"] })).await;
    let browser = Browser::sign_in(&app, &key).await;
    let mut wire = connect(&browser, &[("sec-fetch-site", "same-origin")]).await.unwrap();
    let refused = join(&mut wire, "/device/home", &Value::Null).await;
    assert_eq!(refused, ('4', json!({ "message": "API key not allowed for this device" })));
    assert_eq!(join(&mut wire, "/device/shop", &Value::Null).await.0, '0');
}

#[tokio::test]
async fn sockets_end_with_their_session_or_key() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let (key, id) = new_key(&app, json!({ "name": "a", "scopes": ["events:read"] })).await;
    let (ended, kept) = (Browser::sign_in(&app, &key).await, Browser::sign_in(&app, &key).await);
    let own = [("sec-fetch-site", "same-origin")];
    let mut wires = [connect(&ended, &own).await.unwrap(), connect(&kept, &own).await.unwrap()];
    for wire in &mut wires {
        for namespace in ["/device/shop", "/devices"] {
            assert_eq!(join(wire, namespace, &Value::Null).await.0, '0');
        }
    }
    let disconnected = async |wire: &mut Wire| {
        let first = wire.packet_with("41/device").await;
        let second = wire.packet_with("41/device").await;
        let mut both = [first, second];
        both.sort();
        assert_eq!(both, ["41/device/shop,", "41/devices,"]);
    };
    ended.own("DELETE", "/session", None).await.ok();
    disconnected(&mut wires[0]).await;
    kept.get("/session").await.ok();
    let refused = join(&mut wires[0], "/devices", &Value::Null).await;
    assert_eq!(refused, ('4', json!({ "message": "API key is required" })));
    app.delete(&format!("/api-keys/{id}")).await.ok();
    disconnected(&mut wires[1]).await;
}
