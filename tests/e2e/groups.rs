//! Groups: what the account is in, what it does with them, and what others do.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::wire::Wire;
use crate::support::{ADMIN_KEY, ANNA, BEN, TestApp};

const CREW: &str = "120363000000000077@g.us";
const GROUP: &str = "/devices/shop/groups/120363000000000077@g.us";
const ANNA_ID: &str = "15550100001@c.us";
const BEN_ID: &str = "15550100002@c.us";

/// A device that is an admin of one group, with Anna in it.
async fn with_a_group() -> TestApp {
    let app = TestApp::start().await;
    let crew = json!({ "id": CREW, "subject": "Crew", "participants": [ANNA] });
    app.device_with("shop", json!({ "groups": [crew] })).await;
    if !app.can(|engine| engine.groups) {
        return app;
    }
    app.wait_until("the group", async || (total(&app, "").await == 1).then_some(())).await;
    app
}

async fn total(app: &TestApp, query: &str) -> i64 {
    let page = app.get(&format!("/devices/shop/groups{query}")).await.ok();
    page["pagination"]["total"].as_i64().unwrap()
}

async fn group(app: &TestApp) -> Value {
    app.get(GROUP).await.ok()["data"].clone()
}

/// `group:update` events after the group was learnt, as `change` and what it says.
async fn updates(app: &TestApp) -> Vec<Value> {
    let mut all = app.logged("shop", "group:update").await;
    all.retain(|update| update["change"] != "created");
    all
}

/// Who is in a group, with what they may do.
fn roles(group: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    group["participants"].as_array().unwrap().iter().map(|p| (text(&p["id"]), text(&p["role"]))).collect()
}

fn role_of(group: &Value, who: &str) -> Option<String> {
    roles(group).into_iter().find(|(id, _)| id == who).map(|(_, role)| role)
}

async fn members(app: &TestApp, change: &str, people: Value) -> Value {
    let path = format!("{GROUP}/participants/{change}");
    app.post(&path, json!({ "participants": people })).await.ok()["data"].clone()
}

/// Whatever the network still has to tell of what was done is told before this.
async fn settled(app: &TestApp) {
    app.incoming("shop", BEN, "a moment later").await;
}

// covers: GET /devices/{id}/groups
// covers: GET /devices/{id}/groups/{gid}
#[tokio::test]
async fn groups_are_listed_and_shown_with_who_is_in_them() {
    let app = with_a_group().await;
    if !app.can(|engine| engine.groups) {
        return app.skip("groups");
    }
    let list = app.get("/devices/shop/groups").await.ok();
    let listed = &list["data"][0];
    assert_eq!(
        (&listed["id"], &listed["groupId"], &listed["subject"], &listed["participantCount"]),
        (&json!(CREW), &json!(CREW), &json!("Crew"), &json!(2))
    );
    assert!(listed.get("participants").is_none(), "{listed}");
    let shown = group(&app).await;
    assert_eq!(role_of(&shown, ANNA_ID).as_deref(), Some("member"));
    assert_eq!(shown["participantCount"], 2);
    for (query, expected) in
        [("?search=cre", 1), ("?q=0077", 1), ("?search=other", 0), ("?limit=1&offset=1", 1)]
    {
        assert_eq!(total(&app, query).await, expected, "{query}");
    }
    let chat = app.get(&format!("/devices/shop/chats/{CREW}")).await.ok()["data"].clone();
    assert_eq!((&chat["name"], &chat["isGroup"]), (&json!("Crew"), &json!(true)));
    assert_eq!(chat["participants"], shown["participants"]);
    app.get("/devices/shop/groups/120363000000009999@g.us").await.refused(404, "group_not_found");
    app.get(&format!("/devices/shop/groups/{ANNA}")).await.refused(400, "invalid_field");
    assert_eq!(app.get("/devices/shop").await.ok()["data"]["stats"]["groups"], 1);
}

