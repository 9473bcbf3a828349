//! Connection state recovery: a client that lost its connection gives its private id and its offset.

use serde_json::{Value, json};
use wharf::service::operator_chat::NewChatNotification;

use super::client::{ChatClient, MARKET_SECRET, SECRET, app, rest, seconds, signed, token};
use super::inbox::inbox;
use super::support::wire::Wire;
use super::support::{ANNA, TestApp};

const ROOT: &str = "/socket.io/";
const UNDERSCORE: &str = "/api/socket/";

/// The conversation of anna and ben, which exists already.
async fn conversation(app: &TestApp) -> String {
    ChatClient::connect(app, "ben").await;
    let body = json!({ "recipientId": "ben", "content": "first", "type": "text" });
    let sent = rest(app, &token("anna"), "POST", "/api/messages", Some(body)).await.created();
    sent["data"]["conversationId"].as_str().unwrap().to_owned()
}

/// A socket of a user that joined a conversation by its id.
async fn joined(app: &TestApp, user: &str, id: &str) -> ChatClient {
    let mut client = ChatClient::connect(app, user).await;
    client.ask("join:conversation", json!(id)).await;
    client
}

async fn say(app: &TestApp, user: &str, id: &str, text: &str) {
    let body = json!({ "conversationId": id, "content": text, "type": "text" });
    rest(app, &token(user), "POST", "/api/messages", Some(body)).await.created();
}

/// The texts of the next messages.
async fn texts(client: &mut ChatClient, event: &str, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    for _ in 0..count {
        texts.push(client.payload(event).await["content"].as_str().unwrap().to_owned());
    }
    texts
}

/// Sessions whose end is not stored.
fn open_sessions(app: &TestApp) -> i64 {
    let database = rusqlite::Connection::open(app.data_dir().join("wharf.db")).unwrap();
    let count = "SELECT count(*) FROM chat_sessions WHERE closed_at IS NULL";
    database.query_row(count, [], |row| row.get(0)).unwrap()
}

fn has_message(events: &[Value]) -> bool {
    events.iter().any(|event| event[0] == "message:new" || event[0] == "new_message")
}

// covers: recovery by pid and offset
#[tokio::test]
async fn recovered_socket_gets_missed_messages_once() {
    let app = app().await;
    let id = conversation(&app).await;
    let mut ben = joined(&app, "ben", &id).await;
    say(&app, "anna", &id, "before").await;
    assert_eq!(texts(&mut ben, "message:new", 1).await, ["before"]);
    let pid = ben.pid.clone().unwrap();
    assert_eq!(pid.len(), 22, "128 bits in base64url");
    for round in 0..3 {
        let (missed, live) = (format!("missed {round}"), format!("live {round}"));
        let lost = ben.lose();
        say(&app, "anna", &id, &missed).await;
        let (next, is_recovered) = lost.reconnect(&app, ROOT, &token("ben")).await;
        assert!(is_recovered);
        ben = next;
        say(&app, "anna", &id, &live).await;
        assert_eq!(texts(&mut ben, "message:new", 2).await, [missed, live]);
    }
    assert_eq!(ben.pid, Some(pid));
    assert!(!has_message(&ben.arrived().await));
}

// covers: recovery without an offset
#[tokio::test]
async fn client_without_offset_keeps_its_rooms() {
    let app = app().await;
    let id = conversation(&app).await;
    let ben = joined(&app, "ben", &id).await;
    assert_eq!(ben.offset, None);
    let (mut ben, is_recovered) = ben.lose().reconnect(&app, ROOT, &token("ben")).await;
    assert!(is_recovered);
    say(&app, "anna", &id, "live").await;
    assert_eq!(texts(&mut ben, "message:new", 1).await, ["live"], "nothing from before the join");
}

