//! The `underscore` dialect: its own path, claimed ids, and texts that are sent as events and as REST calls.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::client::{ChatClient, app, app_with, rest, seconds, signed, token, unassigned_app, wrong_tokens};
use super::support::{ANNA, TestApp};

const PATH: &str = "/api/socket/";
/// Of an identity provider whose first dialect is `underscore`.
pub const PAGE_SECRET: &str = "93f1c0a8e2f7d946b351c0a8e2f7d946";
const IDENTITIES: &str = r#"[
    { "name": "desk", "jwt_secret": "${DESK_SECRET}" },
    { "name": "page", "jwt_secret": "${PAGE_SECRET}", "dialects": ["underscore", "namespace"] }
]"#;

/// A daemon whose users of `page` get the shared paths in this dialect.
pub async fn page_app(more: &[(&str, &str)]) -> TestApp {
    let own = [("WHARF__CHAT__IDENTITIES", IDENTITIES), ("PAGE_SECRET", PAGE_SECRET)];
    app_with(&[&own[..], more].concat()).await
}

/// An hour's token of a user of `page`.
fn page_token(user: &str, role: &str) -> String {
    let claims = json!({
        "sub": user, "name": format!("{user}'s name"), "email": format!("{user}@example.com"), "role": role,
        "exp": seconds() + 3_600,
    });
    signed(jsonwebtoken::Algorithm::HS256, PAGE_SECRET, &claims)
}

pub fn staff(user: &str) -> String {
    page_token(user, "ADMIN")
}

pub async fn connect(app: &TestApp, token: &str, user: &str) -> ChatClient {
    let auth = json!({ "token": token, "userId": user }).to_string();
    let answer = ChatClient::attempt(app, PATH, &auth).await;
    let mut client = answer.unwrap_or_else(|refusal| panic!("refused: {refusal}"));
    assert_eq!(client.payload("connected").await, json!({ "userId": user }));
    client
}

/// Opens the conversation of anna and ben; its id.
pub async fn open(app: &TestApp) -> String {
    let body = json!({ "participantId": "ben" });
    let path = "/api/chat/conversations";
    let opened = rest(app, &staff("anna"), "POST", path, Some(body)).await.with_status(201);
    opened["conversation"]["id"].as_str().unwrap().to_owned()
}

/// Two users who joined their conversation, which begins with the welcome.
pub async fn pair(app: &TestApp) -> (ChatClient, ChatClient, String) {
    let mut anna = connect(app, &staff("anna"), "anna").await;
    let mut ben = connect(app, &staff("ben"), "ben").await;
    let id = open(app).await;
    anna.payload("notification").await;
    for client in [&mut ben, &mut anna] {
        client.ask("join_conversation", json!({ "conversationId": id })).await;
    }
    // The last event of these: anna read the welcome.
    ben.payload("messages_read").await;
    drain(&mut anna).await;
    (anna, ben, id)
}

/// The events that arrived before the answer to a harmless request.
pub async fn drain(client: &mut ChatClient) -> Vec<Value> {
    client.ask("user_online", json!({})).await;
    client.taken()
}

pub fn named<'a>(events: &'a [Value], name: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event[0] == name).map(|event| &event[1]).collect()
}

async fn post(app: &TestApp, user: &str, id: &str, content: &str) -> Value {
    let body = json!({ "content": content, "receiverId": "ben", "messageType": "TEXT" });
    let path = format!("/api/chat/conversations/{id}/messages");
    rest(app, user, "POST", &path, Some(body)).await.with_status(201)["message"].clone()
}

pub async fn contents(app: &TestApp, user: &str, id: &str) -> Vec<Value> {
    let path = format!("/api/chat/conversations/{id}/messages");
    let page = rest(app, user, "GET", &path, None).await.with_status(200);
    page["messages"].as_array().unwrap().iter().map(|message| message["content"].clone()).collect()
}

