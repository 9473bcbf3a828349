//! Device inboxes: contacts and operators write to each other through the simulator.

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::client::{ChatClient, SECRET, app, app_with, rest, seconds, signed, token, unassigned_app};
use super::support::{ANNA, TestApp};

/// A bridged device whose inbox these users may use, with one message of a contact. The contact's id.
pub async fn inbox(app: &TestApp, operators: Value) -> String {
    app.device("shop").await;
    app.patch("/devices/shop", json!({ "settings": { "chat": { "bridge": "people" } } })).await.ok();
    app.put("/devices/shop/operators", json!({ "operators": operators })).await.ok();
    app.incoming("shop", ANNA, "Is it open?").await;
    contact(app, "bela").await
}

/// The contact in the newest conversation of a user.
pub async fn contact(app: &TestApp, user: &str) -> String {
    let list = rest(app, &token(user), "GET", "/api/messages/conversations", None).await.ok();
    list["data"]["conversations"][0]["participants"][0]["id"].as_str().unwrap().to_owned()
}

fn bela_and_cleo() -> Value {
    json!([{ "who": "desk:bela" }, { "who": "desk:role:support", "rights": "read" }])
}

pub async fn sent_texts(app: &TestApp) -> Vec<Value> {
    let network = app.get("/simulator/shop/network").await.ok();
    network["data"]["sent"].as_array().unwrap().iter().map(|sent| sent["body"].clone()).collect()
}

// covers: PUT /devices/{id}/operators
// covers: GET /devices/{id}/operators
#[tokio::test]
async fn inbox_access_is_replaced_and_shown() {
    let app = app().await;
    app.device("shop").await;
    let grants = json!({ "operators": bela_and_cleo() });
    let put = app.put("/devices/shop/operators", grants).await.ok()["data"].clone();
    let expected = json!({ "operators": [
        { "who": "desk:bela", "rights": "reply" }, { "who": "desk:role:support", "rights": "read" }
    ] });
    assert_eq!(put, expected);
    assert_eq!(app.get("/devices/shop/operators").await.ok()["data"], expected);
    for wrong in [json!([{ "who": "bela" }]), json!([{ "who": "desk:bela", "rights": "own" }])] {
        let body = json!({ "operators": wrong });
        app.put("/devices/shop/operators", body).await.refused(400, "invalid_field");
    }
    app.put("/devices/none/operators", json!({ "operators": [] })).await.refused(404, "device_not_found");
}

#[tokio::test]
async fn operator_reply_reaches_contact_with_receipts() {
    let app = unassigned_app().await;
    let contact = inbox(&app, bela_and_cleo()).await;
    let mut bela = ChatClient::connect(&app, "bela").await;
    let mut cleo = ChatClient::connect(&app, "cleo").await;
    for client in [&mut bela, &mut cleo] {
        client.ask("conversation:join", json!({ "conversationWith": contact })).await;
        let unread = client.payload("message:new").await;
        assert_eq!((&unread["content"], &unread["senderId"]), (&json!("Is it open?"), &json!(contact)));
    }
    app.incoming("shop", ANNA, "Hello?").await;
    for (client, id) in [(&mut bela, "bela"), (&mut cleo, "cleo")] {
        let new = client.payload("message:new").await;
        assert_eq!((&new["content"], &new["recipientId"]), (&json!("Hello?"), &json!(id)));
    }
    let message = json!({ "recipientId": contact, "content": "Until six.", "tempId": "t-1" });
    let first = bela.ask("message:send", message.clone()).await;
    assert_eq!(first["success"], true, "{first}");
    let again = bela.ask("message:send", message).await;
    assert_eq!(again["message"]["id"], first["message"]["id"]);
    let own = bela.payload("message:new").await;
    assert_eq!((&own["senderId"], &own["author"]["id"]), (&json!("bela"), &json!("bela")));
    let colleague = cleo.payload("message:new").await;
    assert_eq!((&colleague["senderId"], &colleague["recipientId"]), (&json!("cleo"), &json!(contact)));
    assert_eq!(colleague["author"], json!({ "id": "bela", "name": "bela's name" }));
    for client in [&mut bela, &mut cleo] {
        assert_eq!(client.payload("message:delivered").await["deliveredTo"], contact);
        assert_eq!(client.payload("messages:read").await["messageIds"], json!([first["message"]["id"]]));
    }
    assert_eq!(sent_texts(&app).await, ["Until six."]);
    let path = format!("/api/messages?conversationWith={contact}");
    let page = rest(&app, &token("cleo"), "GET", &path, None).await.ok();
    let messages = page["data"]["messages"].as_array().unwrap();
    assert_eq!((messages.len(), &messages[2]["status"]), (3, &json!("read")));
}

