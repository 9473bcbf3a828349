//! Rooms: creation, members, messages and receipts in the dialects, and deletion.

use serde_json::{Value, json};

use super::client::{ChatClient, MARKET_SECRET, app, app_with, rest, seconds, signed, token};
use super::support::{Reply, TestApp};

async fn native(app: &TestApp, user: &str, method: &str, path: &str, body: Option<Value>) -> Reply {
    rest(app, &token(user), method, &format!("/api/v1/conversations{path}"), body).await
}

/// Signs users in, so that others can name them.
async fn sign_in(app: &TestApp, users: &[&str]) {
    for user in users {
        rest(app, &token(user), "GET", "/api/messages/unread-count", None).await.with_status(200);
    }
}

/// A room of Anna, who owns it, with these users.
async fn room(app: &TestApp, users: &[&str]) -> String {
    sign_in(app, &["anna"]).await;
    sign_in(app, users).await;
    let body = json!({ "kind": "room", "title": "Night shift", "participants": users });
    let created = native(app, "anna", "POST", "", Some(body)).await.created();
    created["data"]["id"].as_str().unwrap().to_owned()
}

async fn joined(app: &TestApp, user: &str, id: &str) -> ChatClient {
    let mut client = ChatClient::connect(app, user).await;
    assert_eq!(client.ask("join:conversation", json!(id)).await, json!({ "success": true }), "{user}");
    client
}

async fn send(client: &mut ChatClient, id: &str, content: &str) -> Value {
    let sent = client.ask("message:send", json!({ "conversationId": id, "content": content })).await;
    sent["message"]["id"].clone()
}

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|user| user["id"].as_str().unwrap()).collect()
}

// covers: POST /conversations
// covers: PATCH /conversations/{id}
// covers: GET /conversations/{id}/members
#[tokio::test]
async fn owner_creates_and_names_a_room() {
    let app = app().await;
    let id = room(&app, &["ben", "cleo"]).await;
    let shown = native(&app, "ben", "GET", &format!("/{id}"), None).await.ok()["data"].clone();
    assert_eq!((&shown["kind"], &shown["title"]), (&json!("room"), &json!("Night shift")));
    assert_eq!((&shown["role"], &shown["memberCount"]), (&json!("member"), &json!(3)));
    assert_eq!(ids(&shown["participants"]), ["anna", "cleo"]);
    let path = format!("/{id}");
    native(&app, "ben", "PATCH", &path, Some(json!({ "title": "Mine" }))).await.refused(403, "not_owner");
    native(&app, "dora", "PATCH", &path, Some(json!({ "title": "Mine" }))).await.refused(404, "not_found");
    native(&app, "anna", "PATCH", &path, Some(json!({ "title": " " }))).await.refused(400, "invalid_field");
    native(&app, "anna", "PATCH", &path, Some(json!({}))).await.refused(400, "invalid_field");
    let renamed = native(&app, "anna", "PATCH", &path, Some(json!({ "title": "Late shift" }))).await.ok();
    assert_eq!(renamed["data"]["title"], "Late shift");
    let removed = native(&app, "anna", "PATCH", &path, Some(json!({ "title": null }))).await.ok();
    assert_eq!(removed["data"]["title"], Value::Null);
    let first =
        native(&app, "cleo", "GET", &format!("/{id}/members?limit=2"), None).await.ok()["data"].clone();
    assert_eq!(ids(&first["members"]), ["anna", "ben"]);
    assert_eq!(first["members"][0]["memberRole"], "owner");
    let next = format!("/{id}/members?cursor={}", first["nextCursor"].as_str().unwrap());
    let last = native(&app, "cleo", "GET", &next, None).await.ok()["data"].clone();
    assert_eq!((ids(&last["members"]), &last["nextCursor"]), (vec!["cleo"], &Value::Null));
    assert_eq!(last["members"][0]["memberRole"], "member");
}

