//! Linking a device whose network asks for a passkey.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::support::wire::Wire;
use crate::support::{ADMIN_KEY, TestApp};

const PASSKEY: &str = "/devices/shop/passkey";

/// A device whose phone has scanned the code, so that the network asks for a passkey.
async fn asked(app: &TestApp, mode: &str) -> Value {
    let settings = json!({ "simulator": { "passkey": mode } });
    let body = json!({ "id": "shop", "engine": "simulator", "settings": settings });
    app.post("/devices", body).await.created();
    app.wait_for_state("shop", "qr").await;
    app.post("/simulator/shop/scan", json!({ "phoneNumber": "+15550100042" })).await.ok();
    app.wait_for_state("shop", "passkey").await;
    app.get(PASSKEY).await.ok()["data"].clone()
}

/// The response of a browser on the network's page.
fn signed(options: &Value) -> Value {
    let data = json!({
        "type": "webauthn.get", "challenge": options["challenge"], "origin": "https://web.whatsapp.com",
    });
    let id = &options["allowCredentials"][0]["id"];
    json!({
        "id": id, "rawId": id, "type": "public-key", "clientExtensionResults": {},
        "response": {
            "clientDataJSON": URL_SAFE_NO_PAD.encode(data.to_string()),
            "authenticatorData": URL_SAFE_NO_PAD.encode([0_u8; 37]),
            "signature": URL_SAFE_NO_PAD.encode([1_u8; 70]),
            "userHandle": null,
        },
    })
}

async fn answer(app: &TestApp, response: Value) -> crate::support::Reply {
    app.post(&format!("{PASSKEY}/response"), response).await
}

// covers: GET /devices/{id}/passkey
// covers: POST /devices/{id}/passkey/response
// covers: POST /devices/{id}/passkey/confirm
// covers: event passkey:request
// covers: event passkey:confirmation
// covers: state passkey
#[tokio::test]
async fn signature_and_confirmation_link_the_device() {
    let app = TestApp::start().await;
    let step = asked(&app, "code").await;
    assert_eq!(
        (&step["stage"], &step["openUrl"]),
        (&json!("signature"), &json!("https://web.whatsapp.com/"))
    );
    let device = app.get("/devices/shop").await.ok()["data"].clone();
    assert_eq!((&device["status"], &device["passkey"]["stage"]), (&json!("connecting"), &json!("signature")));
    assert_eq!(device["passkey"]["expiresAt"], step["expiresAt"]);
    let (mut wire, _) = Wire::open(&app).await;
    wire.join("shop", ADMIN_KEY).await;
    assert_eq!(wire.event("shop", "passkey:request").await["options"], step["options"]);
    for path in ["qr", "qr.png", "qr.svg", "qr.txt"] {
        app.get(&format!("/devices/shop/{path}")).await.refused(409, "passkey_pending");
    }
    let phone = json!({ "phoneNumber": "+15550100042" });
    app.post("/devices/shop/pairing-code", phone).await.refused(409, "passkey_pending");
    app.post(&format!("{PASSKEY}/confirm"), json!({})).await.refused(409, "no_passkey_pending");

    answer(&app, signed(&step["options"])).await.ok();
    let code = wire.event("shop", "passkey:confirmation").await["code"].as_str().unwrap().to_owned();
    assert_eq!(code.len(), 9, "{code}");
    let step = app.get(PASSKEY).await.ok()["data"].clone();
    assert_eq!((&step["stage"], &step["code"]), (&json!("confirmation"), &json!(code)));
    assert_eq!(step["options"], Value::Null);
    let confirm = async |code: &str| app.post(&format!("{PASSKEY}/confirm"), json!({ "code": code })).await;
    confirm("ABCD-0000").await.refused(409, "passkey_code_changed");
    confirm(&code).await.ok();
    let device = app.wait_for_state("shop", "ready").await;
    assert_eq!((&device["phoneNumber"], &device["passkey"]), (&json!("15550100042"), &Value::Null));
    app.get(PASSKEY).await.refused(409, "no_passkey_pending");
    let states: Vec<Value> =
        app.logged("shop", "state").await.iter().map(|state| state["state"].clone()).collect();
    assert_eq!(states, ["connecting", "qr", "passkey", "pairing", "ready"]);
}