// covers: recovery over restarts
#[tokio::test]
async fn session_survives_a_restart_of_the_daemon() {
    let app = app().await;
    let id = conversation(&app).await;
    let mut ben = joined(&app, "ben", &id).await;
    say(&app, "anna", &id, "one").await;
    assert_eq!(texts(&mut ben, "message:new", 1).await, ["one"]);
    say(&app, "anna", &id, "two").await;
    let app = app.restarted().await;
    say(&app, "anna", &id, "three").await;
    let (mut ben, is_recovered) = ben.lose().reconnect(&app, ROOT, &token("ben")).await;
    assert!(is_recovered);
    say(&app, "anna", &id, "four").await;
    assert_eq!(texts(&mut ben, "message:new", 3).await, ["two", "three", "four"]);
}

// covers: recovery while the old transport is open
#[tokio::test]
async fn transport_that_still_appears_open_is_closed() {
    let app = app().await;
    let id = conversation(&app).await;
    let mut old = joined(&app, "ben", &id).await;
    let auth = json!({ "token": token("ben"), "pid": old.pid }).to_string();
    let mut new = ChatClient::attempt(&app, ROOT, &auth).await.unwrap();
    assert_eq!(new.pid, old.pid);
    old.closed().await;
    app.clock.advance(121_000);
    // The late end of the old transport ended nothing: the session is open, and its time does not run.
    say(&app, "anna", &id, "live").await;
    assert_eq!(texts(&mut new, "message:new", 1).await, ["live"]);
    let (mut new, is_recovered) = new.lose().reconnect(&app, ROOT, &token("ben")).await;
    assert!(is_recovered);
    say(&app, "anna", &id, "again").await;
    assert_eq!(texts(&mut new, "message:new", 1).await, ["again"]);
}

// covers: recovery of an unknown pid
#[tokio::test]
async fn unknown_old_and_foreign_sessions_begin_anew() {
    let app = app().await;
    let id = conversation(&app).await;
    let ben = joined(&app, "ben", &id).await;
    let pid = ben.pid.clone();
    for (user, pid) in [
        ("cleo", json!(pid)),
        ("ben", json!("unknown")),
        ("ben", json!(7)),
        ("ben", json!("x".repeat(9_000))),
    ] {
        let auth = json!({ "token": token(user), "pid": pid, "offset": "1" }).to_string();
        let mut other = ChatClient::attempt(&app, ROOT, &auth).await.unwrap();
        assert_ne!(other.pid, ben.pid);
        say(&app, "anna", &id, "not for new sessions").await;
        assert!(!has_message(&other.arrived().await));
    }
    let auth = json!({ "token": token("ben"), "pid": pid }).to_string();
    let other_dialect = ChatClient::attempt(&app, UNDERSCORE, &auth).await.unwrap();
    assert_ne!(other_dialect.pid, ben.pid);
    drop(other_dialect);
    let (ben, is_recovered) = ben.lose().reconnect(&app, ROOT, &token("ben")).await;
    assert!(is_recovered);
    let pid = ben.pid.clone();
    drop(ben);
    app.wait_until("the end of the session is stored", async || (open_sessions(&app) == 0).then_some(()))
        .await;
    app.clock.advance(120_001);
    let auth = json!({ "token": token("ben"), "pid": pid }).to_string();
    let late = ChatClient::attempt(&app, ROOT, &auth).await.unwrap();
    assert_ne!(late.pid, pid);
}

#[tokio::test]
async fn wrong_offsets_lose_nothing() {
    let app = app().await;
    let id = conversation(&app).await;
    for offset in [json!("-1"), json!("Token expired"), json!(5), json!("99999999999999999999"), json!(null)]
    {
        let ben = joined(&app, "ben", &id).await;
        let pid = ben.pid.clone();
        drop(ben);
        say(&app, "anna", &id, "missed").await;
        let auth = json!({ "token": token("ben"), "pid": pid, "offset": offset }).to_string();
        let mut ben = ChatClient::attempt(&app, ROOT, &auth).await.unwrap();
        assert_eq!(ben.pid, pid);
        assert_eq!(texts(&mut ben, "message:new", 1).await, ["missed"], "{offset}");
    }
    // An offset from the future is the newest entry: live events follow.
    let ben = joined(&app, "ben", &id).await;
    let auth = json!({ "token": token("ben"), "pid": ben.pid, "offset": "999999" }).to_string();
    let mut ben = ChatClient::attempt(&app, ROOT, &auth).await.unwrap();
    ben.arrived().await;
    say(&app, "anna", &id, "live").await;
    assert_eq!(texts(&mut ben, "message:new", 1).await, ["live"]);
}

