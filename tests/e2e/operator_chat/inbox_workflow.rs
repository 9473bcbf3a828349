//! The workflow of device inboxes: assignment, states, internal notes and slash commands. What must not reach the
//! contact is checked at the simulator's network.

use futures_util::future::join_all;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::client::{ChatClient, SECRET, app, app_with, rest, seconds, signed, token};
use super::inbox::{contact, inbox, sent_texts};
use super::support::{ANNA, Reply, TestApp};

fn operators() -> Value {
    json!([
        { "who": "desk:bela" }, { "who": "desk:dora" }, { "who": "desk:chief", "rights": "manage" },
        { "who": "desk:role:support", "rights": "read" }
    ])
}

/// The id of the only conversation.
async fn conversation(app: &TestApp) -> String {
    let list = native(app, "bela", "GET", "", None).await.ok();
    list["data"]["conversations"][0]["id"].as_str().unwrap().to_owned()
}

async fn native(app: &TestApp, user: &str, method: &str, path: &str, body: Option<Value>) -> Reply {
    rest(app, &token(user), method, &format!("/api/v1/conversations{path}"), body).await
}

async fn assign(app: &TestApp, user: &str, id: &str, body: Value) -> Reply {
    native(app, user, "POST", &format!("/{id}/assign"), Some(body)).await
}

/// The texts that the network has after one more message, which is sent last.
async fn texts_after(app: &TestApp, contact: &str, last: &str) -> Vec<Value> {
    let body = json!({ "recipientId": contact, "content": last });
    rest(app, &token("bela"), "POST", "/api/messages", Some(body)).await.created();
    app.wait_until("the last message to be sent", async || {
        let texts = sent_texts(app).await;
        texts.contains(&json!(last)).then_some(texts)
    })
    .await
}

/// The texts of a conversation, oldest first.
async fn texts(app: &TestApp, user: &str, contact: &str) -> Vec<String> {
    let path = format!("/api/messages?conversationWith={contact}&limit=100");
    let page = rest(app, &token(user), "GET", &path, None).await.ok();
    let messages = page["data"]["messages"].as_array().unwrap();
    messages.iter().map(|message| message["content"].as_str().unwrap().to_owned()).collect()
}

// covers: POST /conversations/{id}/assign
#[tokio::test]
async fn fifty_racing_claims_have_one_winner() {
    let app = app().await;
    let users: Vec<String> = (0..50).map(|n| format!("racer{n}")).collect();
    let mut grants: Vec<Value> = users.iter().map(|user| json!({ "who": format!("desk:{user}") })).collect();
    grants.push(json!({ "who": "desk:bela" }));
    let contact = inbox(&app, json!(grants)).await;
    let id = conversation(&app).await;
    // The first request of a user stores the user.
    join_all(users.iter().map(|user| native(&app, user, "GET", "", None))).await;
    let claims = users.iter().map(|user| assign(&app, user, &id, json!({ "user": user })));
    let answers = join_all(claims).await;
    let winners: Vec<_> = users.iter().zip(&answers).filter(|(_, answer)| answer.status == 200).collect();
    assert_eq!(winners.len(), 1);
    let winner = winners[0].0;
    assert_eq!(winners[0].1.json()["data"]["assignee"]["id"], json!(winner));
    for loser in answers.iter().filter(|answer| answer.status != 200) {
        loser.refused(409, "assigned");
        assert_eq!(loser.json()["details"], json!([{ "field": "assignee", "message": winner }]));
    }
    let lines = texts(&app, "bela", &contact).await;
    assert_eq!(lines, ["Is it open?", &format!("Assigned to {winner}'s name by {winner}'s name")]);
}