#[tokio::test]
async fn namespace_shows_real_authors_of_an_inbox() {
    let app = unassigned_app().await;
    inbox(&app, json!([{ "who": "desk:21" }, { "who": "desk:22" }, { "who": "desk:bela" }])).await;
    let (mut zoe, _) = ChatClient::connect_namespace(&app, &typed_token(21)).await;
    let (mut yan, _) = ChatClient::connect_namespace(&app, &typed_token(22)).await;
    let (mut outsider, _) = ChatClient::connect_namespace(&app, &typed_token(23)).await;
    app.incoming("shop", ANNA, "Hello?").await;
    let notified = zoe.payload("message:notification").await;
    let (id, message) = (notified["conversationId"].clone(), &notified["message"]);
    assert_eq!((&message["content"], &message["senderType"]), (&json!("Hello?"), &json!("contact")));
    let contact = message["sender"]["id"].as_i64().unwrap();
    for client in [&mut zoe, &mut yan] {
        client.ask("conversation:join", json!({ "conversationId": id })).await;
    }
    zoe.arrived().await;
    let draft = json!({ "conversationId": id, "content": "Yes.", "tempId": 5 });
    let answer = zoe.ask("message:send", draft.clone()).await;
    assert_eq!((&answer["tempId"], &answer["message"]["senderType"]), (&json!(5), &json!("agent")));
    assert_eq!(zoe.ask("message:send", draft).await["message"]["id"], answer["message"]["id"]);
    let colleague = yan.payload("message:new").await;
    assert_eq!((&colleague["id"], &colleague["sender"]["id"]), (&answer["message"]["id"], &json!(21)));
    let read = yan.payload("message:read").await;
    assert_eq!(read["readBy"], json!({ "userId": contact, "userType": "contact" }));
    let own = messages(zoe.arrived().await);
    assert_eq!(own[0], "message:sent", "{own:?}");
    assert!(!own.contains(&json!("message:new")), "{own:?}");
    assert!(messages(outsider.arrived().await).is_empty());
}

/// The names of events about messages.
fn messages(events: Vec<Value>) -> Vec<Value> {
    let names = events.into_iter().map(|event| event[0].clone());
    names.filter(|name| name.as_str().is_some_and(|name| name.starts_with("message:"))).collect()
}

/// An hour's token of a user of `desk` with a numeric id.
fn typed_token(id: i64) -> String {
    let claims = json!({ "id": id, "userType": "agent", "name": "An agent", "exp": seconds() + 3_600 });
    signed(Algorithm::HS256, SECRET, &claims)
}

#[tokio::test]
async fn message_of_phone_and_api_is_on_operator_side() {
    let app = app().await;
    let contact = inbox(&app, bela_and_cleo()).await;
    app.send("shop", &format!("{ANNA}@c.us"), "From the API").await;
    let path = format!("/api/messages?conversationWith={contact}");
    let page = rest(&app, &token("bela"), "GET", &path, None).await.ok();
    let message = &page["data"]["messages"][1];
    assert_eq!((&message["content"], &message["senderId"]), (&json!("From the API"), &json!("bela")));
    assert_eq!(message["author"]["name"], "API");
}

#[tokio::test]
async fn read_mark_of_operator_reaches_the_device() {
    let app = app().await;
    let contact = inbox(&app, bela_and_cleo()).await;
    let chat = format!("/devices/shop/chats/{ANNA}@c.us");
    assert_eq!(app.get(&chat).await.ok()["data"]["unreadCount"], 1);
    let mut bela = ChatClient::connect(&app, "bela").await;
    bela.ask("conversation:join", json!({ "conversationWith": contact })).await;
    let id = bela.payload("message:new").await["id"].clone();
    let marked = bela.ask("message:mark_read", json!({ "messageId": id })).await;
    assert_eq!(marked, json!({ "success": true }));
    assert_eq!(app.get(&chat).await.ok()["data"]["unreadCount"], 0);
}