// covers: recovery within an entry
#[tokio::test]
async fn cut_within_an_entry_continues_within_it() {
    let app = app().await;
    let id = conversation(&app).await;
    let mut anna = joined(&app, "anna", &id).await;
    say(&app, "anna", &id, "second").await;
    anna.payload("message:new").await;
    rest(&app, &token("ben"), "PUT", "/api/messages/read", Some(json!({ "conversationId": id }))).await.ok();
    let first = anna.payload("message:read").await;
    assert!(anna.offset.as_ref().unwrap().ends_with(".1"), "one of three events");
    let (mut anna, is_recovered) = anna.lose().reconnect(&app, ROOT, &token("anna")).await;
    assert!(is_recovered);
    let second = anna.payload("message:read").await;
    assert_ne!(first["messageId"], second["messageId"]);
    assert_eq!(
        anna.payload("messages:read").await["messageIds"],
        json!([first["messageId"], second["messageId"]])
    );
    assert!(anna.arrived().await.iter().all(|event| event[0] != "message:read"));
}

// covers: recovery at a peer-addressed join
#[tokio::test]
async fn peer_addressed_client_gets_missed_messages_at_its_join() {
    let app = app().await;
    conversation(&app).await;
    let mut ben = ChatClient::connect(&app, "ben").await;
    ben.ask("conversation:join", json!({ "conversationWith": "anna" })).await;
    assert_eq!(texts(&mut ben, "message:new", 1).await, ["first"]);
    let (token_of_anna, token_of_ben) = (token("anna"), token("ben"));
    let send = async |content: &str| {
        let body = json!({ "recipientId": "ben", "content": content, "type": "text" });
        rest(&app, &token_of_anna, "POST", "/api/messages", Some(body)).await.created();
    };
    send("missed").await;
    let (mut ben, is_recovered) = ben.lose().reconnect(&app, ROOT, &token_of_ben).await;
    assert!(is_recovered);
    ben.ask("conversation:join", json!({ "conversationWith": "anna" })).await;
    send("live").await;
    // The join repeats what is unread, and the log does not repeat it once more.
    assert_eq!(texts(&mut ben, "message:new", 3).await, ["first", "missed", "live"]);
    // Without a join the events follow after a while.
    send("missed again").await;
    let (mut ben, _) = ben.lose().reconnect(&app, ROOT, &token_of_ben).await;
    assert_eq!(texts(&mut ben, "message:new", 1).await, ["missed again"]);
}

// covers: recovery of rooms without a pid
#[tokio::test]
async fn new_session_joins_what_lost_sockets_had_joined() {
    let app = app().await;
    conversation(&app).await;
    let mut ben = ChatClient::connect(&app, "ben").await;
    ben.ask("conversation:join", json!({ "conversationWith": "anna" })).await;
    assert_eq!(texts(&mut ben, "message:new", 1).await, ["first"]);
    // Another socket is connected: a new one inherits nothing.
    let mut second = ChatClient::connect(&app, "ben").await;
    assert!(!has_message(&second.arrived().await));
    drop((ben, second));
    app.wait_until("no session is open", async || (open_sessions(&app) == 0).then_some(())).await;
    let mut third = ChatClient::connect(&app, "ben").await;
    assert_eq!(texts(&mut third, "message:new", 1).await, ["first"]);
    let body = json!({ "recipientId": "ben", "content": "live", "type": "text" });
    rest(&app, &token("anna"), "POST", "/api/messages", Some(body)).await.created();
    assert_eq!(texts(&mut third, "message:new", 1).await, ["live"]);
}

