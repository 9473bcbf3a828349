//! Users who are signed in by the session cookie of their application: its forms, and the origins from which it counts.

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeEncrypt as _, KeyIvInit as _};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use sha2::{Sha256, Sha512};

use super::client::{ChatClient, SECRET, app_with, seconds, signed, token};
use super::support::wire::Wire;
use super::support::{Reply, TestApp};

const PATH: &str = "/api/socket/";
const PAGE_SECRET: &str = "93f1c0a8e2f7d946b351c0a8e2f7d946";
const OLD_SECRET: &str = "c2e8a1f07d5b39461a7fe0c2e8a1f07d";
const IDENTITIES: &str = r#"[
    {
        "name": "page", "authjs_secret": "${PAGE_SECRET}", "cookie": "authjs.session-token",
        "dialects": ["underscore", "root", "namespace"], "user_claim": ["id", "sub"]
    },
    { "name": "old", "authjs_secret": "${OLD_SECRET}", "cookie": "next-auth.session-token" },
    { "name": "desk", "jwt_secret": "${DESK_SECRET}", "cookie": "desk-session" }
]"#;
const PAGE: &str = "authjs.session-token";
const SECURE_PAGE: &str = "__Secure-authjs.session-token";
const OLD: &str = "next-auth.session-token";
const DESK: &str = "desk-session";
const LISTED: &str = "https://app.example.com";
const FOREIGN: &str = "https://evil.example";
const REFUSED: Option<&str> = Some("Authentication error");

async fn app() -> TestApp {
    app_allowing(LISTED).await
}

/// A daemon that allows these origins besides its own.
async fn app_allowing(origins: &str) -> TestApp {
    app_with(&[
        ("WHARF__CHAT__IDENTITIES", IDENTITIES),
        ("WHARF__SERVER__ALLOWED_ORIGINS", origins),
        ("PAGE_SECRET", PAGE_SECRET),
        ("OLD_SECRET", OLD_SECRET),
    ])
    .await
}

/// The daemon's own origin.
fn own(app: &TestApp) -> String {
    format!("http://{}", app.app().address)
}

fn claims(user: &str) -> Value {
    json!({
        "sub": "an-id-of-the-login", "id": user, "name": format!("{user}'s name"), "role": "ADMIN",
        "exp": seconds() + 3_600,
    })
}

fn derived<const BYTES: usize>(secret: &str, salt: &str, info: &str) -> [u8; BYTES] {
    let mut key = [0; BYTES];
    Hkdf::<Sha256>::new(Some(salt.as_bytes()), secret.as_bytes()).expand(info.as_bytes(), &mut key).unwrap();
    key
}

/// A token as Auth.js 5 makes it for a cookie.
fn authjs(secret: &str, cookie: &str, claims: &Value) -> String {
    let key: [u8; 64] = derived(secret, cookie, &format!("Auth.js Generated Encryption Key ({cookie})"));
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"dir","enc":"A256CBC-HS512","kid":"k"}"#);
    let iv = [3; 16];
    let cipher = cbc::Encryptor::<aes::Aes256>::new_from_slices(&key[32..], &iv).unwrap();
    let ciphertext = cipher.encrypt_padded_vec::<Pkcs7>(claims.to_string().as_bytes());
    let mut mac = <Hmac<Sha512> as hmac::KeyInit>::new_from_slice(&key[..32]).unwrap();
    let bits = u64::try_from(header.len() * 8).unwrap().to_be_bytes();
    for part in [header.as_bytes(), &iv, &ciphertext, &bits] {
        mac.update(part);
    }
    let tag = mac.finalize().into_bytes()[..32].to_vec();
    compact(&header, &[&iv, &ciphertext, &tag])
}

/// A token as NextAuth 4 makes it.
fn next_auth(secret: &str, claims: &Value) -> String {
    let key: [u8; 32] = derived(secret, "", "NextAuth.js Generated Encryption Key");
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"dir","enc":"A256GCM"}"#);
    let iv = [5; 12];
    let text = claims.to_string();
    let payload = Payload { msg: text.as_bytes(), aad: header.as_bytes() };
    let message = aes_gcm::Aes256Gcm::new_from_slice(&key).unwrap().encrypt(&iv.into(), payload).unwrap();
    let (ciphertext, tag) = message.split_at(message.len() - 16);
    compact(&header, &[&iv, ciphertext, tag])
}