#[tokio::test]
async fn command_and_read_only_user_send_nothing() {
    let app = app().await;
    let contact = inbox(&app, bela_and_cleo()).await;
    let send = |text: &str| Some(json!({ "recipientId": contact, "content": text }));
    for text in ["/typo", "/nte he is rude", "/ärger"] {
        let refused = rest(&app, &token("bela"), "POST", "/api/messages", send(text)).await;
        refused.refused(400, "unknown_command");
    }
    let refused = rest(&app, &token("cleo"), "POST", "/api/messages", send("Hello")).await;
    refused.refused(403, "read_only");
    rest(&app, &token("bela"), "POST", "/api/messages", send("//slash")).await.created();
    app.wait_until("the message to arrive", async || {
        let texts = sent_texts(&app).await;
        (!texts.is_empty()).then_some(texts)
    })
    .await;
    assert_eq!(sent_texts(&app).await, ["/slash"]);
}

#[tokio::test]
async fn removed_user_gets_nothing_and_outsider_finds_nothing() {
    let app = app().await;
    let contact = inbox(&app, json!([{ "who": "desk:bela" }, { "who": "desk:dora" }])).await;
    let mut bela = ChatClient::connect(&app, "bela").await;
    let mut dora = ChatClient::connect(&app, "dora").await;
    for client in [&mut bela, &mut dora] {
        client.ask("conversation:join", json!({ "conversationWith": contact })).await;
        client.payload("message:new").await;
    }
    app.put("/devices/shop/operators", json!({ "operators": [{ "who": "desk:bela" }] })).await.ok();
    app.incoming("shop", ANNA, "A secret").await;
    assert_eq!(bela.payload("message:new").await["content"], "A secret");
    assert!(dora.arrived().await.iter().all(|event| event[0] != "message:new"));
    let path = |who: &str| format!("/api/messages?conversationWith={who}");
    let forbidden = rest(&app, &token("dora"), "GET", &path(&contact), None).await;
    let missing = rest(&app, &token("dora"), "GET", &path("c99999"), None).await;
    assert_eq!((forbidden.status, &forbidden.bytes), (missing.status, &missing.bytes));
    assert_eq!(forbidden.status, 404);
    let body = |who: &str| Some(json!({ "recipientId": who, "content": "Hello" }));
    let forbidden = rest(&app, &token("dora"), "POST", "/api/messages", body(&contact)).await;
    let missing = rest(&app, &token("dora"), "POST", "/api/messages", body("c99999")).await;
    assert_eq!((forbidden.status, forbidden.bytes), (missing.status, missing.bytes));
    let list = rest(&app, &token("dora"), "GET", "/api/messages/conversations", None).await.ok();
    assert_eq!(list["data"]["conversations"], json!([]));
}

#[tokio::test]
async fn device_without_bridge_has_no_conversation() {
    let app = app().await;
    app.device("shop").await;
    app.put("/devices/shop/operators", json!({ "operators": [{ "who": "desk:bela" }] })).await.ok();
    app.incoming("shop", ANNA, "Hello?").await;
    let list = rest(&app, &token("bela"), "GET", "/api/messages/conversations", None).await.ok();
    assert_eq!(list["data"]["conversations"], json!([]));
    let wrong = json!({ "settings": { "chat": { "bridge": "some" } } });
    app.patch("/devices/shop", wrong).await.refused(400, "invalid_field");
}

