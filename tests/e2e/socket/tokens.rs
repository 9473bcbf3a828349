//! Access tokens: the operator they identify, and rejected tokens.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::support::wire::Wire;
use crate::support::{ADMIN_KEY, TestApp};

const SECRET: &str = "a-shared-secret-for-tests";
/// `{"alg":"RS256"}`, no claims, no signature.
const UNSIGNED_RS256: &str = "eyJhbGciOiJSUzI1NiJ9.e30.AAAA";
/// `{"alg":"none"}` with `{"sub":"anna","exp":9999999999}`.
const NONE: &str = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm5hIiwiZXhwIjo5OTk5OTk5OTk5fQ.";

/// Connects with this token: `None` if it is accepted, otherwise the refusal's message.
async fn refusal(app: &TestApp, token: &str) -> Option<String> {
    let mut wire = Wire::connect(app, &format!("EIO=4&transport=websocket&access-token={token}")).await;
    wire.send(&format!("40/device/shop,{{\"apiKey\":\"{ADMIN_KEY}\"}}")).await;
    let answer = wire.packet_with("4").await;
    if answer.starts_with("40/device/shop,") {
        return None;
    }
    let refused: Value = serde_json::from_str(answer.strip_prefix("44/device/shop,").unwrap()).unwrap();
    Some(refused["message"].as_str().unwrap().to_owned())
}

fn signed(claims: &Value, secret: &str) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
}

fn seconds(app: &TestApp) -> i64 {
    wharf::domain::clock::Clock::now(&app.clock).0 / 1_000
}

// covers: connect with access-token as a label
#[tokio::test]
async fn any_text_is_accepted_as_label() {
    let app = TestApp::start().await;
    app.device("shop").await;
    for token in ["42", "", NONE] {
        assert_eq!(refusal(&app, token).await, None, "{token}");
    }
}

// covers: connect with access-token as a JWT
// covers: connect_error Invalid access token
#[tokio::test]
async fn jwt_requires_signature_and_validity() {
    let settings = [("WHARF__AUTH__ACCESS_TOKEN", "jwt"), ("WHARF__AUTH__JWT_SECRET", SECRET)];
    let app = TestApp::start_with(&settings).await;
    app.device("shop").await;
    let later = seconds(&app) + 600;
    let good = signed(&json!({ "sub": "anna", "exp": later }), SECRET);
    assert_eq!(refusal(&app, &good).await, None);
    let wrong = [
        signed(&json!({ "sub": "anna", "exp": later }), "another-secret"),
        signed(&json!({ "sub": "anna", "exp": seconds(&app) - 600 }), SECRET),
        signed(&json!({ "sub": "anna" }), SECRET),
        NONE.to_owned(),
        "42".to_owned(),
    ];
    for token in wrong {
        assert_eq!(refusal(&app, &token).await.as_deref(), Some("Invalid access token"), "{token}");
    }
}

// covers: connect_error Server configuration error
#[tokio::test]
async fn unreachable_jwks_is_server_configuration_error() {
    let settings =
        [("WHARF__AUTH__ACCESS_TOKEN", "jwt"), ("WHARF__AUTH__JWKS_URL", "http://127.0.0.1:1/keys")];
    let app = TestApp::start_with(&settings).await;
    app.device("shop").await;
    assert_eq!(refusal(&app, UNSIGNED_RS256).await.as_deref(), Some("Server configuration error"));
}