fn compact(header: &str, parts: &[&[u8]]) -> String {
    let encoded: Vec<String> = parts.iter().map(|bytes| URL_SAFE_NO_PAD.encode(bytes)).collect();
    format!("{header}..{}", encoded.join("."))
}

/// The header with the cookie of a user of `page`.
fn page_cookie(user: &str) -> String {
    format!("{PAGE}={}", authjs(PAGE_SECRET, PAGE, &claims(user)))
}

/// The cookies of a value in chunks of this size, the last one first, as other cookies may be between them.
fn in_chunks(name: &str, value: &str, size: usize) -> String {
    let chunks: Vec<&str> =
        (0..value.len()).step_by(size).map(|at| &value[at..(at + size).min(value.len())]).collect();
    assert!(chunks.len() > 1);
    let cookies = chunks.iter().enumerate().rev().map(|(number, chunk)| format!("{name}.{number}={chunk}"));
    format!("theme=dark; {}", cookies.collect::<Vec<_>>().join("; "))
}

async fn attempt(
    app: &TestApp,
    auth: &Value,
    cookie: &str,
    origin: Option<&str>,
) -> Result<ChatClient, String> {
    app.private(cookie);
    let origin = origin.map(|origin| ("origin", origin));
    let headers: Vec<_> = [("cookie", cookie)].into_iter().chain(origin).collect();
    ChatClient::attempt_with(app, PATH, "", &auth.to_string(), &headers).await
}

async fn connect(app: &TestApp, user: &str, cookie: &str, origin: &str) -> ChatClient {
    let answer = attempt(app, &json!({ "userId": user }), cookie, Some(origin)).await;
    let mut client = answer.unwrap_or_else(|refusal| panic!("refused: {refusal}: {cookie}"));
    assert_eq!(client.payload("connected").await, json!({ "userId": user }));
    client
}

async fn refusal(app: &TestApp, auth: Value, cookie: &str, origin: Option<&str>) -> Option<String> {
    attempt(app, &auth, cookie, origin).await.err()
}

/// A REST call with a cookie.
async fn call(
    app: &TestApp,
    method: &str,
    path: &str,
    cookie: &str,
    origin: Option<&str>,
    body: Option<Value>,
) -> Reply {
    app.private(cookie);
    let request = app.request(method, &format!("/{path}")).header("cookie", cookie);
    let request = match origin {
        Some(origin) => request.header("origin", origin),
        None => request,
    };
    let request = match body {
        Some(body) => request.json(&body),
        None => request,
    };
    Reply::of(request.send().await.unwrap()).await
}

async fn list(app: &TestApp, cookie: &str, origin: Option<&str>) -> u16 {
    call(app, "GET", "/api/chat/conversations", cookie, origin, None).await.status
}

// covers: underscore session cookie
// covers: underscore connected
#[tokio::test]
async fn cookie_of_each_form_signs_in() {
    let app = app().await;
    let page = authjs(PAGE_SECRET, PAGE, &claims("anna"));
    let secure = authjs(PAGE_SECRET, SECURE_PAGE, &claims("anna"));
    let old = next_auth(OLD_SECRET, &json!({ "sub": "anna", "exp": seconds() + 60 }));
    let mut long = claims("anna");
    long["picture"] = "x".repeat(9_000).into();
    let long = authjs(PAGE_SECRET, PAGE, &long);
    for cookie in [
        format!("{PAGE}={page}"),
        format!("theme=dark; {SECURE_PAGE}={secure}; other=1"),
        format!("{SECURE_PAGE}=stale; {PAGE}={page}"),
        format!("{OLD}={old}"),
        format!("__Secure-{OLD}={old}"),
        format!("{DESK}={}", token("anna")),
        in_chunks(PAGE, &page, 100),
        in_chunks(SECURE_PAGE, &secure, 100),
        in_chunks(OLD, &old, 50),
        in_chunks(PAGE, &long, 3_936),
    ] {
        for origin in [&own(&app), LISTED] {
            connect(&app, "anna", &cookie, origin).await;
        }
        assert_eq!(list(&app, &cookie, None).await, 200, "{cookie}");
    }
}