#[tokio::test]
async fn room_of_wrong_participants_is_refused() {
    let app = app_with(&[("WHARF__CHAT__MAX_ROOM_MEMBERS", "3")]).await;
    sign_in(&app, &["ben", "cleo", "dora"]).await;
    let create = |body: Value| native(&app, "anna", "POST", "", Some(body));
    create(json!({ "kind": "room", "participants": ["nobody"] })).await.refused(404, "not_found");
    create(json!({ "kind": "device", "participants": ["ben"] })).await.refused(400, "invalid_field");
    create(json!({ "kind": "direct", "participants": ["ben", "cleo"] })).await.refused(400, "invalid_field");
    create(json!({ "kind": "direct", "participants": ["ben"], "title": "x" }))
        .await
        .refused(400, "invalid_field");
    let long = "x".repeat(201);
    create(json!({ "kind": "room", "participants": [], "title": long })).await.refused(400, "invalid_field");
    let full = create(json!({ "kind": "room", "participants": ["ben", "cleo", "dora"] })).await;
    assert!(full.refused(409, "too_many_members")["error"].as_str().unwrap().contains("at most 3"));
    let made = create(json!({ "kind": "room", "participants": ["ben", "ben", "anna"] })).await.created();
    assert_eq!(made["data"]["memberCount"], 2);
    let path = format!("/{}/members", made["data"]["id"].as_str().unwrap());
    native(&app, "anna", "PUT", &format!("{path}/cleo"), None).await.ok();
    native(&app, "anna", "PUT", &format!("{path}/cleo"), None).await.ok();
    native(&app, "anna", "PUT", &format!("{path}/dora"), None).await.refused(409, "too_many_members");
}

#[tokio::test]
async fn key_creates_conversations_of_named_users() {
    let app = app().await;
    sign_in(&app, &["anna", "ben"]).await;
    let reply = async |body: Value| app.post("/conversations", body).await;
    reply(json!({ "kind": "room", "participants": [] })).await.refused(400, "invalid_field");
    let made = reply(json!({ "kind": "room", "participants": ["desk:ben", "desk:anna"] })).await.created();
    let id = made["data"]["id"].as_str().unwrap();
    assert_eq!((&made["data"]["role"], &made["data"]["unreadCount"]), (&Value::Null, &Value::Null));
    let role = async |user: &str| {
        native(&app, user, "GET", &format!("/{id}"), None).await.ok()["data"]["role"].clone()
    };
    assert_eq!((role("ben").await, role("anna").await), (json!("owner"), json!("member")));
    let direct = json!({ "kind": "direct", "participants": ["desk:anna", "desk:ben"] });
    let opened = reply(direct.clone()).await.created()["data"].clone();
    assert_eq!((&opened["kind"], ids(&opened["participants"])), (&json!("direct"), vec!["anna", "ben"]));
    assert_eq!(reply(direct).await.ok()["data"]["id"], opened["id"]);
    let again =
        native(&app, "ben", "POST", "", Some(json!({ "kind": "direct", "participants": ["anna"] }))).await;
    assert_eq!(again.ok()["data"]["id"], opened["id"]);
}