// covers: underscore connected
// covers: underscore refusal of tokens
// covers: underscore path without a query
#[tokio::test]
async fn claimed_user_must_be_that_of_the_token() {
    let app = app().await;
    connect(&app, &token("anna"), "anna").await;
    let refusal = async |auth: Value| ChatClient::attempt(&app, PATH, &auth.to_string()).await.err();
    for claimed in [json!("ben"), json!(5), json!({}), json!("")] {
        let refused = refusal(json!({ "token": token("anna"), "userId": claimed })).await;
        assert_eq!(refused.as_deref(), Some("Authentication error"), "{claimed}");
    }
    for absent in [json!({ "token": token("anna") }), json!({ "token": token("anna"), "userId": null })] {
        assert_eq!(refusal(absent).await, None);
    }
    assert_eq!(refusal(json!({ "userId": "anna" })).await.as_deref(), Some("Authentication error"));
    for wrong in wrong_tokens() {
        let refused = refusal(json!({ "token": wrong, "userId": "anna" })).await;
        assert_eq!(refused.as_deref(), Some("Authentication error"), "{wrong}");
    }
    let auth = json!({ "token": token("anna") }).to_string();
    let elsewhere = ChatClient::attempt_at(&app, PATH, "/chat,", &auth).await.err();
    assert_eq!(elsewhere.as_deref(), Some("Invalid namespace"));
    // Existing pages request the path without a query before they connect.
    let status = app.request("GET", "//api/socket").send().await.unwrap();
    assert_eq!(status.status(), 200);
    let status: Value = status.json().await.unwrap();
    assert_eq!(status["status"], "active");
    assert!(status["message"].is_string() && status["timestamp"].as_str().unwrap().ends_with('Z'));
}

// covers: underscore join_conversation
// covers: underscore leave_conversation
// covers: underscore send_message
// covers: underscore new_message
// covers: underscore notification
// covers: underscore messages_read
#[tokio::test]
async fn message_reaches_joined_sockets_and_is_read_by_joining() {
    let app = page_app(&[]).await;
    let (mut anna, mut ben, id) = pair(&app).await;
    let draft = json!({ "conversationId": id, "senderId": "anna", "receiverId": "ben", "content": "Hello!" });
    anna.emit("send_message", draft).await;
    let message = ben.payload("new_message").await;
    let user = |id: &str| json!({ "id": id, "name": format!("{id}'s name"), "email": format!("{id}@example.com"), "image": null, "role": "ADMIN" });
    for (field, value) in [
        ("conversationId", json!(id)),
        ("content", json!("Hello!")),
        ("messageType", json!("TEXT")),
        ("senderId", json!("anna")),
        ("receiverId", json!("ben")),
        ("sender", user("anna")),
        ("receiver", user("ben")),
        ("attachments", json!([])),
        ("readReceipts", json!([])),
        ("readCount", json!(0)),
    ] {
        assert_eq!(message[field], value, "{field}");
    }
    assert!(message["id"].is_string() && message["createdAt"].as_str().unwrap().ends_with('Z'));
    let notified = ben.payload("notification").await;
    assert_eq!(notified, json!({ "type": "new_message", "conversationId": id, "message": message }));
    let own = drain(&mut anna).await;
    assert_eq!(named(&own, "new_message"), [&message], "the sender gets it once");
    assert!(named(&own, "notification").is_empty());

    let read = json!({ "conversationId": id, "userId": "ben" });
    for _ in 0..2 {
        ben.ask("join_conversation", json!({ "conversationId": id, "userId": "ben" })).await;
        assert_eq!(anna.payload("messages_read").await, read, "also without an unread message");
    }
    let path = format!("/api/chat/conversations/{id}/messages?limit=1");
    let page = rest(&app, &staff("anna"), "GET", &path, None).await.with_status(200);
    assert_eq!(page["messages"][0]["readReceipts"][0]["user"], json!({ "id": "ben", "name": "ben's name" }));
    assert!(named(&drain(&mut ben).await, "messages_read").is_empty(), "not to the reader");

    ben.ask("leave_conversation", json!({ "conversationId": id })).await;
    anna.ask("send_message", json!({ "conversationId": id, "content": "gone?" })).await;
    assert_eq!(ben.payload("notification").await["message"]["content"], "gone?");
    assert!(named(&drain(&mut ben).await, "new_message").is_empty());
}

