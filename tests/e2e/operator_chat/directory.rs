//! Who lists and writes to whom, users without proof, and identities that a reload replaces.

use serde_json::{Value, json};

use super::client::{ChatClient, SECRET, app, app_with, rest, seconds, signed, token};
use super::support::{ANNA, TestApp};

const RULES: &str =
    r#"[{ "identity": "desk", "role": "STUDENT", "lists": ["TUTOR"], "writes": ["TUTOR", ""] }]"#;

fn with_role(user: &str, role: &str) -> String {
    let claims = json!({ "sub": user, "name": user, "role": role, "exp": seconds() + 3_600 });
    signed(jsonwebtoken::Algorithm::HS256, SECRET, &claims)
}

async fn write_to(app: &TestApp, token: &str, user: &str) -> u16 {
    let body = json!({ "recipientId": user, "content": "Hello" });
    rest(app, token, "POST", "/api/messages", Some(body)).await.status
}

async fn listed(app: &TestApp, token: &str) -> Vec<String> {
    let list = rest(app, token, "GET", "/api/v1/operators", None).await.ok();
    let id = |user: &Value| user["id"].as_str().unwrap().to_owned();
    list["data"]["operators"].as_array().unwrap().iter().map(id).collect()
}

#[tokio::test]
async fn rule_of_a_role_limits_its_directory() {
    let app = app_with(&[("WHARF__CHAT__DIRECTORY", RULES)]).await;
    let (student, other) = (with_role("sam", "student"), with_role("toni", "STUDENT"));
    let (tutor, admin) = (with_role("tess", "TUTOR"), with_role("ada", "ADMIN"));
    for token in [&student, &other, &tutor, &admin] {
        rest(&app, token, "GET", "/api/messages/unread-count", None).await.with_status(200);
    }
    assert_eq!(listed(&app, &student).await, ["sam", "tess"]);
    assert_eq!((write_to(&app, &student, "tess").await, write_to(&app, &student, "ada").await), (201, 404));
    let hidden = rest(&app, &student, "GET", "/api/users/ada", None).await;
    let unknown = rest(&app, &student, "GET", "/api/users/nobody", None).await;
    assert_eq!((hidden.status, &hidden.bytes), (404, &unknown.bytes));
    assert_eq!(write_to(&app, &admin, "sam").await, 201);
    assert_eq!(write_to(&app, &student, "ada").await, 201, "a user who wrote first is answered");
    assert_eq!(listed(&app, &student).await, ["sam", "tess"]);
    let room = json!({ "kind": "room", "participants": ["toni"] });
    rest(&app, &student, "POST", "/api/v1/conversations", Some(room)).await.refused(404, "not_found");
}

#[tokio::test]
async fn plain_users_have_simulated_devices_only() {
    let app = app_with(&[("WHARF__CHAT__ALLOW_PLAIN_TOKENS", "true")]).await;
    app.device("shop").await;
    app.patch("/devices/shop", json!({ "settings": { "chat": { "bridge": "people" } } })).await.ok();
    let operators = json!({ "operators": [{ "who": "plain:7" }] });
    app.put("/devices/shop/operators", operators).await.ok();
    app.incoming("shop", ANNA, "Is it open?").await;
    let list = rest(&app, "7:agent", "GET", "/api/v1/conversations", None).await.ok();
    let is_simulated = app.get("/devices/shop").await.ok()["data"]["engine"] == "simulator";
    assert_eq!(list["data"]["conversations"].as_array().unwrap().len(), usize::from(is_simulated));
    let mut root = ChatClient::connect_with(&app, "7:agent", "7").await;
    let auth = json!({ "userId": "8" }).to_string();
    ChatClient::attempt(&app, "/api/socket/", &auth).await.unwrap();
    assert_eq!(root.ask("user:get-status", json!("8")).await["status"], "online");
    let (_, first) = ChatClient::connect_namespace(&app, "9:brand").await;
    assert_eq!((&first[1]["userId"], &first[1]["userType"]), (&json!(9), &json!("brand")));
    for wrong in ["7:", ":agent", "7", "7:brand"] {
        let refused = ChatClient::attempt(&app, "/socket.io/", &json!({ "token": wrong }).to_string()).await;
        assert_eq!(refused.err().as_deref(), Some("Authentication error"), "{wrong}");
    }
    let others = rest(&app, &token("anna"), "GET", "/api/users/7", None).await;
    others.with_status(404);
}

#[tokio::test]
async fn plain_tokens_are_refused_by_default() {
    let app = app().await;
    for (path, auth) in [
        ("/socket.io/", json!({ "token": "anna:SUPPORT" })),
        ("/api/socket/", json!({ "userId": "anna" })),
        ("/api/socket/", json!({ "token": "anna" })),
    ] {
        let refused = ChatClient::attempt(&app, path, &auth.to_string()).await;
        assert_eq!(refused.err().as_deref(), Some("Authentication error"), "{auth}");
    }
}

#[tokio::test]
async fn reload_replaces_identities_and_directory() {
    let app = app().await;
    let shop = |user: &str| {
        let claims = json!({ "sub": user, "exp": seconds() + 3_600 });
        signed(jsonwebtoken::Algorithm::HS256, super::client::SHOP_SECRET, &claims)
    };
    let mut anna = ChatClient::connect(&app, "anna").await;
    let mut sara = ChatClient::connect_with(&app, &shop("sara"), "sara").await;
    let student = with_role("sam", "STUDENT");
    assert_eq!(write_to(&app, &student, "anna").await, 201);
    let only_desk = r#"[{ "name": "desk", "jwt_secret": "${DESK_SECRET}" }]"#;
    app.reload_identities(&[("WHARF__CHAT__IDENTITIES", only_desk), ("WHARF__CHAT__DIRECTORY", RULES)]);
    assert_eq!(sara.event("auth:error").await, ["Token revoked"]);
    sara.closed().await;
    let refused =
        ChatClient::attempt(&app, "/socket.io/", &json!({ "token": shop("sara") }).to_string()).await;
    assert_eq!(refused.err().as_deref(), Some("Authentication error"));
    assert_eq!(anna.ask("presence:update", Value::Null).await, json!({ "success": true }));
    rest(&app, &token("ben"), "GET", "/api/messages/unread-count", None).await.with_status(200);
    assert_eq!(write_to(&app, &student, "ben").await, 404, "the directory counts from the reload on");
}