// covers: recovery without access
#[tokio::test]
async fn user_without_access_recovers_no_room() {
    let app = app().await;
    inbox(&app, json!([{ "who": "desk:bela" }, { "who": "desk:cleo" }])).await;
    let list = rest(&app, &token("bela"), "GET", "/api/messages/conversations", None).await.ok();
    let id = list["data"]["conversations"][0]["id"].as_str().unwrap();
    let bela = joined(&app, "bela", id).await.lose();
    let cleo = joined(&app, "cleo", id).await.lose();
    app.incoming("shop", ANNA, "A secret").await;
    app.put("/devices/shop/operators", json!({ "operators": [{ "who": "desk:cleo" }] })).await.ok();
    let (mut cleo, _) = cleo.reconnect(&app, ROOT, &token("cleo")).await;
    assert_eq!(texts(&mut cleo, "message:new", 1).await, ["A secret"]);
    let (mut bela, is_recovered) = bela.reconnect(&app, ROOT, &token("bela")).await;
    assert!(is_recovered);
    app.incoming("shop", ANNA, "Another secret").await;
    assert_eq!(texts(&mut cleo, "message:new", 1).await, ["Another secret"]);
    assert!(!has_message(&bela.arrived().await));
}

#[tokio::test]
async fn namespace_client_gets_its_confirmation_later() {
    let app = app().await;
    let of = |id: i64, kind: &str| {
        let claims = json!({ "id": id, "userType": kind, "exp": seconds() + 3_600 });
        signed(jsonwebtoken::Algorithm::HS256, MARKET_SECRET, &claims)
    };
    let (brand, influencer) = (of(7, "brand"), of(7, "influencer"));
    let (_other, _) = ChatClient::connect_namespace(&app, &influencer).await;
    let (mut client, _) = ChatClient::connect_namespace(&app, &brand).await;
    let body = json!({ "participantId": 7, "participantType": "influencer" });
    let opened = rest(&app, &brand, "POST", "/api/chat/conversations", Some(body)).await.with_status(201);
    let id = opened["conversation"]["id"].clone();
    client.ask("conversation:join", json!({ "conversationId": id })).await;
    client.payload("conversation:joined").await;
    let sent = json!({ "conversationId": id, "content": "one", "tempId": 1_763_805_600_000_i64 });
    client.ask("message:send", sent).await;
    // As if the connection had been lost before the confirmation.
    client.taken();
    client.offset = None;
    let (mut client, is_recovered) = client.lose().reconnect(&app, ROOT, &brand).await;
    assert!(is_recovered);
    assert_eq!(client.payload("message:sent").await["tempId"], 1_763_805_600_000_i64);
    let body = json!({ "conversationId": id, "content": "two" });
    rest(&app, &influencer, "POST", "/api/chat/messages", Some(body)).await.with_status(201);
    assert_eq!(client.payload("message:new").await["content"], "two");
}

#[tokio::test]
async fn underscore_page_needs_no_second_join() {
    let app = app().await;
    let id = conversation(&app).await;
    let auth = json!({ "token": token("ben") }).to_string();
    let mut page = ChatClient::attempt(&app, UNDERSCORE, &auth).await.unwrap();
    page.ask("join_conversation", json!({ "conversationId": id })).await;
    say(&app, "anna", &id, "one").await;
    assert_eq!(texts(&mut page, "new_message", 1).await, ["one"]);
    assert_eq!(page.payload("notification").await["type"], "new_message");
    say(&app, "anna", &id, "two").await;
    let (mut page, is_recovered) = page.lose().reconnect(&app, UNDERSCORE, &token("ben")).await;
    assert!(is_recovered);
    assert_eq!(texts(&mut page, "new_message", 1).await, ["two"]);
    assert_eq!(page.payload("notification").await["message"]["content"], "two");
    assert_eq!(page.payload("user_status_changed").await["userId"], "anna", "the current state follows");
}

#[tokio::test]
async fn sockets_of_devices_have_no_private_id() {
    let app = app().await;
    app.device("shop").await;
    let (mut wire, _) = Wire::open(&app).await;
    wire.send(&format!("40/device/shop,{}", json!({ "apiKey": app.key }))).await;
    let connected = wire.packet_with("40").await;
    let connected: Value = serde_json::from_str(connected.split_once(',').unwrap().1).unwrap();
    assert_eq!(connected.as_object().unwrap().keys().collect::<Vec<_>>(), ["sid"]);
}

