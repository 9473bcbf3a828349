use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::net::Guard;
use crate::service::access::tokens::*;

const SECRET: &str = "a shared secret that only tests use";
const NOW: Millis = Millis(1_700_000_000_000);
const NOW_S: i64 = 1_700_000_000;

fn http() -> GuardedClient {
    GuardedClient::new(Guard::new(&["127.0.0.0/8".parse().unwrap()]), Duration::from_secs(5))
}

fn config(mode: TokenMode) -> AccessTokenConfig {
    AccessTokenConfig { mode, jwt_secret: None, jwks_url: None, audience: None, issuer: None, http: http() }
}

fn with_secret(audience: Option<&str>) -> AccessTokens {
    let audience = audience.map(str::to_owned);
    AccessTokens::new(AccessTokenConfig {
        jwt_secret: Some(SECRET.to_owned()),
        audience,
        ..config(TokenMode::Jwt)
    })
}

fn hs256(claims: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
}

/// A P-256 key whose private scalar is `byte`, as PKCS #8.
fn ec_key(byte: u8) -> EncodingKey {
    let head = [
        0x30, 0x41, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
        0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x27, 0x30, 0x25, 0x02, 0x01, 0x01, 0x04,
        0x20,
    ];
    let der: Vec<u8> = head.into_iter().chain([byte; 32]).collect();
    EncodingKey::from_ec_der(&der)
}

fn es256(key: &EncodingKey, kid: &str, claims: &Value) -> String {
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::ES256) };
    jsonwebtoken::encode(&header, claims, key).unwrap()
}

fn published(keys: &[(&str, &EncodingKey)]) -> String {
    let jwk = |(kid, key): &(&str, &EncodingKey)| {
        let mut jwk = Jwk::from_encoding_key(key, Algorithm::ES256).unwrap();
        jwk.common.key_id = Some((*kid).to_owned());
        jwk
    };
    serde_json::to_string(&JwkSet { keys: keys.iter().map(jwk).collect() }).unwrap()
}

/// Serves `bodies` one after the other, the last one for ever, and counts.
async fn serve(bodies: Vec<String>) -> (Url, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap()).parse().unwrap();
    let served = Arc::new(AtomicUsize::new(0));
    let count = served.clone();
    #[expect(clippy::disallowed_methods, reason = "a test's own server, which ends with it")]
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 2048]).await;
            let body = &bodies[count.fetch_add(1, Ordering::SeqCst).min(bodies.len() - 1)];
            let status = if body.is_empty() { "503 Service Unavailable" } else { "200 OK" };
            let answer = format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (url, served)
}

fn with_url(url: Url) -> AccessTokens {
    AccessTokens::new(AccessTokenConfig { jwks_url: Some(url), ..config(TokenMode::Jwt) })
}

async fn is_invalid(tokens: &AccessTokens, token: &str) -> bool {
    matches!(tokens.verify(Some(token), NOW).await, Err(AccessTokenError::Invalid))
}

#[tokio::test]
async fn token_label_is_plain_name() {
    let tokens = AccessTokens::new(config(TokenMode::Label));
    let long = "x".repeat(300);
    for (token, expected) in [(" user-17 ", "user-17"), (long.as_str(), &long[..200]), ("a\nb", "ab")] {
        let operator = tokens.verify(Some(token), NOW).await.unwrap().unwrap();
        assert_eq!(operator, Operator { label: expected.to_owned(), verified: false, expires_at: None });
    }
    for absent in [None, Some(""), Some("  "), Some("\u{1}")] {
        assert_eq!(tokens.verify(absent, NOW).await.unwrap(), None);
    }
}

#[tokio::test]
async fn signed_token_names_subject_until_expiry() {
    let tokens = with_secret(None);
    let token = hs256(&json!({ "sub": "u1", "name": "Front desk", "exp": NOW_S + 60, "nbf": NOW_S }));
    let operator = tokens.verify(Some(&token), NOW).await.unwrap().unwrap();
    assert_eq!(
        operator,
        Operator { label: "Front desk".into(), verified: true, expires_at: Some(NOW.plus(65_000)) }
    );
    assert!(matches!(tokens.verify(Some(&token), NOW.plus(65_000)).await, Err(AccessTokenError::Invalid)));
    assert_eq!(tokens.verify(None, NOW).await.unwrap(), None);
}