// covers: root session cookie
// covers: namespace session cookie
#[tokio::test]
async fn cookie_signs_in_to_every_dialect() {
    let app = app().await;
    let cookie = page_cookie("anna");
    app.private(&cookie);
    let origin = own(&app);
    let headers = [("cookie", cookie.as_str()), ("origin", &origin)];
    for (namespace, event) in [("", "auth:success"), ("/chat,", "connection:success")] {
        let answer = ChatClient::attempt_with(&app, "/socket.io/", namespace, "{}", &headers).await;
        let mut client = answer.unwrap_or_else(|refusal| panic!("refused: {refusal}"));
        assert_eq!(client.payload(event).await["userId"], "anna");
    }
    let without = ChatClient::attempt_with(&app, "/socket.io/", "", "{}", &headers[..1]).await;
    assert_eq!(without.err().as_deref(), REFUSED);
}

// covers: underscore Origin of cookies
#[tokio::test]
async fn socket_cookie_needs_a_trusted_origin() {
    let app = app().await;
    let cookie = page_cookie("anna");
    let auth = || json!({ "userId": "anna" });
    assert_eq!(refusal(&app, auth(), &cookie, None).await.as_deref(), REFUSED);
    for foreign in [FOREIGN, "null", "https://app.example.com.evil.example"] {
        let refused = refusal(&app, auth(), &cookie, Some(foreign)).await;
        assert_eq!(refused.as_deref(), Some("upgrade refused: 403"), "{foreign}");
    }
    // The upgrade is allowed from everywhere, and the cookie still does not count.
    let open = app_allowing("*").await;
    for foreign in [FOREIGN, "null"] {
        assert_eq!(refusal(&open, auth(), &cookie, Some(foreign)).await.as_deref(), REFUSED, "{foreign}");
        assert_eq!(list(&open, &cookie, Some(foreign)).await, 401, "{foreign}");
    }
    connect(&open, "anna", &cookie, &own(&open)).await;
    // A token needs no origin.
    let with_token = json!({ "token": token("ben"), "userId": "ben" });
    assert_eq!(refusal(&open, with_token, &cookie, Some(FOREIGN)).await, None);
}

// covers: underscore refusal of cookies
#[tokio::test]
async fn claimed_user_must_be_that_of_the_cookie() {
    let app = app().await;
    let (cookie, origin) = (page_cookie("anna"), own(&app));
    for claimed in [json!("ben"), json!("an-id-of-the-login"), json!(5), json!("")] {
        let refused = refusal(&app, json!({ "userId": claimed }), &cookie, Some(&origin)).await;
        assert_eq!(refused.as_deref(), REFUSED, "{claimed}");
    }
    for absent in [json!({}), json!({ "userId": null }), json!({ "token": "", "userId": "anna" })] {
        assert_eq!(refusal(&app, absent, &cookie, Some(&origin)).await, None);
    }
    for nothing in ["theme=dark", "authjs.session-token="] {
        let refused = refusal(&app, json!({ "userId": "anna" }), nothing, Some(&origin)).await;
        assert_eq!(refused.as_deref(), REFUSED, "{nothing}");
    }
}

/// A cookie whose value has one changed bit in this part of the token.
fn tampered(token: &str, part: usize) -> String {
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let mut bytes = URL_SAFE_NO_PAD.decode(&parts[part]).unwrap();
    bytes[0] ^= 1;
    parts[part] = URL_SAFE_NO_PAD.encode(bytes);
    parts.join(".")
}