// covers: POST /devices/{id}/groups
// covers: event group:update
#[tokio::test]
async fn a_group_is_made_and_told_once() {
    let app = TestApp::start().await;
    if !app.can(|engine| engine.groups) {
        return app.skip("groups");
    }
    app.device("shop").await;
    let body = json!({ "subject": "Party", "participants": [ANNA, BEN, "+1 555 010 0001"] });
    let made = app.post("/devices/shop/groups", body).await.created()["data"].clone();
    assert_eq!((&made["subject"], &made["participantCount"]), (&json!("Party"), &json!(3)));
    assert_eq!(role_of(&made, BEN_ID).as_deref(), Some("member"));
    settled(&app).await;
    let told = app.logged("shop", "group:update").await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        (&told[0]["groupId"], &told[0]["change"], &told[0]["subject"]),
        (&made["id"], &json!("created"), &json!("Party"))
    );
    let chat = app.get(&format!("/devices/shop/chats/{}", made["id"].as_str().unwrap())).await.ok();
    assert_eq!(chat["data"]["name"], "Party");
    for wrong in [
        json!({ "subject": "Party", "participants": [] }),
        json!({ "subject": " ", "participants": [ANNA] }),
        json!({ "subject": "x".repeat(101), "participants": [ANNA] }),
        json!({ "subject": "Party", "participants": [CREW] }),
        json!({ "participants": [ANNA] }),
    ] {
        app.post("/devices/shop/groups", wrong).await.refused(400, "invalid_field");
    }
}

// covers: POST /devices/{id}/groups/{gid}/participants/add
// covers: POST /devices/{id}/groups/{gid}/participants/remove
// covers: event group:update
#[tokio::test]
async fn people_come_and_go_and_each_is_answered_for() {
    let app = with_a_group().await;
    if !app.can(|engine| engine.groups) {
        return app.skip("groups");
    }
    let added = members(&app, "add", json!([BEN, ANNA, "15550190001"])).await;
    let outcomes = added["participants"].as_array().unwrap();
    assert_eq!((&outcomes[0]["id"], &outcomes[0]["success"]), (&json!(BEN_ID), &json!(true)));
    assert!(outcomes[0].get("code").is_none());
    for refused in &outcomes[1..] {
        assert_eq!(refused["success"], false);
        assert!(refused["code"].as_str().is_some_and(|code| code.contains('_')), "{refused}");
    }
    assert_eq!(role_of(&group(&app).await, BEN_ID).as_deref(), Some("member"));
    assert_eq!(members(&app, "remove", json!([BEN])).await["participants"][0]["success"], true);
    assert_eq!(role_of(&group(&app).await, BEN_ID), None);
    settled(&app).await;
    let told = updates(&app).await;
    let changes: Vec<&Value> = told.iter().map(|update| &update["change"]).collect();
    assert_eq!(changes, ["add", "remove"]);
    assert_eq!(told[0]["participants"], json!([{ "id": BEN_ID, "role": "member" }]));
}

// covers: POST /devices/{id}/groups/{gid}/participants/promote
// covers: POST /devices/{id}/groups/{gid}/participants/demote
#[tokio::test]
async fn members_become_admins_and_members_again() {
    let app = with_a_group().await;
    if !app.can(|engine| engine.groups) {
        return app.skip("groups");
    }
    members(&app, "promote", json!([ANNA])).await;
    assert_eq!(role_of(&group(&app).await, ANNA_ID).as_deref(), Some("admin"));
    members(&app, "promote", json!([ANNA])).await;
    members(&app, "demote", json!([ANNA])).await;
    assert_eq!(role_of(&group(&app).await, ANNA_ID).as_deref(), Some("member"));
    settled(&app).await;
    let told = updates(&app).await;
    let changes: Vec<&Value> = told.iter().map(|update| &update["change"]).collect();
    assert_eq!(changes, ["promote", "demote"], "promoting twice is no change");
}

// covers: PUT /devices/{id}/groups/{gid}/subject
// covers: PUT /devices/{id}/groups/{gid}/description
// covers: event group:update
#[tokio::test]
async fn names_and_descriptions_change_once_however_often_they_are_told() {
    let app = with_a_group().await;
    if !app.can(|engine| engine.groups) {
        return app.skip("groups");
    }
    let put = async |what: &str, body: Value| {
        let request = app.request("PUT", &format!("{GROUP}/{what}")).json(&body);
        app.with_key(ADMIN_KEY).send(request).await
    };
    for subject in ["First", "Second", "Third"] {
        let named = put("subject", json!({ "subject": subject })).await.ok();
        assert_eq!(named["data"]["subject"], subject);
    }
    assert_eq!(put("description", json!({ "description": "Hi" })).await.ok()["data"]["description"], "Hi");
    let cleared = put("description", json!({ "description": "" })).await.ok();
    assert_eq!(cleared["data"]["description"], Value::Null);
    settled(&app).await;
    let told = updates(&app).await;
    let said: Vec<&Value> =
        told.iter().map(|t| t.get("subject").or_else(|| t.get("description")).unwrap()).collect();
    assert_eq!(said, ["First", "Second", "Third", "Hi", ""], "each once, and none undone by its echo");
    let chat = app.get(&format!("/devices/shop/chats/{CREW}")).await.ok();
    assert_eq!(chat["data"]["name"], "Third");
    put("subject", json!({ "subject": "" })).await.refused(400, "invalid_field");
    put("subject", json!({ "subject": 5 })).await.refused(400, "invalid_field");
    put("description", json!({})).await.refused(400, "invalid_field");
}