// covers: POST /api/chat/conversations/{id}/messages
#[tokio::test]
async fn event_and_call_with_one_text_are_one_message() {
    let app = page_app(&[]).await;
    let (mut anna, mut ben, id) = pair(&app).await;
    let event = json!({ "conversationId": id, "content": "ok" });
    anna.ask("send_message", event.clone()).await;
    anna.ask("send_message", event.clone()).await;
    let first = post(&app, &staff("anna"), &id, "ok").await;
    let second = post(&app, &staff("anna"), &id, "ok").await;
    assert_ne!(first["id"], second["id"], "two of one channel");
    post(&app, &staff("anna"), &id, "call first").await;
    anna.ask("send_message", json!({ "conversationId": id, "content": "call first" })).await;
    post(&app, &staff("anna"), &id, "end").await;
    let mut received = Vec::new();
    while received.last() != Some(&json!("end")) {
        received.push(ben.payload("new_message").await["content"].clone());
    }
    assert_eq!(received, ["ok", "ok", "call first", "end"]);
    assert_eq!(contents(&app, &staff("ben"), &id).await[1..], received);

    // The event that belongs to `end` comes too late, and after a restart.
    app.clock.advance(10_001);
    let app = app.restarted().await;
    let mut anna = connect(&app, &staff("anna"), "anna").await;
    anna.ask("send_message", json!({ "conversationId": id, "content": "end" })).await;
    assert_eq!(contents(&app, &staff("ben"), &id).await[4..], ["end", "end"]);
    // One that comes in time matches after a restart.
    let app = app.restarted().await;
    post(&app, &staff("anna"), &id, "end").await;
    assert_eq!(contents(&app, &staff("ben"), &id).await.len(), 6);
}

// covers: underscore error
#[tokio::test]
async fn claimed_ids_and_bad_input_are_refused() {
    let app = page_app(&[]).await;
    let (mut anna, mut ben, id) = pair(&app).await;
    for (event, field) in [
        ("send_message", "senderId"),
        ("join_conversation", "userId"),
        ("typing", "userId"),
        ("user_offline", "userId"),
    ] {
        let payload = json!({ "conversationId": id, "content": "x", "isTyping": true, field: "ben" });
        anna.emit(event, payload).await;
        let sentence = format!("{field} is not the authenticated user");
        let refused = json!({ "message": sentence, "code": "not_you", "event": event });
        assert_eq!(anna.payload("error").await, refused);
    }
    let system = json!({ "conversationId": id, "content": "x", "messageType": "SYSTEM" });
    anna.emit("send_message", system).await;
    assert_eq!(anna.payload("error").await["code"], "invalid_field");
    for payload in [json!(null), json!([]), json!("x"), json!({ "conversationId": [] })] {
        for event in ["send_message", "join_conversation", "leave_conversation", "typing"] {
            anna.emit(event, payload.clone()).await;
            assert_eq!(anna.payload("error").await["code"], "invalid_field", "{event} {payload}");
        }
    }
    let mut eve = connect(&app, &staff("eve"), "eve").await;
    for conversation in [json!(id), json!("999999"), json!("x")] {
        for event in ["send_message", "join_conversation"] {
            let refused = eve.ask(event, json!({ "conversationId": conversation, "content": "x" })).await;
            let absent = json!({ "message": "Conversation not found", "code": "not_found", "event": event });
            assert_eq!(refused, absent);
        }
    }
    anna.ask("send_message", json!({ "conversationId": id, "content": "still here" })).await;
    assert_eq!(ben.payload("new_message").await["content"], "still here");
    assert!(named(&drain(&mut eve).await, "new_message").is_empty());
}

// covers: underscore typing
// covers: underscore user_typing
#[tokio::test]
async fn typing_changes_once_a_second_and_ends_with_the_last() {
    let app = page_app(&[]).await;
    let (mut anna, mut ben, id) = pair(&app).await;
    let change = |on: bool| json!({ "conversationId": id, "userId": "anna", "isTyping": on });
    for on in [true, false, true, false] {
        anna.ask("typing", change(on)).await;
    }
    let typing = ben.payload("user_typing").await;
    assert_eq!(typing, json!({ "conversationId": id, "userId": "anna", "isTyping": true }));
    assert!(named(&drain(&mut ben).await, "user_typing").is_empty());
    app.clock.advance(1_000);
    assert_eq!(ben.payload("user_typing").await["isTyping"], false);
    assert!(named(&drain(&mut anna).await, "user_typing").is_empty());
}

