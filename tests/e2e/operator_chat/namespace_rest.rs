//! The REST calls of the `namespace` dialect.

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::client::{ChatClient, MARKET_SECRET, SECRET, app, rest, seconds, signed};
use super::support::TestApp;

/// An hour's token of a user that its identity provider identifies by type and id.
fn token(id: i64, user_type: &str) -> String {
    let claims = json!({ "id": id, "userType": user_type, "name": "John Doe", "exp": seconds() + 3_600 });
    signed(Algorithm::HS256, MARKET_SECRET, &claims)
}

fn influencer() -> String {
    token(7, "influencer")
}

fn brand() -> String {
    token(7, "brand")
}

/// A brand and an influencer with the same number, and their conversation, which has no messages.
async fn pair(app: &TestApp) -> i64 {
    for user in [influencer(), brand()] {
        ChatClient::connect_namespace(app, &user).await;
    }
    open(app, 201).await["conversation"]["id"].as_i64().unwrap()
}

/// Opens the conversation of the influencer with the brand.
async fn open(app: &TestApp, status: u16) -> Value {
    let body = json!({ "participantId": 7, "participantType": "brand" });
    call(app, &influencer(), "POST", "/api/chat/conversations", Some(body), status).await
}

/// A call with its expected status.
async fn call(
    app: &TestApp,
    user: &str,
    method: &str,
    path: &str,
    body: Option<Value>,
    status: u16,
) -> Value {
    rest(app, user, method, path, body).await.with_status(status)
}

async fn send(app: &TestApp, from: &str, conversation: i64, content: &str) -> Value {
    let body = json!({ "conversationId": conversation, "content": content, "tempId": content });
    call(app, from, "POST", "/api/chat/messages", Some(body), 201).await["message"].clone()
}

async fn get(app: &TestApp, user: &str, path: &str) -> Value {
    call(app, user, "GET", path, None, 200).await
}

// covers: POST /api/chat/conversations
// covers: GET /api/chat/conversations
// covers: DELETE /api/chat/conversations/{id}
#[tokio::test]
async fn conversation_is_opened_listed_and_removed() {
    let app = app().await;
    let id = pair(&app).await;
    assert_eq!(open(&app, 200).await["conversation"]["id"], id, "it exists");
    let list = "/api/chat/conversations";
    assert_eq!(get(&app, &influencer(), list).await["total"], 0, "without messages");
    send(&app, &influencer(), id, "hello").await;
    let page = get(&app, &brand(), list).await;
    assert_eq!((&page["page"], &page["limit"], &page["total"]), (&json!(1), &json!(20), &json!(1)));
    let conversation = &page["conversations"][0];
    let other = json!({
        "id": 7, "userType": "influencer", "username": "John Doe", "firstName": "John", "lastName": "Doe",
        "profileImage": null, "isOnline": conversation["participants"][0]["isOnline"],
    });
    for (field, value) in [
        ("id", json!(id)),
        ("title", Value::Null),
        ("participants", json!([other])),
        ("unreadCount", json!(1)),
        ("updatedAt", conversation["lastMessage"]["createdAt"].clone()),
    ] {
        assert_eq!(conversation[field], value, "{field}");
    }
    assert_eq!(conversation["lastMessage"]["content"], "hello");
    assert_eq!(get(&app, &brand(), &format!("{list}?page=2&limit=1")).await["conversations"], json!([]));

    let path = format!("{list}/{id}");
    assert_eq!(rest(&app, &brand(), "DELETE", &path, None).await.status, 204);
    assert_eq!(get(&app, &brand(), list).await["total"], 0);
    assert_eq!(get(&app, &influencer(), list).await["total"], 1, "others keep it");
    send(&app, &influencer(), id, "again").await;
    assert_eq!(get(&app, &brand(), list).await["total"], 1);
    let stranger = rest(&app, &token(8, "brand"), "DELETE", &path, None).await;
    assert_eq!((stranger.status, stranger.json()["code"].clone()), (404, json!("not_found")));
}

#[tokio::test]
async fn deleted_message_does_not_list_a_removed_conversation() {
    let app = app().await;
    let of_both_dialects = |id: i64| {
        let claims = json!({ "id": id, "userType": "brand", "exp": seconds() + 3_600 });
        signed(Algorithm::HS256, SECRET, &claims)
    };
    let (anna, ben) = (of_both_dialects(11), of_both_dialects(12));
    for user in [&anna, &ben] {
        ChatClient::connect_namespace(&app, user).await;
    }
    let body = json!({ "participantId": "12" });
    let opened = call(&app, &anna, "POST", "/api/chat/conversations", Some(body), 201).await;
    let id = opened["conversation"]["id"].as_i64().unwrap();
    send(&app, &anna, id, "one").await;
    let second = send(&app, &anna, id, "two").await["id"].clone();
    let path = format!("/api/chat/conversations/{id}");
    assert_eq!(rest(&app, &ben, "DELETE", &path, None).await.status, 204);
    rest(&app, &anna, "DELETE", &format!("/api/messages/{second}"), None).await.ok();
    assert_eq!(get(&app, &ben, "/api/chat/conversations").await["total"], 0);
    let left = get(&app, &anna, "/api/chat/conversations").await;
    assert_eq!(left["conversations"][0]["lastMessage"]["content"], "one");
}