#[tokio::test]
async fn message_reaches_joined_members_and_notifies_others() {
    let app = app().await;
    let id = room(&app, &["ben", "cleo", "dora"]).await;
    let (mut anna, mut ben) = (joined(&app, "anna", &id).await, joined(&app, "ben", &id).await);
    let mut elsewhere = ChatClient::connect(&app, "dora").await;
    let (mut cleo, _) = ChatClient::connect_namespace(&app, &token("cleo")).await;
    let mut outsider = ChatClient::connect(&app, "eve").await;
    assert_eq!(outsider.ask("join:conversation", json!(id)).await["error"], "Conversation not found");
    let message = send(&mut anna, &id, "Who is on call?").await;
    let new = ben.payload("message:new").await;
    assert_eq!((&new["id"], &new["senderId"]), (&message, &json!("anna")));
    assert!(new.get("recipientId").is_none());
    let notified = cleo.payload("message:notification").await;
    assert_eq!(notified["message"]["content"], "Who is on call?");
    for other in [&mut elsewhere, &mut outsider] {
        assert!(other.arrived().await.iter().all(|event| event[0] != "message:new"));
    }
    ben.emit("typing:start", json!({ "conversationId": id })).await;
    assert_eq!(anna.payload("typing:start").await["userId"], "ben");
    assert_eq!(anna.ask("conversation:get-online-users", json!(id)).await, json!(["ben", "cleo", "dora"]));
    let unread = async |user: &str| rest(&app, &token(user), "GET", "/api/messages/unread-count", None).await;
    assert_eq!(unread("dora").await.with_status(200)["unreadCount"], 1);
    assert_eq!(unread("anna").await.with_status(200)["unreadCount"], 0);
    let list = rest(&app, &token("dora"), "GET", "/api/messages/conversations", None).await.ok();
    let listed = &list["data"]["conversations"][0];
    assert_eq!((&listed["id"], &listed["title"]), (&json!(id), &json!("Night shift")));
    assert_eq!(listed["lastMessage"]["id"], message);
}

#[tokio::test]
async fn message_is_read_when_all_members_read_it() {
    let app = app().await;
    let id = room(&app, &["ben", "cleo"]).await;
    let mut anna = joined(&app, "anna", &id).await;
    let message = send(&mut anna, &id, "Ready?").await;
    let status = async || {
        let page = native(&app, "anna", "GET", &format!("/{id}/messages"), None).await.ok();
        let found = page["data"]["messages"].as_array().unwrap().iter().find(|one| one["id"] == message);
        found.unwrap()["status"].clone()
    };
    assert_eq!(status().await, "sent");
    let read = async |user: &str| native(&app, user, "POST", &format!("/{id}/read"), Some(json!({}))).await;
    assert_eq!(read("ben").await.ok()["data"]["count"], 1);
    let receipt = anna.payload("messages:read").await;
    assert_eq!((&receipt["readBy"], &receipt["messageIds"]), (&json!("ben"), &json!([message])));
    assert_ne!(status().await, "read");
    native(&app, "anna", "PUT", &format!("/{id}/members/dora"), None).await.refused(404, "not_found");
    sign_in(&app, &["dora"]).await;
    native(&app, "anna", "PUT", &format!("/{id}/members/dora"), None).await.ok();
    assert_eq!(read("dora").await.ok()["data"]["count"], 0);
    assert_eq!(read("cleo").await.ok()["data"]["count"], 1);
    assert_eq!(read("cleo").await.ok()["data"]["count"], 0);
    assert_eq!(status().await, "read");
    let page =
        rest(&app, &token("anna"), "GET", &format!("/api/chat/conversations/{id}/messages"), None).await;
    assert_eq!(page.with_status(200)["messages"][0]["isRead"], true);
}

// covers: PUT /conversations/{id}/members/{user}
// covers: DELETE /conversations/{id}/members/{user}
#[tokio::test]
async fn removed_member_gets_nothing_from_then_on() {
    let app = app().await;
    let id = room(&app, &["ben", "cleo"]).await;
    let (mut anna, mut ben) = (joined(&app, "anna", &id).await, joined(&app, "ben", &id).await);
    native(&app, "cleo", "DELETE", &format!("/{id}/members/ben"), None).await.refused(403, "not_owner");
    native(&app, "anna", "DELETE", &format!("/{id}/members/eve"), None).await.refused(404, "not_found");
    native(&app, "anna", "DELETE", &format!("/{id}/members/ben"), None).await.ok();
    send(&mut anna, &id, "Ben has left.").await;
    anna.payload("message:new").await;
    assert!(ben.arrived().await.iter().all(|event| event[0] != "message:new"));
    let refused = ben.ask("message:send", json!({ "conversationId": id, "content": "Hello" })).await;
    assert_eq!(refused["error"], "Conversation not found");
    native(&app, "ben", "GET", &format!("/{id}/messages"), None).await.refused(404, "not_found");
    let (lost, _) = (ben.lose(), ());
    let (mut again, is_recovered) = lost.reconnect(&app, "/socket.io/", &token("ben")).await;
    assert!(is_recovered);
    send(&mut anna, &id, "Still without Ben.").await;
    assert!(again.arrived().await.iter().all(|event| event[0] != "message:new"));
    native(&app, "anna", "PUT", &format!("/{id}/members/ben"), Some(json!({ "role": "owner" }))).await.ok();
    again.ask("join:conversation", json!(id)).await;
    send(&mut anna, &id, "Ben is back.").await;
    assert_eq!(again.payload("message:new").await["content"], "Ben is back.");
}