// covers: underscore user_online
// covers: underscore user_offline
// covers: underscore user_status_changed
#[tokio::test]
async fn user_is_offline_when_all_sockets_are_away() {
    let app = page_app(&[]).await;
    app.clock.advance(120_000);
    let (mut anna, mut ben, _) = pair(&app).await;
    let mut other = connect(&app, &staff("anna"), "anna").await;
    app.clock.advance(5_000);
    anna.ask("user_offline", json!({ "userId": "anna" })).await;
    other.ask("user_offline", json!({})).await;
    drain(&mut ben).await;
    app.clock.advance(5_000);
    let mut changed = ben.payload("user_status_changed").await;
    while changed["isOnline"] == true {
        changed = ben.payload("user_status_changed").await;
    }
    assert_eq!(changed, json!({ "userId": "anna", "isOnline": false }));
    app.clock.advance(5_000);
    other.ask("user_online", json!({ "userId": "anna" })).await;
    let online = json!({ "userId": "anna", "isOnline": true });
    assert_eq!(ben.payload("user_status_changed").await, online);
}

// covers: underscore message_deleted
#[tokio::test]
async fn other_dialects_share_the_conversation() {
    let app = app().await;
    let mut anna = connect(&app, &token("anna"), "anna").await;
    let mut ben = ChatClient::connect(&app, "ben").await;
    ben.ask("conversation:join", json!({ "conversationWith": "anna" })).await;
    let sent =
        ben.ask("message:send", json!({ "recipientId": "anna", "content": "hi", "tempId": "t" })).await;
    let message = anna.payload("notification").await["message"].clone();
    assert_eq!((&message["content"], &message["id"]), (&json!("hi"), &sent["message"]["id"]));
    let id = message["conversationId"].clone();
    anna.ask("join_conversation", json!({ "conversationId": id })).await;
    assert_eq!(ben.payload("messages:read").await["readBy"], "anna");
    anna.ask("send_message", json!({ "conversationId": id, "content": "hello" })).await;
    let mut answer = ben.payload("message:new").await;
    while answer["content"] != "hello" {
        answer = ben.payload("message:new").await;
    }
    assert!(answer.get("tempId").is_none(), "{answer}");
    let path = format!("/api/messages/{}", sent["message"]["id"].as_str().unwrap());
    rest(&app, &token("ben"), "DELETE", &path, None).await.with_status(200);
    let deleted = json!({ "conversationId": id, "messageId": sent["message"]["id"] });
    assert_eq!(anna.payload("message_deleted").await, deleted);
}

// covers: underscore message_updated
#[tokio::test]
async fn inbox_is_shown_with_two_parties() {
    let app = unassigned_app().await;
    app.device("shop").await;
    app.patch("/devices/shop", json!({ "settings": { "chat": { "bridge": "people" } } })).await.ok();
    app.put("/devices/shop/operators", json!({ "operators": [{ "who": "desk:role:support" }] })).await.ok();
    let mut bela = connect(&app, &token("bela"), "bela").await;
    let mut cleo = connect(&app, &token("cleo"), "cleo").await;
    app.incoming("shop", ANNA, "Is it open?").await;
    let notified = bela.payload("notification").await;
    let (id, message) = (&notified["conversationId"], &notified["message"]);
    assert_eq!((&message["content"], &message["receiverId"]), (&json!("Is it open?"), &json!("bela")));
    let contact = message["senderId"].clone();
    assert_eq!(cleo.payload("notification").await["message"]["receiverId"], "cleo");
    for client in [&mut bela, &mut cleo] {
        client.ask("join_conversation", json!({ "conversationId": id })).await;
    }
    bela.ask("send_message", json!({ "conversationId": id, "content": "Until six." })).await;
    let seen = cleo.payload("new_message").await;
    assert_eq!((&seen["senderId"], &seen["receiverId"]), (&json!("cleo"), &contact));
    assert_eq!(seen["author"], json!({ "id": "bela", "name": "bela's name" }));
    assert_eq!(bela.payload("messages_read").await, json!({ "conversationId": id, "userId": contact }));
    // The call of the same text is the same message.
    let path = format!("/api/chat/conversations/{}/messages", id.as_str().unwrap());
    let body = json!({ "content": "Until six.", "receiverId": contact });
    let posted = rest(&app, &token("bela"), "POST", &path, Some(body)).await.with_status(201);
    assert_eq!(posted["message"]["id"], seen["id"]);
    let network = app.get("/simulator/shop/network").await.ok();
    assert_eq!(network["data"]["sent"].as_array().unwrap().len(), 1);
    // An event and a call of one command have one answer, which other operators do not get.
    bela.taken();
    bela.ask("send_message", json!({ "conversationId": id, "content": "/help" })).await;
    let help = Some(json!({ "content": "/help", "receiverId": contact }));
    let posted = rest(&app, &token("bela"), "POST", &path, help).await.with_status(201);
    let answer = bela.payload("new_message").await;
    assert_eq!((&answer["id"], &answer["messageType"]), (&posted["message"]["id"], &json!("SYSTEM")));
    assert!(named(&drain(&mut bela).await, "new_message").is_empty());
    assert!(named(&drain(&mut cleo).await, "new_message").is_empty());
    app.fault("shop", json!({ "kind": "send_permanent" })).await;
    bela.ask("send_message", json!({ "conversationId": id, "content": "lost" })).await;
    let failed = bela.payload("error").await;
    assert_eq!(failed["code"], "not_on_network", "{failed}");
    let updated = cleo.payload("message_updated").await;
    assert_eq!((&updated["id"], &updated["content"]), (&failed["messageId"], &json!("lost")));
}