// covers: POST /devices/{id}/passkey/response
#[tokio::test]
async fn invalid_response_names_its_field_and_leaves_the_attempt() {
    let app = TestApp::start().await;
    let step = asked(&app, "auto").await;
    let right = signed(&step["options"]);
    let with = |path: &str, value: Value| {
        let mut wrong = right.clone();
        *wrong.pointer_mut(path).unwrap() = value;
        wrong
    };
    let refused =
        answer(&app, with("/rawId", json!("b3RoZXI"))).await.refused(422, "passkey_response_invalid");
    assert!(refused["error"].as_str().unwrap().starts_with("rawId: "), "{refused}");
    let large = with("/response/signature", "A".repeat(20_000).into());
    answer(&app, large).await.refused(413, "too_large");
    for _ in 1..10 {
        answer(&app, json!({})).await.refused(422, "passkey_response_invalid");
    }
    answer(&app, right).await.refused(429, "too_many_passkey_responses");
    assert_eq!(app.get(PASSKEY).await.ok()["data"], step);
}

// covers: event passkey:error
#[tokio::test]
async fn rejected_signature_stops_the_device() {
    let app = TestApp::start().await;
    let step = asked(&app, "code").await;
    app.fault("shop", json!({ "kind": "reject_passkey" })).await;
    answer(&app, signed(&step["options"])).await.refused(422, "refused_by_network");
    let device = app.wait_for_state("shop", "stopped").await;
    assert_eq!(device["reason"], "passkey_rejected");
    assert_eq!(app.logged("shop", "passkey:error").await[0]["reason"], "passkey_rejected");
    app.post("/devices/shop/start", json!({})).await.ok();
    app.wait_for_state("shop", "qr").await;
}

// covers: POST /devices/{id}/passkey/cancel
#[tokio::test]
async fn cancelled_passkey_stops_the_device() {
    let app = TestApp::start().await;
    asked(&app, "code").await;
    let device = app.post(&format!("{PASSKEY}/cancel"), json!({})).await.ok();
    assert_eq!(
        (&device["data"]["state"], &device["data"]["reason"]),
        (&json!("stopped"), &json!("stopped_by_operator"))
    );
    for path in ["confirm", "cancel", "ticket", "response"] {
        app.post(&format!("{PASSKEY}/{path}"), json!({})).await.refused(409, "no_passkey_pending");
    }
}

// covers: POST /devices/{id}/passkey/ticket
#[tokio::test]
async fn ticket_reads_and_answers_one_attempt_and_nothing_else() {
    let app = TestApp::start().await;
    asked(&app, "auto").await;
    let ticket = async || {
        let created = app.post(&format!("{PASSKEY}/ticket"), json!({})).await.created();
        created["data"]["ticket"].as_str().unwrap().to_owned()
    };
    let with = async |ticket: &str, method: &str, path: &str, body: Value| {
        let request = app.request(method, path).header("X-Passkey-Ticket", ticket);
        app.plain(if method == "GET" { request } else { request.json(&body) }).await
    };
    let (old, new) = (ticket().await, ticket().await);
    with(&old, "GET", PASSKEY, json!({})).await.refused(403, "ticket_invalid");
    for path in ["/devices/shop", "/devices/shop/status"] {
        with(&new, "GET", path, json!({})).await.refused(401, "unauthorized");
    }
    for path in ["confirm", "cancel", "ticket"] {
        with(&new, "POST", &format!("{PASSKEY}/{path}"), json!({})).await.refused(401, "unauthorized");
    }
    with(&new, "GET", "/devices/other/passkey", json!({})).await.refused(403, "ticket_invalid");
    let step = with(&new, "GET", PASSKEY, json!({})).await.ok()["data"].clone();
    with(&new, "POST", &format!("{PASSKEY}/response"), signed(&step["options"])).await.ok();
    app.wait_for_state("shop", "ready").await;
    with(&new, "GET", PASSKEY, json!({})).await.refused(403, "ticket_invalid");

    app.post("/devices/shop/logout", json!({})).await.ok();
    app.post("/devices/shop/start", json!({})).await.ok();
    app.wait_for_state("shop", "qr").await;
    app.post("/simulator/shop/scan", json!({})).await.ok();
    app.wait_for_state("shop", "passkey").await;
    with(&new, "GET", PASSKEY, json!({})).await.refused(403, "ticket_invalid");
    let late = ticket().await;
    app.clock.advance(600_000);
    with(&late, "GET", PASSKEY, json!({})).await.refused(403, "ticket_invalid");
}

#[tokio::test]
async fn extension_is_served_without_a_key() {
    let app = TestApp::start().await;
    let reply = app.plain(app.request("GET", "//passkey-extension.zip")).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), "application/zip");
    assert!(reply.bytes.starts_with(b"PK"));
}