// covers: underscore refusal of cookies
#[tokio::test]
async fn wrong_cookies_are_refused_everywhere() {
    let app = app().await;
    let origin = own(&app);
    let page = authjs(PAGE_SECRET, PAGE, &claims("anna"));
    let old = next_auth(OLD_SECRET, &claims("anna"));
    let with = |key: &str, value: Value| {
        let mut claims = claims("anna");
        claims[key] = value;
        claims
    };
    let chunked = in_chunks(PAGE, &page, 100);
    let without_first = chunked.replace(&format!("{PAGE}.0="), "gone=");
    let without_second = chunked.replace(&format!("{PAGE}.1="), "gone=");
    let mut wrong = vec![
        format!("{SECURE_PAGE}={page}"),
        format!("{OLD}={page}"),
        format!("{PAGE}={old}"),
        format!("{PAGE}={}", authjs(OLD_SECRET, PAGE, &claims("anna"))),
        format!("{PAGE}={}", authjs(PAGE_SECRET, OLD, &claims("anna"))),
        format!("{OLD}={}", next_auth(PAGE_SECRET, &claims("anna"))),
        format!("{DESK}={page}"),
        format!("{PAGE}={}", signed(Algorithm::HS256, PAGE_SECRET, &claims("anna"))),
        format!("{PAGE}={}", authjs(PAGE_SECRET, PAGE, &with("exp", json!(seconds() - 60)))),
        format!("{PAGE}={}", authjs(PAGE_SECRET, PAGE, &with("exp", Value::Null))),
        format!("{PAGE}={}", authjs(PAGE_SECRET, PAGE, &with("nbf", json!(seconds() + 60)))),
        format!("{OLD}={}", next_auth(OLD_SECRET, &with("exp", json!(seconds() - 60)))),
        format!(
            "{DESK}={}",
            signed(Algorithm::HS256, SECRET, &json!({ "sub": "anna", "exp": seconds() - 60 }))
        ),
        format!("{DESK}={}", signed(Algorithm::HS512, SECRET, &claims("anna"))),
        without_first,
        without_second,
        format!("{PAGE}=eyJhbGciOiJub25lIn0..a.a.a"),
    ];
    wrong.extend([0, 2, 3, 4].map(|part| format!("{PAGE}={}", tampered(&page, part))));
    wrong.extend([0, 2, 3, 4].map(|part| format!("{OLD}={}", tampered(&old, part))));
    for cookie in wrong {
        let refused = refusal(&app, json!({ "userId": "anna" }), &cookie, Some(&origin)).await;
        assert_eq!(refused.as_deref(), REFUSED, "{cookie}");
        assert_eq!(list(&app, &cookie, Some(&origin)).await, 401, "{cookie}");
    }
    // An encrypted token is no bearer token: without its cookie's name nothing says for what it was made.
    for encrypted in [&page, &old] {
        let auth = json!({ "token": encrypted, "userId": "anna" });
        assert_eq!(refusal(&app, auth, "theme=dark", Some(&origin)).await.as_deref(), REFUSED);
    }
}

// covers: underscore session cookie
#[tokio::test]
async fn token_comes_before_the_cookie() {
    let app = app().await;
    let (cookie, origin) = (page_cookie("anna"), own(&app));
    let auth = json!({ "token": token("ben"), "userId": "ben" });
    let mut client = attempt(&app, &auth, &cookie, Some(&origin)).await.ok().unwrap();
    assert_eq!(client.payload("connected").await, json!({ "userId": "ben" }));
    let wrong = json!({ "token": "wrong", "userId": "anna" });
    assert_eq!(refusal(&app, wrong, &cookie, Some(&origin)).await.as_deref(), REFUSED);
    for (header, status) in
        [(format!("Bearer {}", token("ben")), 200), ("Bearer wrong".to_owned(), 401), (String::new(), 200)]
    {
        let request = app.request("GET", "//api/chat/conversations").header("cookie", &cookie);
        let reply = request.header("authorization", &header).send().await.unwrap();
        assert_eq!(reply.status(), status, "{header}");
    }
}

// covers: underscore Origin of cookies
#[tokio::test]
async fn rest_cookie_needs_a_trusted_origin_unless_get() {
    let app = app().await;
    let (cookie, origin) = (page_cookie("anna"), own(&app));
    assert_eq!(list(&app, &page_cookie("ben"), None).await, 200, "creates ben");
    for trusted in [None, Some(origin.as_str()), Some(LISTED)] {
        assert_eq!(list(&app, &cookie, trusted).await, 200, "{trusted:?}");
    }
    for foreign in [FOREIGN, "null", "http://127.0.0.1"] {
        assert_eq!(list(&app, &cookie, Some(foreign)).await, 401, "{foreign}");
    }
    let path = "/api/chat/conversations";
    let body = || Some(json!({ "participantId": "ben" }));
    for foreign in [None, Some(FOREIGN), Some("null")] {
        let reply = call(&app, "POST", path, &cookie, foreign, body()).await;
        assert_eq!(reply.status, 401, "{foreign:?}: {}", reply.text());
        let reply = call(&app, "HEAD", path, &cookie, foreign, None).await;
        assert_eq!(reply.status, 401, "{foreign:?}");
    }
    call(&app, "POST", path, &cookie, Some(&origin), body()).await.with_status(201);
    call(&app, "POST", path, &cookie, Some(LISTED), body()).await.with_status(200);
}