// covers: typing of a contact and of operators
#[tokio::test]
async fn contact_and_operators_see_each_other_type() {
    let app = app().await;
    let contact = inbox(&app, json!([{ "who": "desk:bela" }])).await;
    let mut bela = ChatClient::connect(&app, "bela").await;
    bela.ask("conversation:join", json!({ "conversationWith": contact })).await;
    let typing = json!({ "from": ANNA, "kind": "text", "on": true });
    app.post("/simulator/shop/typing", typing).await.ok();
    let start = bela.payload("typing:start").await;
    assert_eq!((&start["userId"], &start["conversationId"].is_string()), (&json!(contact), &true));
    app.post("/simulator/shop/typing", json!({ "from": ANNA, "kind": "text", "on": false })).await.ok();
    assert_eq!(bela.payload("typing:stop").await["userId"], json!(contact));
    app.post("/simulator/shop/typing", json!({ "from": ANNA, "kind": "text", "on": true })).await.ok();
    bela.payload("typing:start").await;
    app.clock.advance(10_000);
    assert_eq!(bela.payload("typing:stop").await["userId"], json!(contact), "a start without a stop expires");
    for _ in 0..3 {
        bela.ask("typing:start", json!({ "conversationWith": contact })).await;
    }
    bela.ask("typing:stop", json!({ "conversationWith": contact })).await;
    let states = app.wait_until("the network sees typing", async || {
        let network = app.get("/simulator/shop/network").await.ok();
        let typing = network["data"]["typing"].as_array().unwrap().clone();
        (typing.len() >= 2).then_some(typing)
    });
    let on: Vec<_> = states.await.iter().map(|state| state["on"].clone()).collect();
    assert_eq!(on, [json!(true), json!(false)], "one start in ten seconds");
}

// covers: sentBy of an operator's message
#[tokio::test]
async fn author_of_a_reply_is_recorded() {
    let app = app().await;
    let contact = inbox(&app, json!([{ "who": "desk:bela" }])).await;
    let mut bela = ChatClient::connect(&app, "bela").await;
    let reply = json!({ "recipientId": contact, "content": "Yes, until six." });
    assert_eq!(bela.ask("message:send", reply).await["success"], true);
    let author = json!({ "id": "desk:bela", "name": "bela's name" });
    let page = app.get(&format!("/devices/shop/chats/{ANNA}/messages")).await.ok();
    let of = |from_me: bool| {
        let messages = page["data"].as_array().unwrap();
        messages.iter().find(|message| message["fromMe"] == from_me).unwrap().clone()
    };
    assert_eq!(of(true)["sentBy"], author);
    assert_eq!(of(false).get("sentBy"), None);
    let created = app.logged("shop", "message:created").await;
    assert_eq!(created.last().unwrap()["message"]["sentBy"], author);
    let body = json!({ "to": ANNA, "text": "By the API" });
    app.post("/devices/shop/messages/send", body).await;
    let page = app.get(&format!("/devices/shop/chats/{ANNA}/messages")).await.ok();
    let authored = page["data"].as_array().unwrap().iter().filter(|message| message.get("sentBy").is_some());
    assert_eq!(authored.count(), 1);
}

#[tokio::test]
async fn online_users_of_an_inbox_are_the_colleagues() {
    let app = app().await;
    app.clock.advance(120_000);
    inbox(&app, json!([{ "who": "desk:bela" }, { "who": "desk:cleo" }])).await;
    let mut bela = ChatClient::connect(&app, "bela").await;
    let list = rest(&app, &token("bela"), "GET", "/api/messages/conversations", None).await.ok();
    let id = list["data"]["conversations"][0]["id"].clone();
    assert_eq!(bela.ask("conversation:get-online-users", id.clone()).await, json!([]));
    let _cleo = ChatClient::connect(&app, "cleo").await;
    let _second = ChatClient::connect(&app, "cleo").await;
    let _outsider = ChatClient::connect(&app, "dora").await;
    assert_eq!(bela.ask("conversation:get-online-users", id).await, json!(["cleo"]));
}

/// Writes the file of the device, and restarts.
async fn restarted_with_file(app: TestApp, text: &str) -> TestApp {
    std::fs::create_dir_all(app.devices_dir()).unwrap();
    std::fs::write(app.devices_dir().join("shop.toml"), text).unwrap();
    app.restarted().await
}