#[tokio::test]
async fn room_keeps_an_owner_and_ends_with_its_last_member() {
    let app = app().await;
    let id = room(&app, &["ben", "cleo"]).await;
    let member = |user: &str| format!("/{id}/members/{user}");
    let own = Some(json!({ "role": "member" }));
    native(&app, "anna", "PUT", &member("anna"), own).await.refused(409, "last_owner");
    native(&app, "anna", "DELETE", &member("anna"), None).await.ok();
    let role = async |user: &str| {
        native(&app, user, "GET", &format!("/{id}"), None).await.ok()["data"]["role"].clone()
    };
    assert_eq!((role("ben").await, role("cleo").await), (json!("owner"), json!("member")));
    native(&app, "cleo", "DELETE", &member("cleo"), None).await.ok();
    native(&app, "ben", "DELETE", &member("ben"), None).await.ok();
    app.get(&format!("/conversations/{id}")).await.refused(404, "not_found");
}

// covers: DELETE /conversations/{id}
#[tokio::test]
async fn deleted_room_is_gone_with_its_messages() {
    let app = app().await;
    let id = room(&app, &["ben"]).await;
    let mut anna = joined(&app, "anna", &id).await;
    send(&mut anna, &id, "To be deleted").await;
    native(&app, "ben", "DELETE", &format!("/{id}"), None).await.refused(403, "not_owner");
    native(&app, "anna", "DELETE", &format!("/{id}"), None).await.ok();
    for user in ["anna", "ben"] {
        native(&app, user, "GET", &format!("/{id}"), None).await.refused(404, "not_found");
        let unread =
            rest(&app, &token(user), "GET", "/api/messages/unread-count", None).await.with_status(200);
        assert_eq!(unread["unreadCount"], 0);
    }
    let sent = anna.ask("message:send", json!({ "conversationId": id, "content": "Hello" })).await;
    assert_eq!(sent["error"], "Conversation not found");
    let log = app.get("/conversations/events").await.ok();
    let names: Vec<&Value> = log["data"].as_array().unwrap().iter().map(|entry| &entry["type"]).collect();
    assert_eq!(names, ["conversation:deleted"], "nothing else of the room is left in the log");
    let seen = rest(&app, &token("ben"), "GET", "/api/v1/conversations/events", None).await.ok();
    assert_eq!(seen["data"].as_array().unwrap().last().unwrap()["type"], "conversation:deleted");
    let hidden = rest(&app, &token("eve"), "GET", "/api/v1/conversations/events", None).await.ok();
    assert_eq!(hidden["data"], json!([]));
}