// covers: GET /devices/{id}/groups/{gid}/invite-link
// covers: POST /devices/{id}/groups/{gid}/invite-link/revoke
// covers: event group:update
#[tokio::test]
async fn a_revoked_invite_link_is_replaced() {
    let app = with_a_group().await;
    if !app.can(|engine| engine.groups) {
        return app.skip("groups");
    }
    let link = async || app.get(&format!("{GROUP}/invite-link")).await.ok()["data"]["inviteLink"].clone();
    let first = link().await;
    assert!(first.as_str().unwrap().starts_with("https://"), "{first}");
    assert_eq!(link().await, first);
    let revoked = app.post(&format!("{GROUP}/invite-link/revoke"), json!({})).await.ok();
    assert_ne!(revoked["data"]["inviteLink"], first);
    assert_eq!(link().await, revoked["data"]["inviteLink"]);
    settled(&app).await;
    assert_eq!(updates(&app).await.len(), 1);
    assert_eq!(updates(&app).await[0]["change"], "invite_link");
}

// covers: POST /devices/{id}/groups/{gid}/leave
#[tokio::test]
async fn a_group_that_was_left_is_no_longer_listed_and_its_chat_stays() {
    let app = with_a_group().await;
    if !app.can(|engine| engine.groups) {
        return app.skip("groups");
    }
    app.post("/simulator/shop/incoming", json!({ "from": ANNA, "groupId": CREW, "body": "hello" }))
        .await
        .ok();
    app.post(&format!("{GROUP}/leave"), json!({})).await.ok();
    assert_eq!(total(&app, "").await, 0);
    app.get(GROUP).await.refused(404, "group_not_found");
    let chat = app.get(&format!("/devices/shop/chats/{CREW}")).await.ok()["data"].clone();
    assert_eq!((&chat["name"], &chat["lastMessage"]["body"]), (&json!("Crew"), &json!("hello")));
    settled(&app).await;
    let told = updates(&app).await;
    assert_eq!((told.len(), &told[0]["change"]), (1, &json!("leave")), "{told:?}");
    app.post(&format!("{GROUP}/leave"), json!({})).await.refused(404, "group_not_found");
}

// covers: event group:update
#[tokio::test]
async fn what_others_do_is_told_with_who_did_it() {
    let app = with_a_group().await;
    if !app.can(|engine| engine.groups) {
        return app.skip("groups");
    }
    let (mut wire, _) = Wire::open(&app).await;
    wire.join("shop", ADMIN_KEY).await;
    wire.event("shop", "state").await;
    let others = async |body: Value| {
        let mut body = body;
        body["groupId"] = json!(CREW);
        body["author"] = json!(ANNA);
        app.post("/simulator/shop/group", body).await.ok();
    };
    others(json!({ "change": "add", "participants": [BEN] })).await;
    let told = wire.event("shop", "group:update").await;
    assert_eq!(
        (&told["groupId"], &told["change"], &told["author"], &told["participants"][0]["id"]),
        (&json!(CREW), &json!("add"), &json!(ANNA_ID), &json!(BEN_ID))
    );
    assert!(told["seq"].is_i64(), "{told}");
    others(json!({ "change": "subject", "subject": "Gang" })).await;
    assert_eq!(wire.event("shop", "group:update").await["subject"], "Gang");
    assert_eq!(group(&app).await["subject"], "Gang");
    others(json!({ "change": "subject", "subject": "Gang" })).await;
    others(json!({ "change": "leave", "participants": [BEN] })).await;
    let left = if app.says("who left by themselves") { "leave" } else { "remove" };
    assert_eq!(wire.event("shop", "group:update").await["change"], left, "the same name again is no news");
    assert_eq!(role_of(&group(&app).await, BEN_ID), None);
}