#[tokio::test]
async fn device_file_grants_access_beside_the_api() {
    let app = app().await;
    let device = "id = \"shop\"\nengine = \"simulator\"\n[settings.chat]\nbridge = \"people\"\n";
    let anna = "[[chat.operators]]\nwho = \"desk:anna\"\n";
    let app = restarted_with_file(app, &format!("{device}{anna}")).await;
    app.put("/devices/shop/operators", json!({ "operators": [{ "who": "desk:bela" }] })).await.ok();
    let grants = app.get("/devices/shop/operators").await.ok()["data"]["operators"].clone();
    let declared = json!({ "who": "desk:anna", "rights": "reply", "source": "file" });
    assert_eq!(grants, json!([declared, { "who": "desk:bela", "rights": "reply" }]));
    app.put("/devices/shop/operators", json!({ "operators": grants })).await.ok();
    assert_eq!(app.get("/devices/shop/operators").await.ok()["data"]["operators"], grants);
    let broken = format!("{device}[[chat.operators]]\nwho = \"nobody:anna\"\n");
    let app = restarted_with_file(app, &broken).await;
    let kept = app.get("/devices/shop/operators").await.ok()["data"]["operators"].clone();
    assert_eq!(kept, grants, "an invalid file changes nothing");
    let app = restarted_with_file(app, device).await;
    let left = app.get("/devices/shop/operators").await.ok()["data"]["operators"].clone();
    assert_eq!(left, json!([{ "who": "desk:bela", "rights": "reply" }]));
}

fn claiming(user: &str, devices: &Value) -> String {
    let claims = json!({ "sub": user, "devices": devices, "exp": seconds() + 3_600 });
    signed(Algorithm::HS256, SECRET, &claims)
}

async fn list_of(app: &TestApp, token: &str) -> usize {
    let list = rest(app, token, "GET", "/api/v1/conversations", None).await.ok();
    list["data"]["conversations"].as_array().unwrap().len()
}

// covers: inbox access by the claim of a token
#[tokio::test]
async fn newest_token_grants_the_inboxes_of_its_claim() {
    let identity = r#"[{ "name": "desk", "jwt_secret": "${DESK_SECRET}", "devices_claim": "devices" }]"#;
    let app = app_with(&[("WHARF__CHAT__IDENTITIES", identity)]).await;
    inbox(&app, json!([{ "who": "desk:bela" }])).await;
    let with_shop = claiming("anna", &json!(["other", "shop", "not an id", 5]));
    assert_eq!(list_of(&app, &with_shop).await, 1);
    let mut anna = ChatClient::connect_with(&app, &with_shop, "anna").await;
    let contact = contact(&app, "bela").await;
    anna.ask("conversation:join", json!({ "conversationWith": contact })).await;
    anna.payload("message:new").await;
    let message = json!({ "recipientId": contact, "content": "Until six." });
    assert_eq!(anna.ask("message:send", message.clone()).await["success"], true);
    let grants = app.get("/devices/shop/operators").await.ok()["data"]["operators"].clone();
    let by_token = json!({ "who": "desk:anna", "rights": "reply", "source": "token" });
    assert_eq!(grants, json!([{ "who": "desk:bela", "rights": "reply" }, by_token]));
    // A newer token without the device takes the access, also from the connected socket.
    assert_eq!(list_of(&app, &claiming("anna", &json!([]))).await, 0);
    let refused = anna.ask("message:send", message).await;
    assert_eq!(refused["success"], false, "{refused}");
    app.incoming("shop", ANNA, "Thanks").await;
    let arrived = anna.arrived().await;
    assert!(!arrived.iter().any(|event| event.to_string().contains("Thanks")), "{arrived:?}");
    let shown = app.get("/conversations").await.ok();
    assert_eq!(shown["data"]["conversations"][0]["assignee"], Value::Null, "the assignee lost the access");
    // Without the setting the claim grants nothing.
    assert_eq!(list_of(&app, &claiming("anna", &json!("shop"))).await, 1);
    let app = app
        .restarted_with(&[(
            "WHARF__CHAT__IDENTITIES",
            r#"[{ "name": "desk", "jwt_secret": "${DESK_SECRET}" }]"#,
        )])
        .await;
    assert_eq!(list_of(&app, &claiming("anna", &json!("shop"))).await, 0);
}