// covers: offset after a trailing string
#[tokio::test]
async fn event_that_ends_in_text_carries_an_offset() {
    let app = app().await;
    let mut first = ChatClient::connect(&app, "anna").await;
    let mut second = ChatClient::connect(&app, "anna").await;
    let new = NewChatNotification {
        kind: "order".to_owned(),
        title: "Order shipped".to_owned(),
        message: "Order 12 is on its way".to_owned(),
        link: None,
        data: "{}".to_owned(),
    };
    let chat = app.app().services.chat.clone().unwrap();
    chat.notify_user("desk", &"anna".parse().unwrap(), new).await.unwrap();
    let notification = first.payload("notification:new").await["id"].clone();
    second.payload("notification:new").await;
    let before = second.offset.clone();
    first.ask("notification:read", notification.clone()).await;
    assert_eq!(second.event("notification:read").await, [notification], "the offset is another argument");
    assert_ne!(second.offset, before);
    // The text of an event that is not logged is followed by the offset that the client has already.
    let claims = json!({ "sub": "anna", "exp": seconds() + 2 });
    let expiring = signed(jsonwebtoken::Algorithm::HS256, SECRET, &claims);
    let mut third = ChatClient::connect_with(&app, &expiring, "anna").await;
    app.clock.advance(2_000);
    assert_eq!(third.event("auth:error").await, [json!("Token expired")]);
    assert_eq!(third.offset, second.offset);
}

// covers: recovery by auth.since
#[tokio::test]
async fn since_replays_everything_that_the_user_may_see() {
    let app = app().await;
    let id = conversation(&app).await;
    say(&app, "ben", &id, "second").await;
    let body = json!({ "recipientId": "anna", "content": "from another", "type": "text" });
    rest(&app, &token("cleo"), "POST", "/api/messages", Some(body)).await.created();
    let auth = |user: &str, since: &str| {
        json!({ "token": token(user), "since": since.parse::<i64>().unwrap() }).to_string()
    };
    let mut anna = ChatClient::attempt(&app, ROOT, &auth("anna", "0")).await.unwrap();
    assert_eq!(texts(&mut anna, "message:new", 1).await, ["first"]);
    let since = anna.offset.clone().unwrap();
    assert_eq!(texts(&mut anna, "message:new", 2).await, ["second", "from another"]);
    let mut again = ChatClient::attempt(&app, ROOT, &auth("anna", &since)).await.unwrap();
    assert_eq!(texts(&mut again, "message:new", 2).await, ["second", "from another"]);
    let mut ben = ChatClient::attempt(&app, ROOT, &auth("ben", "0")).await.unwrap();
    assert_eq!(texts(&mut ben, "message:new", 2).await, ["first", "second"]);
    assert!(!has_message(&ben.arrived().await), "nothing of other users");
    ben.ask("join:conversation", json!(id)).await;
    say(&app, "anna", &id, "live").await;
    assert_eq!(texts(&mut ben, "message:new", 1).await, ["live"]);
}

// covers: chat event resync
#[tokio::test]
async fn since_beyond_the_log_asks_for_a_resync() {
    let app = app().await;
    let id = conversation(&app).await;
    let connect = async |since: Value| {
        let auth = json!({ "token": token("ben"), "since": since }).to_string();
        ChatClient::attempt(&app, ROOT, &auth).await.unwrap()
    };
    let mut ahead = connect(json!(999_999)).await;
    let resync = ahead.payload("resync").await;
    assert_eq!(resync["oldestSeq"], 1);
    assert!(resync["newestSeq"].as_i64().unwrap() >= 1);
    ahead.ask("join:conversation", json!(id)).await;
    say(&app, "anna", &id, "live").await;
    assert_eq!(texts(&mut ahead, "message:new", 1).await, ["live"]);
    for wrong in [json!(-1), json!("x"), json!(1.5), json!({})] {
        assert_eq!(connect(wrong).await.payload("resync").await["oldestSeq"], 1);
    }
}