#[tokio::test]
async fn gateway_client_creates_a_room_of_typed_users() {
    let app = app().await;
    let typed = |id: i64, user_type: &str| {
        let claims = json!({ "id": id, "userType": user_type, "exp": seconds() + 3_600 });
        signed(jsonwebtoken::Algorithm::HS256, MARKET_SECRET, &claims)
    };
    let (owner, brand) = (typed(1, "agency"), typed(7, "brand"));
    rest(&app, &brand, "GET", "/api/chat/conversations", None).await.with_status(200);
    let body = json!({ "participants": [{ "id": 7, "type": "brand" }], "title": "Campaign" });
    let created = rest(&app, &owner, "POST", "/api/chat/conversations", Some(body)).await.with_status(201);
    let conversation = &created["conversation"];
    assert_eq!(conversation["title"], "Campaign");
    assert_eq!(conversation["participants"][0]["id"], 7);
    let list = rest(&app, &brand, "GET", "/api/chat/conversations", None).await.with_status(200);
    assert_eq!(list["conversations"][0]["id"], conversation["id"]);
    let unknown = json!({ "participants": [{ "id": 8, "type": "brand" }] });
    rest(&app, &owner, "POST", "/api/chat/conversations", Some(unknown)).await.with_status(404);
}

#[tokio::test]
async fn receipts_of_a_large_room_go_to_authors_only() {
    let app = app().await;
    let names: Vec<String> = (0..55).map(|n| format!("m{n}")).collect();
    let users: Vec<&str> = names.iter().map(String::as_str).collect();
    let id = room(&app, &users).await;
    let (mut anna, mut first) = (joined(&app, "anna", &id).await, joined(&app, "m0", &id).await);
    let message = send(&mut anna, &id, "To all").await;
    first.payload("message:new").await;
    let delivered = anna.payload("message:delivered").await;
    assert_eq!(delivered["messageId"], message);
    native(&app, "m1", "POST", &format!("/{id}/read"), Some(json!({}))).await.ok();
    let read = anna.payload("messages:read").await;
    assert_eq!((&read["readBy"], &read["messageIds"]), (&json!("m1"), &json!([message])));
    let receipts = ["message:delivered", "message:read", "messages:read"];
    let seen = first.arrived().await;
    assert!(seen.iter().all(|event| receipts.iter().all(|name| event[0] != *name)), "{seen:?}");
}

// covers: GET /conversations
#[tokio::test]
async fn list_has_all_kinds_in_pages() {
    let app = app().await;
    let with_message = room(&app, &["ben"]).await;
    let empty = room(&app, &["ben"]).await;
    let body = json!({ "recipientId": "ben", "content": "one" });
    let sent = rest(&app, &token("anna"), "POST", "/api/messages", Some(body)).await.created();
    let direct = sent["data"]["conversationId"].as_str().unwrap().to_owned();
    let mut anna = joined(&app, "anna", &with_message).await;
    send(&mut anna, &with_message, "newest").await;
    let mut found = Vec::new();
    let mut path = "?limit=1".to_owned();
    loop {
        let page = native(&app, "ben", "GET", &path, None).await.ok()["data"].clone();
        found.extend(ids(&page["conversations"]).into_iter().map(str::to_owned));
        match page["nextCursor"].as_str() {
            Some(cursor) => path = format!("?limit=1&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(found, [with_message.clone(), direct.clone(), empty.clone()]);
    let of = async |query: &str| {
        let page = native(&app, "ben", "GET", query, None).await.ok()["data"].clone();
        ids(&page["conversations"]).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(of("?kind=room").await, [with_message.clone(), empty]);
    assert_eq!(of("?kind=direct").await, vec![direct.clone()]);
    assert_eq!(of("?search=night&limit=1").await, vec![with_message.clone()]);
    assert_eq!(of("?search=ANNA%27s").await.len(), 3);
    assert_eq!(of("?search=nothing").await, Vec::<String>::new());
    assert_eq!(of("?state=open").await, Vec::<String>::new());
    native(&app, "ben", "GET", "?kind=group", None).await.refused(400, "invalid_field");
    let of_key = app.get("/conversations?kind=room").await.ok()["data"].clone();
    assert_eq!(ids(&of_key["conversations"])[0], with_message);
    assert!(native(&app, "eve", "GET", "", None).await.ok()["data"]["conversations"] == json!([]));
}