#[tokio::test]
async fn invalid_tokens_are_rejected() {
    let tokens = with_secret(None);
    let good = json!({ "sub": "u1", "exp": NOW_S + 60 });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let unsigned = format!("{}.{}.", part(&json!({ "alg": "none", "typ": "JWT" })), part(&good));
    let other_key =
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &good, &EncodingKey::from_secret(b"x")).unwrap();
    let other_size = jsonwebtoken::encode(
        &Header::new(Algorithm::HS512),
        &good,
        &EncodingKey::from_secret(SECRET.as_bytes()),
    )
    .unwrap();
    for token in [
        "u1",
        "a.b.c",
        &unsigned,
        &other_key,
        &other_size,
        &es256(&ec_key(1), "k", &good),
        &"x".repeat(20_000),
        &hs256(&json!({ "sub": "u1" })),
        &hs256(&json!({ "sub": "u1", "exp": NOW_S - 60 })),
        &hs256(&json!({ "sub": "u1", "exp": "never" })),
        &hs256(&json!({ "sub": "u1", "exp": NOW_S + 60, "nbf": NOW_S + 30 })),
    ] {
        assert!(is_invalid(&tokens, token).await, "{token}");
    }
    assert!(!is_invalid(&tokens, &hs256(&json!({ "aud": "other", "exp": NOW_S + 60 }))).await);
}

#[tokio::test]
async fn configured_audience_is_required() {
    let tokens = with_secret(Some("wharf"));
    let token = |aud: Value| hs256(&json!({ "sub": "u1", "exp": NOW_S + 60, "aud": aud }));
    assert!(!is_invalid(&tokens, &token(json!("wharf"))).await);
    assert!(!is_invalid(&tokens, &token(json!(["x", "wharf"]))).await);
    assert!(is_invalid(&tokens, &token(json!("other"))).await);
    assert!(is_invalid(&tokens, &token(Value::Null)).await);
    assert!(is_invalid(&tokens, &hs256(&json!({ "sub": "u1", "exp": NOW_S + 60 }))).await);
}

#[tokio::test]
async fn tokens_are_rejected_without_key() {
    let tokens = AccessTokens::new(config(TokenMode::Jwt));
    assert!(matches!(tokens.verify(Some("a.b.c"), NOW).await, Err(AccessTokenError::Misconfigured)));
}

#[tokio::test]
async fn published_keys_are_refetched_for_unknown_key_id() {
    let (old, new, claims) = (ec_key(1), ec_key(2), json!({ "sub": "u1", "exp": NOW_S + 3600 }));
    let (url, served) =
        serve(vec![published(&[("old", &old)]), published(&[("old", &old), ("new", &new)])]).await;
    let tokens = with_url(url);
    for _ in 0..3 {
        assert!(!is_invalid(&tokens, &es256(&old, "old", &claims)).await);
    }
    assert_eq!(served.load(Ordering::SeqCst), 1);
    // Unknown, and less than a minute after the last fetch.
    assert!(is_invalid(&tokens, &es256(&new, "new", &claims)).await);
    assert_eq!(served.load(Ordering::SeqCst), 1);
    let later = NOW.plus(FETCH_PAUSE_MS);
    assert!(tokens.verify(Some(&es256(&new, "new", &claims)), later).await.is_ok());
    assert_eq!(served.load(Ordering::SeqCst), 2);
    // Signed by another key than the one it names.
    assert!(is_invalid(&tokens, &es256(&new, "old", &claims)).await);
    // A shared secret is no published key.
    assert!(is_invalid(&tokens, &hs256(&claims)).await);
}

#[tokio::test]
async fn cached_keys_outlive_publisher_outage() {
    let (key, claims) = (ec_key(1), json!({ "sub": "u1", "exp": NOW_S + 3600 }));
    let (url, served) = serve(vec![String::new(), published(&[("k", &key)]), String::new()]).await;
    let tokens = with_url(url);
    let token = es256(&key, "k", &claims);
    let unavailable = |result| matches!(result, Err(AccessTokenError::KeysUnavailable(_)));
    assert!(unavailable(tokens.verify(Some(&token), NOW).await));
    assert!(unavailable(tokens.verify(Some(&token), NOW.plus(1_000)).await));
    assert_eq!(served.load(Ordering::SeqCst), 1);
    let at = NOW.plus(FETCH_PAUSE_MS);
    assert!(tokens.verify(Some(&token), at).await.is_ok());
    assert!(tokens.verify(Some(&token), at.plus(KEYS_FRESH_MS)).await.is_ok());
    assert_eq!(served.load(Ordering::SeqCst), 3);
}