async fn poll(app: &TestApp, method: &str, sid: &str, body: &str, headers: &[(&str, &str)]) -> Reply {
    let url = format!("/{PATH}?EIO=4&transport=polling{sid}");
    let request = app.request(method, &url).body(body.to_owned());
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    Reply::of(request.send().await.unwrap()).await
}

/// Opens a session by polling; its part of the query.
async fn open_polling(app: &TestApp, headers: &[(&str, &str)]) -> String {
    let opened = poll(app, "GET", "", "", headers).await.text();
    let opened: Value = serde_json::from_str(opened.strip_prefix('0').unwrap()).unwrap();
    format!("&sid={}", opened["sid"].as_str().unwrap())
}

/// Connects by polling, with these headers in the handshake and in the POST; the answer of the namespace.
async fn polled(app: &TestApp, handshake: &[(&str, &str)], post: &[(&str, &str)]) -> String {
    let sid = open_polling(app, handshake).await;
    let accepted = poll(app, "POST", &sid, r#"40{"userId":"anna"}"#, post).await;
    assert_eq!(accepted.status, 200, "{}", accepted.text());
    for _ in 0..10 {
        let packets = poll(app, "GET", &sid, "", handshake).await.text();
        // Others are heartbeats.
        if let Some(answer) = packets.split('\u{1e}').find(|packet| packet.starts_with('4')) {
            return answer.to_owned();
        }
    }
    panic!("the namespace did not answer");
}

// covers: underscore Origin of cookies
#[tokio::test]
async fn polling_cookie_counts_with_the_origin_of_a_post() {
    let app = app().await;
    let cookie = page_cookie("anna");
    app.private(&cookie);
    let cookie = ("cookie", cookie.as_str());
    let own = own(&app);
    let (own, listed) = (("origin", own.as_str()), ("origin", LISTED));
    // Browsers send no origin with a GET to their own.
    for (handshake, post) in [(&[cookie][..], own), (&[cookie, own], own), (&[cookie, listed], listed)] {
        let answer = polled(&app, handshake, &[cookie, post]).await;
        assert!(answer.starts_with("40{"), "{answer}");
    }
    for (handshake, post) in
        [(&[cookie][..], &[cookie][..]), (&[cookie, own], &[cookie]), (&[own], &[cookie, own])]
    {
        let answer = polled(&app, handshake, post).await;
        assert!(answer.starts_with(r#"44{"message":"Authentication error""#), "{answer}");
    }
    let foreign = ("origin", FOREIGN);
    assert_eq!(poll(&app, "GET", "", "", &[cookie, foreign]).await.status, 403);
}

// covers: underscore Origin of cookies
#[tokio::test]
async fn polling_cookie_counts_with_the_origin_of_the_upgrade() {
    let app = app().await;
    let (cookie, origin) = (page_cookie("anna"), own(&app));
    app.private(&cookie);
    let headers = [("cookie", cookie.as_str()), ("origin", &origin)];
    for (upgrade, expected) in
        [(&headers[..], "40{"), (&headers[..1], r#"44{"message":"Authentication error""#)]
    {
        let sid = open_polling(&app, &headers[..1]).await;
        let query = format!("EIO=4&transport=websocket{sid}");
        let mut wire = Wire::with_headers_at(&app, PATH, &query, upgrade).await.ok().unwrap();
        wire.send("2probe").await;
        assert_eq!(wire.packet().await, "3probe");
        wire.send("5").await;
        wire.send(r#"40{"userId":"anna"}"#).await;
        let answer = wire.packet_with("4").await;
        assert!(answer.starts_with(expected), "{answer}");
    }
}

// covers: underscore session cookie
#[tokio::test]
async fn socket_ends_with_its_cookie() {
    let app = app().await;
    let mut claims = claims("anna");
    // Within the leeway of five seconds.
    claims["exp"] = json!(seconds() - 3);
    let cookie = format!("{PAGE}={}", authjs(PAGE_SECRET, PAGE, &claims));
    let mut client = connect(&app, "anna", &cookie, LISTED).await;
    client.payload("error").await;
    client.closed().await;
    assert_eq!(list(&app, &cookie, None).await, 401);
}