// covers: GET /api/chat/conversations/{id}/messages
// covers: POST /api/chat/messages
#[tokio::test]
async fn messages_are_listed_by_page_cursor_and_text() {
    let app = app().await;
    let id = pair(&app).await;
    let mut ids = Vec::new();
    for content in ["1 Apple", "2 pear", "3 apple", "4 plum", "5 pear"] {
        ids.push(send(&app, &influencer(), id, content).await["id"].as_i64().unwrap());
    }
    let contents = |page: &Value| -> Vec<String> {
        let messages = page["messages"].as_array().unwrap();
        messages.iter().map(|message| message["content"].as_str().unwrap().to_owned()).collect()
    };
    let path = format!("/api/chat/conversations/{id}/messages");
    for (query, expected, total) in [
        ("", vec!["1 Apple", "2 pear", "3 apple", "4 plum", "5 pear"], 5),
        ("?page=1&limit=2", vec!["4 plum", "5 pear"], 5),
        ("?page=2&limit=2", vec!["2 pear", "3 apple"], 5),
        ("?page=9&limit=2", vec![], 5),
        ("?search=APPLE", vec!["1 Apple", "3 apple"], 2),
        ("?search=apple&limit=1", vec!["3 apple"], 2),
        ("?search=nothing", vec![], 0),
    ] {
        let page = get(&app, &brand(), &format!("{path}{query}")).await;
        assert_eq!(
            (contents(&page), page["total"].clone()),
            (expected.iter().map(ToString::to_string).collect(), json!(total)),
            "{query}"
        );
    }
    let before = get(&app, &brand(), &format!("{path}?before={}", ids[2])).await;
    assert_eq!((contents(&before), &before["total"]), (vec!["1 Apple".into(), "2 pear".into()], &json!(2)));
    let far = rest(&app, &brand(), "GET", &format!("{path}?page=10000&limit=2"), None).await;
    assert_eq!(far.status, 400);
    let sentence = far.json()["error"].as_str().unwrap().to_owned();
    assert!(sentence.contains("use before"), "{sentence}");
    let again = send(&app, &influencer(), id, "5 pear").await;
    assert_eq!(again["id"], ids[4], "the same tempId");
    let body = json!({ "conversationId": id, "content": "x", "messageType": "AUDIO" });
    let wrong = rest(&app, &brand(), "POST", "/api/chat/messages", Some(body)).await;
    assert_eq!((wrong.status, wrong.json()["code"].clone()), (400, json!("invalid_field")));
}

// covers: PUT /api/chat/conversations/{id}/read
// covers: GET /api/chat/unread-count
#[tokio::test]
async fn messages_are_counted_and_read_up_to_one() {
    let app = app().await;
    let id = pair(&app).await;
    let first = send(&app, &influencer(), id, "one").await["id"].clone();
    let last = send(&app, &influencer(), id, "two").await["id"].clone();
    let unread = |count: i64| match count {
        0 => json!({ "unreadCount": 0, "conversations": [] }),
        _ => {
            json!({ "unreadCount": count, "conversations": [{ "conversationId": id, "unreadCount": count }] })
        }
    };
    assert_eq!(get(&app, &brand(), "/api/chat/unread-count").await, unread(2));
    let path = format!("/api/chat/conversations/{id}/read");
    let mark = call(&app, &brand(), "PUT", &path, Some(json!({ "messageId": first })), 200).await;
    assert_eq!(mark, json!({ "conversationId": id, "messageId": first, "count": 1 }));
    assert_eq!(get(&app, &brand(), "/api/chat/unread-count").await, unread(1));
    let mark = call(&app, &brand(), "PUT", &path, Some(json!({})), 200).await;
    assert_eq!(mark, json!({ "conversationId": id, "messageId": last, "count": 1 }));
    assert_eq!(get(&app, &brand(), "/api/chat/unread-count").await, unread(0));
    assert_eq!(get(&app, &influencer(), "/api/chat/unread-count").await, unread(0));
}

#[tokio::test]
async fn tokens_of_other_dialects_are_refused() {
    let app = app().await;
    for path in ["/api/chat/conversations", "/api/chat/unread-count", "/api/chat/conversations/1/messages"] {
        assert_eq!(rest(&app, "anna", "GET", path, None).await.status, 401, "{path}");
        let untyped = signed(Algorithm::HS256, MARKET_SECRET, &json!({ "id": 7, "exp": seconds() + 60 }));
        assert_eq!(rest(&app, &untyped, "GET", path, None).await.status, 401, "{path}");
    }
}