// covers: event group:update
#[tokio::test]
async fn the_account_comes_into_a_group_and_is_removed_from_it() {
    let app = TestApp::start().await;
    if !app.can(|engine| engine.groups) {
        return app.skip("groups");
    }
    let me = app.device("shop").await["phoneNumber"].as_str().unwrap().to_owned();
    let steer = async |body: Value| app.post("/simulator/shop/group", body).await.ok();
    steer(json!({ "groupId": CREW, "change": "created", "subject": "Crew", "author": ANNA })).await;
    let told = app.logged("shop", "group:update").await;
    assert_eq!((told.len(), &told[0]["change"], &told[0]["subject"]), (1, &json!("created"), &json!("Crew")));
    assert_eq!(group(&app).await["participantCount"], 2);
    steer(json!({ "groupId": CREW, "change": "remove", "participants": [me], "author": ANNA })).await;
    assert_eq!(app.logged("shop", "group:update").await[1]["change"], "remove");
    assert_eq!(total(&app, "").await, 0);
}

#[tokio::test]
async fn what_only_admins_may_do_is_refused_by_the_network() {
    let app = TestApp::start().await;
    if !app.can(|engine| engine.groups) {
        return app.skip("groups");
    }
    let crew = json!({ "id": CREW, "subject": "Crew", "participants": [ANNA], "admin": false });
    app.device_with("shop", json!({ "groups": [crew] })).await;
    app.wait_until("the group", async || (total(&app, "").await == 1).then_some(())).await;
    let add = json!({ "participants": [BEN] });
    app.post(&format!("{GROUP}/participants/add"), add).await.refused(422, "refused_by_network");
    app.get(&format!("{GROUP}/invite-link")).await.refused(422, "refused_by_network");
    assert!(updates(&app).await.is_empty());
}

#[tokio::test]
async fn without_a_connection_groups_are_shown_and_not_changed() {
    let app = with_a_group().await;
    if !app.can(|engine| engine.groups) {
        return app.skip("groups");
    }
    app.post("/devices/shop/stop", json!({})).await.ok();
    assert_eq!(group(&app).await["subject"], "Crew");
    let body = json!({ "subject": "Party", "participants": [ANNA] });
    app.post("/devices/shop/groups", body).await.refused(409, "device_offline");
    let add = json!({ "participants": [BEN] });
    app.post(&format!("{GROUP}/participants/add"), add.clone()).await.refused(409, "device_offline");
    app.post(&format!("{GROUP}/leave"), json!({})).await.refused(409, "device_offline");
    app.post("/devices/nowhere/groups/1-1@g.us/participants/add", add).await.refused(404, "device_not_found");
}

/// The network takes the account out of its group, and does not get to say so until it is told to go on.
async fn removed_in_silence(app: &TestApp) {
    let me = app.get("/devices/shop").await.ok()["data"]["phoneNumber"].clone();
    if app.is_native() {
        // A silent network would not answer requests either.
        let removed = json!({
            "groupId": CREW, "change": "remove", "participants": [me], "author": ANNA, "unheard": true
        });
        app.post("/simulator/shop/group", removed).await.ok();
        return;
    }
    app.fault("shop", json!({ "kind": "stall", "durationMs": 60_000 })).await;
    let removed = app.request("POST", "/simulator/shop/group").header("X-API-KEY", ADMIN_KEY).json(&json!({
        "groupId": CREW, "change": "remove", "participants": [me], "author": ANNA
    }));
    // It waits for us to hear of it, which we do not.
    let unheard = removed.timeout(Duration::from_millis(300)).send().await;
    assert!(unheard.is_err_and(|error| error.is_timeout()));
}

#[tokio::test]
async fn a_group_that_the_network_knows_us_out_of_can_be_left() {
    let app = with_a_group().await;
    if !app.can(|engine| engine.groups) {
        return app.skip("groups");
    }
    app.post("/simulator/shop/incoming", json!({ "from": ANNA, "groupId": CREW, "body": "hello" }))
        .await
        .ok();
    removed_in_silence(&app).await;
    app.post(&format!("{GROUP}/leave"), json!({})).await.ok();
    assert_eq!(total(&app, "").await, 0);
    let chat = app.get(&format!("/devices/shop/chats/{CREW}")).await.ok()["data"].clone();
    assert_eq!((&chat["name"], &chat["lastMessage"]["body"]), (&json!("Crew"), &json!("hello")));
    app.fault("shop", json!({ "kind": "stall", "count": 0 })).await;
    settled(&app).await;
    let told = updates(&app).await;
    assert_eq!((told.len(), &told[0]["change"]), (1, &json!("leave")), "{told:?}");
}

