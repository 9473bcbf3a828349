//! Users without access × conversations × every call and event: each answer equals that of an absent conversation.

use serde_json::{Value, json};

use super::client::{ChatClient, SHOP_SECRET, app_with, rest, seconds, signed, token};
use super::inbox::inbox;
use super::support::{Reply, TestApp};

const ABSENT: &str = "999999";
/// `{c}` is the conversation, `{m}` a message of it, `{u}` a user of it. The method, the path and the body.
const CALLS: [(&str, &str, Option<&str>); 30] = [
    ("GET", "/api/v1/conversations/{c}", None),
    ("PATCH", "/api/v1/conversations/{c}", Some(r#"{"title":"x"}"#)),
    ("DELETE", "/api/v1/conversations/{c}", None),
    ("GET", "/api/v1/conversations/{c}/members", None),
    ("PUT", "/api/v1/conversations/{c}/members/ben", None),
    ("DELETE", "/api/v1/conversations/{c}/members/ben", None),
    ("GET", "/api/v1/conversations/{c}/messages", None),
    ("POST", "/api/v1/conversations/{c}/messages", Some(r#"{"content":"x"}"#)),
    ("DELETE", "/api/v1/conversations/{c}/messages/{m}", None),
    ("POST", "/api/v1/conversations/{c}/read", Some("{}")),
    ("POST", "/api/v1/conversations/{c}/read", Some(r#"{"messageIds":["{m}"]}"#)),
    ("POST", "/api/v1/conversations/{c}/notes", Some(r#"{"content":"x"}"#)),
    ("POST", "/api/v1/conversations/{c}/assign", Some(r#"{"user":null}"#)),
    ("POST", "/api/v1/conversations/{c}/close", None),
    ("POST", "/api/v1/conversations/{c}/open", None),
    ("GET", "/api/messages?conversationId={c}", None),
    ("POST", "/api/messages", Some(r#"{"conversationId":"{c}","content":"x"}"#)),
    ("POST", "/api/messages/read", Some(r#"{"conversationId":"{c}"}"#)),
    ("POST", "/api/messages/read", Some(r#"{"conversationId":"{c}","messageIds":["{m}"]}"#)),
    ("DELETE", "/api/messages/{m}", None),
    ("GET", "/api/chat/conversations/{c}/messages", None),
    ("GET", "/api/chat/conversations/{c}/messages?search=secret", None),
    ("PUT", "/api/chat/conversations/{c}/read", Some("{}")),
    ("PUT", "/api/chat/conversations/{c}/read", Some(r#"{"messageId":{m}}"#)),
    ("POST", "/api/chat/messages", Some(r#"{"conversationId":{c},"content":"x"}"#)),
    ("DELETE", "/api/chat/conversations/{c}", None),
    ("POST", "/api/chat/conversations/{c}/messages", Some(r#"{"content":"x"}"#)),
    ("GET", "/api/users/{u}", None),
    ("GET", "/api/v1/operators/{u}", None),
    ("GET", "/api/v1/operators/{u}/presence", None),
];
/// The dialect (0 `root`, 1 `namespace`, 2 `underscore`), the event and its payload.
const EVENTS: [(usize, &str, &str); 27] = [
    (0, "join:conversation", r#""{c}""#),
    (0, "leave:conversation", r#""{c}""#),
    (0, "conversation:join", r#"{"conversationWith":"{u}"}"#),
    (0, "conversation:leave", r#"{"conversationWith":"{u}"}"#),
    (0, "conversation:get-online-users", r#""{c}""#),
    (0, "message:send", r#"{"conversationId":"{c}","content":"x"}"#),
    (0, "message:send", r#"{"conversationId":"{c}","content":"/note x"}"#),
    (0, "message:read", r#"{"conversationId":"{c}"}"#),
    (0, "message:read", r#"{"conversationId":"{c}","messageIds":["{m}"]}"#),
    (0, "message:mark_read", r#"{"messageId":"{m}"}"#),
    (0, "message:delete", r#"{"conversationId":"{c}","messageId":"{m}"}"#),
    (0, "typing:start", r#"{"conversationId":"{c}"}"#),
    (0, "typing:stop", r#"{"conversationId":"{c}"}"#),
    (0, "user:get-status", r#""{u}""#),
    (0, "users:get-status", r#"["{u}"]"#),
    (1, "conversation:join", r#"{"conversationId":{c}}"#),
    (1, "conversation:leave", r#"{"conversationId":{c}}"#),
    (1, "message:send", r#"{"conversationId":{c},"content":"x"}"#),
    (1, "message:read", r#"{"conversationId":{c}}"#),
    (1, "message:read", r#"{"conversationId":{c},"messageId":{m}}"#),
    (1, "typing:start", r#"{"conversationId":{c}}"#),
    (1, "typing:stop", r#"{"conversationId":{c}}"#),
    (2, "join_conversation", r#""{c}""#),
    (2, "leave_conversation", r#""{c}""#),
    (2, "send_message", r#"{"conversationId":"{c}","content":"x"}"#),
    (2, "typing", r#"{"conversationId":"{c}","isTyping":true}"#),
    (2, "file_uploaded", r#"{"conversationId":"{c}","messageId":"{m}"}"#),
];

/// What a template is filled with.
struct Target {
    conversation: String,
    message: String,
    user: String,
}

impl Target {
    fn fill(&self, template: &str) -> String {
        template.replace("{c}", &self.conversation).replace("{m}", &self.message).replace("{u}", &self.user)
    }

    fn absent() -> Self {
        Self { conversation: ABSENT.to_owned(), message: ABSENT.to_owned(), user: "c999999".to_owned() }
    }

    /// An answer with the ids of the target replaced by those of an absent one.
    fn without_ids(&self, answer: &str) -> String {
        let absent = Self::absent();
        answer
            .replace(&format!("\"{}\"", self.user), &format!("\"{}\"", absent.user))
            .replace(&self.conversation, &absent.conversation)
    }
}

/// A direct conversation of Anna and Ben, their room, and a conversation of the device; each has a secret message.
async fn targets(app: &TestApp) -> Vec<(&'static str, Target)> {
    let contact = inbox(app, json!([{ "who": "desk:bela" }, { "who": "desk:rita", "rights": "read" }])).await;
    for user in ["anna", "ben", "zoe"] {
        rest(app, &token(user), "GET", "/api/messages/unread-count", None).await.with_status(200);
    }
    let send = async |path: &str, body: Value| {
        let sent = rest(app, &token("anna"), "POST", path, Some(body)).await.created();
        let text = |name: &str| sent["data"][name].as_str().unwrap().to_owned();
        (text("conversationId"), text("id"))
    };
    let (direct, in_direct) =
        send("/api/messages", json!({ "recipientId": "ben", "content": "secret one" })).await;
    let room = json!({ "kind": "room", "title": "secret room", "participants": ["ben", "zoe"] });
    let room = rest(app, &token("anna"), "POST", "/api/v1/conversations", Some(room)).await.created();
    let room = room["data"]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/conversations/{room}/messages");
    let (_, in_room) = send(&path, json!({ "content": "secret two" })).await;
    let device = app.get("/conversations?kind=device").await.ok()["data"]["conversations"][0].clone();
    let device_id = device["id"].as_str().unwrap().to_owned();
    let in_device = device["lastMessage"]["id"].as_str().unwrap().to_owned();
    let target = |conversation, message, user: &str| Target { conversation, message, user: user.to_owned() };
    vec![
        ("direct", target(direct, in_direct, "c888888")),
        ("room", target(room, in_room, "c888888")),
        ("device", target(device_id, in_device, &contact)),
    ]
}

async fn call(
    app: &TestApp,
    token: &str,
    call: &(&str, &str, Option<&str>),
    target: &Target,
) -> (u16, String) {
    let (method, path, body) = call;
    let body = body.map(|body| serde_json::from_str(&target.fill(body)).unwrap());
    let Reply { status, bytes, .. } = rest(app, token, method, &target.fill(path), body).await;
    (status, target.without_ids(&String::from_utf8(bytes).unwrap()))
}

/// A socket of each dialect.
async fn sockets(app: &TestApp, token: &str) -> Vec<ChatClient> {
    let auth = json!({ "token": token }).to_string();
    let mut sockets = Vec::new();
    for (path, namespace) in [("/socket.io/", ""), ("/socket.io/", "/chat,"), ("/api/socket/", "")] {
        sockets.push(ChatClient::attempt_at(app, path, namespace, &auth).await.unwrap());
    }
    sockets
}

#[tokio::test]
async fn answers_without_access_equal_those_of_an_absence() {
    let app = app_with(&[("WHARF__CHAT__MAX_MESSAGES_PER_10_S", "1000")]).await;
    let targets = targets(&app).await;
    let id = |kind: &str| targets.iter().find(|(name, _)| *name == kind).unwrap().1.conversation.clone();
    // Zoe was a member of the room and Olga an operator of the inbox; both lost their access.
    rest(&app, &token("anna"), "DELETE", &format!("/api/v1/conversations/{}/members/zoe", id("room")), None)
        .await
        .ok();
    let operators = json!([{ "who": "desk:bela" }, { "who": "desk:rita", "rights": "read" }]);
    let with_olga =
        json!([{ "who": "desk:bela" }, { "who": "desk:rita", "rights": "read" }, { "who": "desk:olga" }]);
    app.put("/devices/shop/operators", json!({ "operators": with_olga })).await.ok();
    rest(&app, &token("olga"), "GET", "/api/v1/conversations", None).await.ok();
    app.put("/devices/shop/operators", json!({ "operators": operators })).await.ok();
    let stranger = json!({ "sub": "anna", "exp": seconds() + 3_600 });
    let stranger = signed(jsonwebtoken::Algorithm::HS256, SHOP_SECRET, &stranger);
    let absent = Target::absent();
    let mut compared = 0;
    for (who, user) in [
        ("outsider", token("eve")),
        ("removed member", token("zoe")),
        ("released operator", token("olga")),
        ("another tenant", stranger),
    ] {
        let mut sockets = sockets(&app, &user).await;
        for (kind, target) in &targets {
            for one in &CALLS {
                let (real, missing) =
                    (call(&app, &user, one, target).await, call(&app, &user, one, &absent).await);
                assert_eq!(real, missing, "{who}, {kind}: {} {}", one.0, one.1);
                assert!(!real.1.contains("nothing at this path"), "{}", one.1);
                assert!(real.0 >= 400, "{who}, {kind}: {} {} is {}", one.0, one.1, real.0);
                compared += 1;
            }
            for (dialect, event, payload) in &EVENTS {
                let fill = |of: &Target| serde_json::from_str::<Value>(&of.fill(payload)).unwrap();
                let socket = &mut sockets[*dialect];
                let real = target.without_ids(&socket.ask(event, fill(target)).await.to_string());
                let missing = socket.ask(event, fill(&absent)).await.to_string();
                assert_eq!(real, missing, "{who}, {kind}: {event} {payload}");
                compared += 1;
            }
        }
        let mut seen = Vec::new();
        for socket in &mut sockets {
            seen.extend(socket.taken());
        }
        for path in [
            "/api/messages/conversations",
            "/api/chat/conversations",
            "/api/chat/list",
            "/api/v1/conversations",
            "/api/v1/conversations?search=secret",
            "/api/v1/conversations/events",
            "/api/chat/unread-count",
        ] {
            let reply = rest(&app, &user, "GET", path, None).await;
            seen.push(Value::from(String::from_utf8(reply.bytes).unwrap()));
        }
        let seen = Value::Array(seen).to_string();
        assert!(!seen.contains("secret") && !seen.contains("Is it open?"), "{who}: {seen}");
    }
    assert_eq!(compared, 4 * targets.len() * (CALLS.len() + EVENTS.len()));
}

#[tokio::test]
async fn read_only_user_changes_nothing() {
    let app = app_with(&[("WHARF__CHAT__MAX_MESSAGES_PER_10_S", "1000")]).await;
    let targets = targets(&app).await;
    let (_, target) = targets.iter().find(|(kind, _)| *kind == "device").unwrap();
    let rita = token("rita");
    let before = app.get(&format!("/conversations/{}/messages", target.conversation)).await.ok();
    for one in CALLS.iter().filter(|(method, path, _)| *method != "GET" && !path.contains("read")) {
        let (status, answer) = call(&app, &rita, one, target).await;
        assert!((400..500).contains(&status), "{} {}: {status} {answer}", one.0, one.1);
    }
    let mut sockets = sockets(&app, &rita).await;
    for (dialect, event, payload) in EVENTS.iter().filter(|(_, event, _)| event.contains("send")) {
        let answer = sockets[*dialect].ask(event, serde_json::from_str(&target.fill(payload)).unwrap()).await;
        assert!(answer.to_string().contains("read_only"), "{event}: {answer}");
    }
    let after = app.get(&format!("/conversations/{}/messages", target.conversation)).await.ok();
    assert_eq!(before, after);
    assert_eq!(super::inbox::sent_texts(&app).await, Vec::<Value>::new());
    let messages = ("GET", "/api/v1/conversations/{c}/messages", None);
    let (status, answer) = call(&app, &rita, &messages, target).await;
    assert_eq!(status, 200, "{answer}");
}