#[tokio::test]
async fn assignment_follows_the_rights_of_the_inbox() {
    let app = app().await;
    inbox(&app, operators()).await;
    let id = conversation(&app).await;
    for user in ["dora", "chief", "cleo"] {
        native(&app, user, "GET", "", None).await.ok();
    }
    assign(&app, "bela", &id, json!({ "user": "dora" })).await.refused(403, "not_manager");
    assign(&app, "cleo", &id, json!({ "user": "cleo" })).await.refused(404, "not_found");
    assign(&app, "bela", &id, json!({ "user": "unknown" })).await.refused(404, "not_found");
    assign(&app, "bela", &id, json!({ "user": "bela" })).await.ok();
    assign(&app, "dora", &id, json!({ "user": null })).await.refused(403, "not_manager");
    assign(&app, "chief", &id, json!({ "user": "dora", "ifAssignee": "chief" }))
        .await
        .refused(409, "assigned");
    let moved = assign(&app, "chief", &id, json!({ "user": "dora", "ifAssignee": "bela" })).await.ok();
    assert_eq!(moved["data"]["assignee"]["id"], "dora");
    let released = assign(&app, "dora", &id, json!({ "user": null })).await.ok();
    assert_eq!(released["data"]["assignee"], Value::Null);
}

#[tokio::test]
async fn release_needs_an_explicit_null() {
    let app = app().await;
    inbox(&app, operators()).await;
    let id = conversation(&app).await;
    assign(&app, "bela", &id, json!({ "user": "bela" })).await.ok();
    let path = format!("/{id}/assign");
    for body in [None, Some(json!({})), Some(json!({ "ifAssignee": "bela" })), Some(json!({ "usr": null }))] {
        let refused = native(&app, "bela", "POST", &path, body.clone()).await;
        let refused = refused.refused(400, "invalid_field");
        assert_eq!(refused["details"][0]["field"], "user", "{body:?}");
    }
    let shown = native(&app, "bela", "GET", &format!("/{id}"), None).await.ok();
    assert_eq!(shown["data"]["assignee"]["id"], "bela");
    let released = assign(&app, "bela", &id, json!({ "user": null, "ifAssignee": "bela" })).await.ok();
    assert_eq!(released["data"]["assignee"], Value::Null);
}