#[tokio::test]
async fn a_group_that_cannot_be_changed_because_we_are_out_of_it_goes() {
    let app = with_a_group().await;
    if !app.can(|engine| engine.groups) {
        return app.skip("groups");
    }
    removed_in_silence(&app).await;
    app.get(&format!("{GROUP}/invite-link")).await.refused(422, "refused_by_network");
    app.get(GROUP).await.refused(404, "group_not_found");
    assert_eq!(updates(&app).await[0]["change"], "leave");
}

/// While nobody hears of it, the account leaves its group and comes into another.
async fn in_another_group_instead(app: &TestApp) {
    let other = "120363000000000078@g.us";
    if app.is_simulated() {
        let groups = json!([{ "id": other, "subject": "Other", "participants": [BEN] }]);
        app.patch("/devices/shop", json!({ "settings": { "simulator": { "groups": groups } } })).await.ok();
        return;
    }
    let me = app.get("/devices/shop").await.ok()["data"]["phoneNumber"].clone();
    for mut unheard in [
        json!({ "groupId": CREW, "change": "remove", "participants": [me] }),
        json!({ "groupId": other, "change": "created", "subject": "Other", "author": BEN }),
    ] {
        if app.is_native() {
            unheard["unheard"] = json!(true);
        }
        app.post("/simulator/shop/group", unheard).await.ok();
    }
}

#[tokio::test]
async fn groups_are_those_of_the_network_after_each_connection() {
    let app = with_a_group().await;
    if !app.can(|engine| engine.groups) {
        return app.skip("groups");
    }
    app.post("/devices/shop/stop", json!({})).await.ok();
    in_another_group_instead(&app).await;
    app.post("/devices/shop/start", json!({})).await.ok();
    app.wait_for_state("shop", "ready").await;
    // They are told after the device is ready.
    app.wait_until("the groups of the network", async || {
        let list = app.get("/devices/shop/groups").await.ok();
        (list["pagination"]["total"] == 1 && list["data"][0]["subject"] == "Other").then_some(())
    })
    .await;
    let told = app.logged("shop", "group:update").await;
    let mut changes: Vec<&Value> = told.iter().map(|update| &update["change"]).collect();
    // An upstream with a log of its own tells afterwards what exactly happened.
    let gone = if app.hears_of_tries() { "leave" } else { "remove" };
    if gone == "remove" {
        changes[1..].sort_by_key(|change| change.as_str() != Some(gone));
    }
    assert_eq!(changes, ["created", gone, "created"]);
    app.post("/devices/shop/restart", json!({})).await.ok();
    app.wait_for_state("shop", "ready").await;
    assert_eq!(app.logged("shop", "group:update").await.len(), 3, "the same again is no news");
}

#[tokio::test]
async fn the_groups_of_an_account_go_with_it_and_their_chats_stay() {
    let app = with_a_group().await;
    if !app.can(|engine| engine.groups) {
        return app.skip("groups");
    }
    app.post("/simulator/shop/incoming", json!({ "from": ANNA, "groupId": CREW, "body": "hello" }))
        .await
        .ok();
    app.post("/devices/shop/logout", json!({})).await.ok();
    app.wait_for_state("shop", "logged_out").await;
    assert_eq!(total(&app, "").await, 0);
    let chat = app.get(&format!("/devices/shop/chats/{CREW}")).await.ok()["data"].clone();
    assert_eq!((&chat["name"], &chat["lastMessage"]["body"]), (&json!("Crew"), &json!("hello")));
}

#[tokio::test]
async fn a_removed_device_leaves_no_groups_behind() {
    let app = with_a_group().await;
    if !app.can(|engine| engine.groups) {
        return app.skip("groups");
    }
    app.delete("/devices/shop").await.ok();
    app.wait_until("the data to be gone", async || {
        let again = app.try_device("shop").await;
        (again.status == 201).then_some(())
    })
    .await;
    assert_eq!(total(&app, "").await, 0);
}