#[tokio::test]
async fn file_of_contact_has_its_size_type_and_name() {
    let app = app().await;
    app.device("shop").await;
    app.patch("/devices/shop", json!({ "settings": { "chat": { "bridge": "people" } } })).await.ok();
    app.put("/devices/shop/operators", json!({ "operators": [{ "who": "desk:bela" }] })).await.ok();
    let mut bela = connect(&app, &token("bela"), "bela").await;
    let bytes = b"%PDF-1.4 an offer";
    let media = json!({ "data": STANDARD.encode(bytes), "filename": "offer 1.pdf" });
    app.post("/simulator/shop/incoming", json!({ "from": ANNA, "media": media })).await.ok();
    let notified = bela.payload("notification").await;
    let file = &notified["message"]["attachments"][0];
    for (field, value) in [
        ("fileSize", json!(bytes.len())),
        ("fileType", json!("application/pdf")),
        ("fileName", json!("offer 1.pdf")),
    ] {
        assert_eq!(file[field], value, "{field}");
    }
    assert_eq!(notified["message"]["content"], "Shared a PDF document: offer 1.pdf");
}

// covers: GET /api/chat/list
// covers: GET /api/chat/experts
#[tokio::test]
async fn lists_follow_the_directory_and_the_conversations() {
    let app = page_app(&[]).await;
    for (user, role) in [("anna", "STUDENT"), ("ben", "ADMIN"), ("cleo", "STUDENT"), ("dan", "ADMIN")] {
        connect(&app, &page_token(user, role), user).await;
    }
    let anna = page_token("anna", "STUDENT");
    let get = async |user: &str, path: &str| rest(&app, user, "GET", path, None).await.with_status(200);
    let experts = get(&anna, "/api/chat/experts").await;
    assert_eq!(experts["users"], experts["experts"]);
    let ids = |list: &Value| -> Vec<Value> {
        list.as_array().unwrap().iter().map(|user| user["id"].clone()).collect()
    };
    assert_eq!(ids(&experts["users"]), ["ben", "dan"], "students list staff only");
    let all = get(&staff("ben"), "/api/chat/experts").await;
    assert_eq!(ids(&all["users"]), ["anna", "cleo", "dan"]);
    let body = json!({ "participantId": "cleo" });
    rest(&app, &anna, "POST", "/api/chat/conversations", Some(body)).await.with_status(201);
    let list = get(&anna, "/api/chat/list").await["chatList"].clone();
    let users: Vec<_> = list.as_array().unwrap().iter().map(|entry| entry["user"]["id"].clone()).collect();
    assert_eq!(users, ["cleo", "ben", "dan"], "those with messages first");
    assert_eq!(list[0]["lastMessage"], list[0]["conversation"]["messages"][0]);
    assert_eq!((&list[1]["conversation"], &list[1]["lastMessage"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn opened_conversation_begins_with_the_welcome() {
    let app = page_app(&[("WHARF__CHAT__WELCOME", "Hi {name}!")]).await;
    for user in ["anna", "ben"] {
        connect(&app, &staff(user), user).await;
    }
    let id = open(&app).await;
    let path = "/api/chat/conversations";
    let body = json!({ "participantId": "ben" });
    let again = rest(&app, &staff("anna"), "POST", path, Some(body)).await.with_status(200);
    assert_eq!(again["conversation"]["id"], json!(id));
    let listed = rest(&app, &staff("ben"), "GET", path, None).await.with_status(200);
    let conversation = &listed["conversations"][0];
    let welcome = &conversation["messages"][0];
    let parts = (&welcome["content"], &welcome["messageType"], &welcome["senderId"], &welcome["receiverId"]);
    assert_eq!(parts, (&json!("Hi anna's name!"), &json!("SYSTEM"), &json!("ben"), &json!("anna")));
    let participants = conversation["participants"].as_array().unwrap();
    let ids: Vec<_> = participants.iter().map(|member| member["user"]["id"].clone()).collect();
    assert_eq!(ids, ["ben", "anna"], "the viewer and the other user");
    for unknown in ["zoe", "anna"] {
        let body = json!({ "participantId": unknown });
        let refused = rest(&app, &staff("anna"), "POST", path, Some(body)).await;
        let refused = refused.with_status(404);
        assert_eq!(refused["error"], "Participant user not found", "{unknown}");
    }
    let path = format!("{path}/{id}/messages");
    connect(&app, &staff("eve"), "eve").await;
    let refused = rest(&app, &staff("eve"), "GET", &path, None).await.with_status(404);
    assert_eq!(
        (&refused["error"], &refused["code"]),
        (&json!("Conversation not found"), &json!("not_found"))
    );
    let quiet = page_app(&[("WHARF__CHAT__WELCOME", "")]).await;
    for user in ["anna", "ben"] {
        connect(&quiet, &staff(user), user).await;
    }
    let id = open(&quiet).await;
    assert!(contents(&quiet, &staff("anna"), &id).await.is_empty());
}

#[tokio::test]
async fn lists_have_conversations_without_messages() {
    let app = page_app(&[("WHARF__CHAT__WELCOME", "")]).await;
    for user in ["anna", "ben", "cleo", "dan"] {
        connect(&app, &staff(user), user).await;
    }
    let path = "/api/chat/conversations";
    let open_with = async |user: &str| {
        let body = Some(json!({ "participantId": user }));
        let opened = rest(&app, &staff("anna"), "POST", path, body).await.with_status(201);
        opened["conversation"]["id"].as_str().unwrap().to_owned()
    };
    let (with_ben, with_cleo) = (open_with("ben").await, open_with("cleo").await);
    app.clock.advance(1_000);
    post(&app, &staff("anna"), &with_ben, "hello").await;
    app.clock.advance(1_000);
    let with_dan = open_with("dan").await;
    let get =
        async |user: &str, path: &str| rest(&app, &staff(user), "GET", path, None).await.with_status(200);
    let listed = get("anna", path).await["conversations"].clone();
    let ids: Vec<_> = listed.as_array().unwrap().iter().map(|one| one["id"].clone()).collect();
    assert_eq!(ids, [json!(with_dan), json!(with_ben), json!(with_cleo)], "the newest first");
    assert_eq!(listed[0]["messages"], json!([]));
    assert_eq!(listed[0]["updatedAt"], listed[0]["createdAt"]);
    assert_eq!(get("cleo", path).await["conversations"][0]["id"], json!(with_cleo), "for both users");
    let list = get("anna", "/api/chat/list").await["chatList"].clone();
    let parts: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["conversation"]["id"].clone(), entry["lastMessage"]["content"].clone()))
        .collect();
    let empty = |id: &str| (json!(id), Value::Null);
    assert_eq!(parts, [(json!(with_ben), json!("hello")), empty(&with_dan), empty(&with_cleo)]);
}

#[tokio::test]
async fn simultaneous_calls_open_one_conversation() {
    let app = page_app(&[]).await;
    for user in ["anna", "ben"] {
        connect(&app, &staff(user), user).await;
    }
    let calls = (0..24).map(|number| {
        let (user, other) = if number % 2 == 0 { ("anna", "ben") } else { ("ben", "anna") };
        let (app, body) = (&app, Some(json!({ "participantId": other })));
        async move { rest(app, &staff(user), "POST", "/api/chat/conversations", body).await }
    });
    let replies = join_all(calls).await;
    let with_status = |status: u16| replies.iter().filter(|reply| reply.status == status).count();
    assert_eq!((with_status(201), with_status(200)), (1, 23));
    let ids: Vec<_> = replies.iter().map(|reply| reply.json()["conversation"]["id"].clone()).collect();
    assert!(ids[0].is_string() && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let id = ids[0].as_str().unwrap();
    assert_eq!(contents(&app, &staff("anna"), id).await.len(), 1, "one welcome");
}