#[tokio::test]
async fn user_without_access_is_released_with_the_grant() {
    let app = app().await;
    let contact = inbox(&app, operators()).await;
    app.incoming("shop", "15550100002", "Hello?").await;
    let list = native(&app, "bela", "GET", "", None).await.ok();
    let ids: Vec<&str> = list["data"]["conversations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    let [second, first] = ids[..] else { panic!("{list}") };
    for (user, id) in [("dora", first), ("chief", second)] {
        native(&app, user, "GET", "", None).await.ok();
        assign(&app, user, id, json!({ "user": user })).await.ok();
    }
    let mut bela = ChatClient::connect(&app, "bela").await;
    bela.ask("conversation:join", json!({ "conversationWith": contact })).await;
    bela.arrived().await;
    let assignee = async |id: &str| {
        native(&app, "bela", "GET", &format!("/{id}"), None).await.ok()["data"]["assignee"]["id"].clone()
    };
    let put =
        async |grants: Value| app.put("/devices/shop/operators", json!({ "operators": grants })).await.ok();
    put(json!([{ "who": "desk:bela" }, { "who": "desk:chief" }, { "who": "desk:dora" }])).await;
    assert_eq!((assignee(first).await, assignee(second).await), (json!("dora"), json!("chief")));
    // With the rights `read` a user cannot reply either.
    put(json!([{ "who": "desk:bela" }, { "who": "desk:chief" }, { "who": "desk:dora", "rights": "read" }]))
        .await;
    assert_eq!((assignee(first).await, assignee(second).await), (Value::Null, json!("chief")));
    let line = bela.payload("message:new").await;
    assert_eq!(line["content"], "Assignment removed: dora's name may no longer reply");
    put(json!([{ "who": "desk:bela" }])).await;
    assert_eq!(assignee(second).await, Value::Null);
    assign(&app, "bela", first, json!({ "user": "bela" })).await.ok();
}

#[tokio::test]
async fn user_whose_role_changes_is_released() {
    let app = app().await;
    inbox(
        &app,
        json!([{ "who": "desk:bela" }, { "who": "desk:role:support" }, { "who": "desk:role:sales" }]),
    )
    .await;
    let id = conversation(&app).await;
    let with_role = |role: &str| {
        let claims = json!({ "sub": "dora", "name": "Dora", "role": role, "exp": seconds() + 3_600 });
        signed(Algorithm::HS256, SECRET, &claims)
    };
    let path = format!("/api/v1/conversations/{id}");
    let assigned = Some(json!({ "user": "dora" }));
    rest(&app, &with_role("SUPPORT"), "POST", &format!("{path}/assign"), assigned).await.ok();
    let kept = rest(&app, &with_role("Sales"), "GET", &path, None).await.ok();
    assert_eq!(kept["data"]["assignee"]["id"], "dora");
    rest(&app, &with_role("GUEST"), "GET", &path, None).await.refused(404, "not_found");
    let shown = native(&app, "bela", "GET", &format!("/{id}"), None).await.ok();
    assert_eq!((&shown["data"]["assignee"], &shown["data"]["state"]), (&Value::Null, &json!("open")));
    let last = &shown["data"]["lastMessage"]["content"];
    assert_eq!(last, "Assignment removed: Dora may no longer reply");
}

// covers: POST /conversations/{id}/close
// covers: POST /conversations/{id}/open
// covers: GET /conversations/{id}
#[tokio::test]
async fn message_of_contact_opens_closed_conversation() {
    let app = app().await;
    let contact = inbox(&app, operators()).await;
    let id = conversation(&app).await;
    native(&app, "cleo", "POST", &format!("/{id}/close"), None).await.refused(403, "read_only");
    let closed = native(&app, "bela", "POST", &format!("/{id}/close"), None).await.ok();
    assert_eq!(closed["data"]["state"], "closed");
    native(&app, "bela", "POST", &format!("/{id}/close"), None).await.ok();
    let opened = native(&app, "bela", "POST", &format!("/{id}/open"), None).await.ok();
    assert_eq!(opened["data"]["state"], "open");
    native(&app, "bela", "POST", &format!("/{id}/close"), None).await.ok();
    app.incoming("shop", ANNA, "One more thing").await;
    let shown = native(&app, "bela", "GET", &format!("/{id}"), None).await.ok();
    assert_eq!(shown["data"]["state"], "open");
    let lines = texts(&app, "bela", &contact).await;
    let (closed, opened) = ("Closed by bela's name", "Opened by bela's name");
    let by_contact = "Opened by a message of the contact";
    assert_eq!(lines, ["Is it open?", closed, opened, closed, by_contact, "One more thing"]);
}

// covers: POST /conversations/{id}/notes
#[tokio::test]
async fn note_reaches_the_inbox_and_never_the_contact() {
    let app = app().await;
    let contact = inbox(&app, operators()).await;
    let id = conversation(&app).await;
    let mut cleo = ChatClient::connect(&app, "cleo").await;
    cleo.ask("conversation:join", json!({ "conversationWith": contact })).await;
    let note = Some(json!({ "content": "He is rude" }));
    let path = format!("/{id}/notes");
    native(&app, "cleo", "POST", &path, note.clone()).await.refused(403, "read_only");
    native(&app, "bela", "POST", &path, Some(json!({ "content": " " }))).await.refused(400, "invalid_field");
    let stored = native(&app, "bela", "POST", &path, note).await.created();
    assert_eq!(
        (&stored["data"]["type"], &stored["data"]["content"]),
        (&json!("SYSTEM"), &json!("He is rude"))
    );
    assert_eq!(stored["data"]["author"]["id"], "bela");
    cleo.payload("message:new").await;
    let seen = cleo.payload("message:new").await;
    assert_eq!((&seen["content"], &seen["type"]), (&json!("📝 He is rude"), &json!("SYSTEM")));
    assert_eq!(texts_after(&app, &contact, "Good morning").await, ["Good morning"]);
}

#[tokio::test]
async fn slash_commands_never_reach_the_contact() {
    let app = app().await;
    let contact = inbox(&app, operators()).await;
    let id = conversation(&app).await;
    native(&app, "chief", "GET", "", None).await.ok();
    let mut bela = ChatClient::connect(&app, "bela").await;
    bela.ask("conversation:join", json!({ "conversationWith": contact })).await;
    for wrong in ["/nte secret", "/Note secret", "/close now", "/ärger"] {
        let refused = bela.ask("message:send", json!({ "recipientId": contact, "content": wrong })).await;
        assert_eq!(refused["code"], "unknown_command", "{wrong}");
    }
    let file =
        json!({ "recipientId": contact, "content": "/note x", "attachmentUrl": "https://example.com/a.png" });
    assert_eq!(bela.ask("message:send", file).await["code"], "invalid_field");
    let note = json!({ "recipientId": contact, "content": "/note secret", "tempId": "t-1" });
    let first = bela.ask("message:send", note.clone()).await["message"].clone();
    assert_eq!((&first["content"], &first["type"]), (&json!("📝 secret"), &json!("SYSTEM")));
    assert_eq!(bela.ask("message:send", note).await["message"]["id"], first["id"]);
    for command in ["/assign", "/unassign", "/close", "/help"] {
        let done = bela.ask("message:send", json!({ "recipientId": contact, "content": command })).await;
        assert_eq!(done["success"], true, "{command}: {done}");
    }
    let refused =
        bela.ask("message:send", json!({ "recipientId": contact, "content": "/assign chief" })).await;
    assert_eq!(refused["code"], "not_manager");
    let shown = native(&app, "bela", "GET", &format!("/{id}"), None).await.ok();
    assert_eq!((&shown["data"]["state"], &shown["data"]["assignee"]), (&json!("closed"), &Value::Null));
    let lines = texts(&app, "bela", &contact).await;
    assert_eq!(lines.iter().filter(|line| line.contains("secret")).count(), 1, "{lines:?}");
    assert_eq!(texts_after(&app, &contact, "Good morning").await, ["Good morning"]);
}

#[tokio::test]
async fn help_is_answered_to_its_writer_only() {
    let app = app().await;
    let contact = inbox(&app, operators()).await;
    let id = conversation(&app).await;
    let mut bela = ChatClient::connect(&app, "bela").await;
    let mut dora = ChatClient::connect(&app, "dora").await;
    for client in [&mut bela, &mut dora] {
        client.ask("conversation:join", json!({ "conversationWith": contact })).await;
        client.payload("message:new").await;
    }
    let help = json!({ "recipientId": contact, "content": "/help", "tempId": "t-1" });
    let answered = bela.ask("message:send", help.clone()).await["message"].clone();
    assert_eq!(answered["type"], "SYSTEM");
    let shown = bela.payload("message:new").await;
    assert_eq!((&shown["id"], &shown["content"]), (&answered["id"], &answered["content"]));
    assert!(shown["content"].as_str().unwrap().starts_with("commands: /note"), "{shown}");
    // A repeated request is not shown twice, and REST is answered the same way.
    assert_eq!(bela.ask("message:send", help).await["message"]["id"], answered["id"]);
    let body = json!({ "recipientId": contact, "content": "/help" });
    let posted = rest(&app, &token("bela"), "POST", "/api/messages", Some(body)).await.created();
    assert_eq!(posted["data"]["content"], answered["content"]);
    assert_ne!(posted["data"]["id"], answered["id"]);
    assert_eq!(bela.payload("message:new").await["id"], posted["data"]["id"]);
    // A message after it is the next one that others get.
    native(&app, "bela", "POST", &format!("/{id}/notes"), Some(json!({ "content": "last" }))).await.created();
    assert_eq!(dora.payload("message:new").await["content"], "📝 last");
    assert_eq!(bela.payload("message:new").await["content"], "📝 last");
    assert_eq!(texts(&app, "bela", &contact).await, ["Is it open?", "📝 last"], "nothing is stored");
    let body = json!({ "recipientId": contact, "content": "/help" });
    rest(&app, &token("cleo"), "POST", "/api/messages", Some(body)).await.refused(403, "read_only");
    assert_eq!(texts_after(&app, &contact, "Good morning").await, ["Good morning"]);
}

#[tokio::test]
async fn help_is_confirmed_in_the_namespace_dialect() {
    let app = app().await;
    inbox(&app, operators()).await;
    let number: i64 = conversation(&app).await.parse().unwrap();
    let (mut bela, _) = ChatClient::connect_namespace(&app, &token("bela")).await;
    let (mut dora, _) = ChatClient::connect_namespace(&app, &token("dora")).await;
    for client in [&mut bela, &mut dora] {
        client.ask("conversation:join", json!({ "conversationId": number })).await;
    }
    let draft = json!({ "conversationId": number, "content": "/help", "tempId": 7 });
    bela.emit("message:send", draft).await;
    let sent = bela.payload("message:sent").await;
    assert_eq!((&sent["tempId"], &sent["message"]["senderType"]), (&json!(7), &json!("system")));
    bela.emit("message:send", json!({ "conversationId": number, "content": "/help" })).await;
    let shown = bela.payload("message:new").await;
    assert_ne!(shown["id"], sent["message"]["id"], "the client rendered the one with a tempId itself");
    let draft = json!({ "conversationId": number, "content": "/note last" });
    bela.emit("message:send", draft).await;
    assert_eq!(dora.payload("message:new").await["content"], "last");
}

#[tokio::test]
async fn namespace_confirms_slash_commands() {
    let app = app().await;
    let contact = inbox(&app, operators()).await;
    let id = conversation(&app).await;
    let (mut bela, _) = ChatClient::connect_namespace(&app, &token("bela")).await;
    let number: i64 = id.parse().unwrap();
    for (text, temp_id) in [("/note secret", 1), ("/assign", 2)] {
        let draft = json!({ "conversationId": number, "content": text, "tempId": temp_id });
        bela.emit("message:send", draft).await;
        let sent = bela.payload("message:sent").await;
        assert_eq!((&sent["tempId"], &sent["message"]["senderType"]), (&json!(temp_id), &json!("system")));
    }
    let draft = json!({ "conversationId": number, "content": "/nte secret", "tempId": 3 });
    bela.emit("message:send", draft).await;
    let failed = bela.payload("message:error").await;
    assert_eq!((&failed["code"], &failed["tempId"]), (&json!("unknown_command"), &json!(3)));
    assert_eq!(texts_after(&app, &contact, "Good morning").await, ["Good morning"]);
}

// covers: GET /conversations
#[tokio::test]
async fn conversations_are_filtered_and_paged() {
    let app = app().await;
    inbox(&app, operators()).await;
    app.incoming("shop", "15550100002", "Hello?").await;
    let ids = |reply: Value| -> Vec<String> {
        let all = reply["data"]["conversations"].as_array().unwrap().clone();
        all.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    let all = native(&app, "bela", "GET", "?state=open&assignee=none&device=shop", None).await.ok();
    let all = ids(all);
    assert_eq!(all.len(), 2);
    let first = native(&app, "bela", "GET", "?limit=1", None).await.ok();
    let cursor = first["data"]["nextCursor"].as_str().unwrap().to_owned();
    let second = native(&app, "bela", "GET", &format!("?limit=1&cursor={cursor}"), None).await.ok();
    assert_eq!(second["data"]["nextCursor"], Value::Null);
    assert_eq!([ids(first), ids(second)].concat(), all);
    assign(&app, "bela", &all[0], json!({ "user": "bela" })).await.ok();
    native(&app, "bela", "POST", &format!("/{}/close", all[1]), None).await.ok();
    for (query, id) in [("?assignee=me", &all[0]), ("?assignee=bela", &all[0]), ("?state=closed", &all[1])] {
        assert_eq!(
            ids(native(&app, "bela", "GET", query, None).await.ok()),
            std::slice::from_ref(id),
            "{query}"
        );
    }
    assert!(ids(native(&app, "bela", "GET", "?device=other", None).await.ok()).is_empty());
    native(&app, "bela", "GET", "?state=pending", None).await.refused(400, "invalid_field");
}

#[tokio::test]
async fn outsider_and_key_of_another_device_find_nothing() {
    let app = app().await;
    inbox(&app, json!([{ "who": "desk:bela" }])).await;
    let id = conversation(&app).await;
    for (method, path, body) in [
        ("GET", "", None),
        ("POST", "/close", None),
        ("POST", "/assign", Some(json!({ "user": "eve" }))),
        ("POST", "/notes", Some(json!({ "content": "x" }))),
    ] {
        let forbidden = native(&app, "eve", method, &format!("/{id}{path}"), body.clone()).await;
        let missing = native(&app, "eve", method, &format!("/99999{path}"), body).await;
        assert_eq!((forbidden.status, &forbidden.bytes), (missing.status, &missing.bytes), "{path}");
        assert_eq!(forbidden.status, 404, "{path}");
    }
    assert_eq!(native(&app, "eve", "GET", "", None).await.ok()["data"]["conversations"], json!([]));
    app.device("other").await;
    let key = |scopes: Value, device: &str| json!({ "name": "k", "scopes": scopes, "devices": [device] });
    let key_of = async |scopes: Value, device: &str| {
        let created = app.post("/api-keys", key(scopes, device)).await.created();
        created["data"]["key"].as_str().unwrap().to_owned()
    };
    let other = key_of(json!(["chat:read", "chat:write"]), "other").await;
    let path = format!("/conversations/{id}");
    app.with_key(&other).get(&path).await.refused(404, "not_found");
    let reader = key_of(json!(["chat:read"]), "shop").await;
    assert_eq!(app.with_key(&reader).get(&path).await.ok()["data"]["chatId"], format!("{ANNA}@c.us"));
    let assigned = json!({ "user": "desk:bela" });
    let refused = app.with_key(&reader).post(&format!("{path}/assign"), assigned.clone()).await;
    refused.refused(403, "missing_scope");
    let writer = key_of(json!(["chat:write"]), "shop").await;
    let done = app.with_key(&writer).post(&format!("{path}/assign"), assigned).await.ok();
    assert_eq!(done["data"]["assignee"]["id"], "bela");
    assert_eq!(contact(&app, "bela").await, done["data"]["contact"]["id"].as_str().unwrap());
}

#[tokio::test]
async fn commands_are_plain_texts_when_disabled() {
    let app = app_with(&[("WHARF__CHAT__COMMANDS", "false")]).await;
    let contact = inbox(&app, operators()).await;
    for text in ["/close", "/typo", "//two"] {
        let body = json!({ "recipientId": contact, "content": text });
        rest(&app, &token("bela"), "POST", "/api/messages", Some(body)).await.created();
    }
    assert_eq!(texts_after(&app, &contact, "end").await, ["/close", "/typo", "//two", "end"]);
}

#[tokio::test]
async fn changes_without_system_lines_store_no_message() {
    let app = app_with(&[("WHARF__CHAT__SYSTEM_LINES", "false")]).await;
    let contact = inbox(&app, operators()).await;
    let id = conversation(&app).await;
    let mut bela = ChatClient::connect(&app, "bela").await;
    bela.ask("conversation:join", json!({ "conversationWith": contact })).await;
    bela.payload("message:new").await;
    assign(&app, "bela", &id, json!({ "user": "bela" })).await.ok();
    let close = json!({ "recipientId": contact, "content": "/close", "tempId": "t-1" });
    let closed = bela.ask("message:send", close.clone()).await["message"].clone();
    assert_eq!((&closed["content"], &closed["type"]), (&json!("Closed by bela's name"), &json!("SYSTEM")));
    assert_eq!(bela.payload("message:new").await["id"], closed["id"], "the writer gets the answer");
    native(&app, "bela", "POST", &format!("/{id}/open"), None).await.ok();
    // A repeated request closes nothing.
    assert_eq!(bela.ask("message:send", close).await["message"]["id"], closed["id"]);
    let shown = native(&app, "bela", "GET", &format!("/{id}"), None).await.ok();
    assert_eq!((&shown["data"]["state"], &shown["data"]["assignee"]["id"]), (&json!("open"), &json!("bela")));
    native(&app, "bela", "POST", &format!("/{id}/close"), None).await.ok();
    app.incoming("shop", ANNA, "Still there?").await;
    assert_eq!(texts(&app, "bela", &contact).await, ["Is it open?", "Still there?"]);
    let note = json!({ "recipientId": contact, "content": "/note kept" });
    bela.ask("message:send", note).await;
    assert_eq!(texts(&app, "bela", &contact).await, ["Is it open?", "Still there?", "📝 kept"]);
}
