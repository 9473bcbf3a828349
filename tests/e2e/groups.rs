//! Groups: membership, changes made here, and changes made by others.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::wire::Wire;
use crate::support::{ADMIN_KEY, ANNA, BEN, TestApp};

const CREW: &str = "120363000000000077@g.us";
const GROUP: &str = "/devices/shop/groups/120363000000000077@g.us";
const ANNA_ID: &str = "15550100001@c.us";
const BEN_ID: &str = "15550100002@c.us";

/// A device that is an admin of one group, with Anna as a member.
async fn app_with_group() -> TestApp {
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

/// `group:update` events after the group's creation, as `change` and its details.
async fn updates(app: &TestApp) -> Vec<Value> {
    let mut all = app.logged("shop", "group:update").await;
    all.retain(|update| update["change"] != "created");
    all
}

/// The members of a group with their roles.
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

/// Waits until the network has reported every change made before.
async fn wait_until_synced(app: &TestApp) {
    app.incoming("shop", BEN, "a moment later").await;
}

// covers: GET /devices/{id}/groups
// covers: GET /devices/{id}/groups/{gid}
#[tokio::test]
async fn groups_are_listed_with_members() {
    let app = app_with_group().await;
    skip_unless!(app.can(|engine| engine.groups), "groups");
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
async fn created_group_emits_one_event() {
    let app = TestApp::start().await;
    skip_unless!(app.can(|engine| engine.groups), "groups");
    app.device("shop").await;
    let body = json!({ "subject": "Party", "participants": [ANNA, BEN, "+1 555 010 0001"] });
    let made = app.post("/devices/shop/groups", body).await.created()["data"].clone();
    assert_eq!((&made["subject"], &made["participantCount"]), (&json!("Party"), &json!(3)));
    assert_eq!(role_of(&made, BEN_ID).as_deref(), Some("member"));
    wait_until_synced(&app).await;
    let emitted = app.logged("shop", "group:update").await;
    assert_eq!(emitted.len(), 1, "{emitted:?}");
    assert_eq!(
        (&emitted[0]["groupId"], &emitted[0]["change"], &emitted[0]["subject"]),
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
async fn member_changes_answer_per_participant() {
    let app = app_with_group().await;
    skip_unless!(app.can(|engine| engine.groups), "groups");
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
    wait_until_synced(&app).await;
    let emitted = updates(&app).await;
    let changes: Vec<&Value> = emitted.iter().map(|update| &update["change"]).collect();
    assert_eq!(changes, ["add", "remove"]);
    assert_eq!(emitted[0]["participants"], json!([{ "id": BEN_ID, "role": "member" }]));
}

// covers: POST /devices/{id}/groups/{gid}/participants/promote
// covers: POST /devices/{id}/groups/{gid}/participants/demote
#[tokio::test]
async fn members_are_promoted_and_demoted() {
    let app = app_with_group().await;
    skip_unless!(app.can(|engine| engine.groups), "groups");
    members(&app, "promote", json!([ANNA])).await;
    assert_eq!(role_of(&group(&app).await, ANNA_ID).as_deref(), Some("admin"));
    members(&app, "promote", json!([ANNA])).await;
    members(&app, "demote", json!([ANNA])).await;
    assert_eq!(role_of(&group(&app).await, ANNA_ID).as_deref(), Some("member"));
    wait_until_synced(&app).await;
    let emitted = updates(&app).await;
    let changes: Vec<&Value> = emitted.iter().map(|update| &update["change"]).collect();
    assert_eq!(changes, ["promote", "demote"], "promoting twice is no change");
}

// covers: PUT /devices/{id}/groups/{gid}/subject
// covers: PUT /devices/{id}/groups/{gid}/description
// covers: event group:update
#[tokio::test]
async fn group_subject_change_emits_once() {
    let app = app_with_group().await;
    skip_unless!(app.can(|engine| engine.groups), "groups");
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
    wait_until_synced(&app).await;
    let emitted = updates(&app).await;
    let values: Vec<&Value> =
        emitted.iter().map(|t| t.get("subject").or_else(|| t.get("description")).unwrap()).collect();
    assert_eq!(values, ["First", "Second", "Third", "Hi", ""], "each once, and none is reverted by its echo");
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
async fn revoked_invite_link_is_replaced() {
    let app = app_with_group().await;
    skip_unless!(app.can(|engine| engine.groups), "groups");
    let link = async || app.get(&format!("{GROUP}/invite-link")).await.ok()["data"]["inviteLink"].clone();
    let first = link().await;
    assert!(first.as_str().unwrap().starts_with("https://"), "{first}");
    assert_eq!(link().await, first);
    let revoked = app.post(&format!("{GROUP}/invite-link/revoke"), json!({})).await.ok();
    assert_ne!(revoked["data"]["inviteLink"], first);
    assert_eq!(link().await, revoked["data"]["inviteLink"]);
    wait_until_synced(&app).await;
    assert_eq!(updates(&app).await.len(), 1);
    assert_eq!(updates(&app).await[0]["change"], "invite_link");
}

// covers: POST /devices/{id}/groups/{gid}/leave
#[tokio::test]
async fn left_group_is_unlisted_and_chat_stays() {
    let app = app_with_group().await;
    skip_unless!(app.can(|engine| engine.groups), "groups");
    app.post("/simulator/shop/incoming", json!({ "from": ANNA, "groupId": CREW, "body": "hello" }))
        .await
        .ok();
    app.post(&format!("{GROUP}/leave"), json!({})).await.ok();
    assert_eq!(total(&app, "").await, 0);
    app.get(GROUP).await.refused(404, "group_not_found");
    let chat = app.get(&format!("/devices/shop/chats/{CREW}")).await.ok()["data"].clone();
    assert_eq!((&chat["name"], &chat["lastMessage"]["body"]), (&json!("Crew"), &json!("hello")));
    wait_until_synced(&app).await;
    let emitted = updates(&app).await;
    assert_eq!((emitted.len(), &emitted[0]["change"]), (1, &json!("leave")), "{emitted:?}");
    app.post(&format!("{GROUP}/leave"), json!({})).await.refused(404, "group_not_found");
}

// covers: event group:update
#[tokio::test]
async fn group_changes_of_others_name_author() {
    let app = app_with_group().await;
    skip_unless!(app.can(|engine| engine.groups), "groups");
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
    let emitted = wire.event("shop", "group:update").await;
    assert_eq!(
        (&emitted["groupId"], &emitted["change"], &emitted["author"], &emitted["participants"][0]["id"]),
        (&json!(CREW), &json!("add"), &json!(ANNA_ID), &json!(BEN_ID))
    );
    assert!(emitted["seq"].is_i64(), "{emitted}");
    others(json!({ "change": "subject", "subject": "Gang" })).await;
    assert_eq!(wire.event("shop", "group:update").await["subject"], "Gang");
    assert_eq!(group(&app).await["subject"], "Gang");
    others(json!({ "change": "subject", "subject": "Gang" })).await;
    others(json!({ "change": "leave", "participants": [BEN] })).await;
    let left = if app.reports("who left by themselves") { "leave" } else { "remove" };
    assert_eq!(wire.event("shop", "group:update").await["change"], left, "an unchanged name emits nothing");
    assert_eq!(role_of(&group(&app).await, BEN_ID), None);
}

// covers: event group:update
#[tokio::test]
async fn account_is_added_to_and_removed_from_group() {
    let app = TestApp::start().await;
    skip_unless!(app.can(|engine| engine.groups), "groups");
    let me = app.device("shop").await["phoneNumber"].as_str().unwrap().to_owned();
    let steer = async |body: Value| app.post("/simulator/shop/group", body).await.ok();
    steer(json!({ "groupId": CREW, "change": "created", "subject": "Crew", "author": ANNA })).await;
    let emitted = app.logged("shop", "group:update").await;
    assert_eq!(
        (emitted.len(), &emitted[0]["change"], &emitted[0]["subject"]),
        (1, &json!("created"), &json!("Crew"))
    );
    assert_eq!(group(&app).await["participantCount"], 2);
    steer(json!({ "groupId": CREW, "change": "remove", "participants": [me], "author": ANNA })).await;
    assert_eq!(app.logged("shop", "group:update").await[1]["change"], "remove");
    assert_eq!(total(&app, "").await, 0);
}

#[tokio::test]
async fn admin_only_group_change_is_refused_by_network() {
    let app = TestApp::start().await;
    skip_unless!(app.can(|engine| engine.groups), "groups");
    let crew = json!({ "id": CREW, "subject": "Crew", "participants": [ANNA], "admin": false });
    app.device_with("shop", json!({ "groups": [crew] })).await;
    app.wait_until("the group", async || (total(&app, "").await == 1).then_some(())).await;
    let add = json!({ "participants": [BEN] });
    app.post(&format!("{GROUP}/participants/add"), add).await.refused(422, "refused_by_network");
    app.get(&format!("{GROUP}/invite-link")).await.refused(422, "refused_by_network");
    assert!(updates(&app).await.is_empty());
}

#[tokio::test]
async fn offline_groups_are_readable_only() {
    let app = app_with_group().await;
    skip_unless!(app.can(|engine| engine.groups), "groups");
    app.post("/devices/shop/stop", json!({})).await.ok();
    assert_eq!(group(&app).await["subject"], "Crew");
    let body = json!({ "subject": "Party", "participants": [ANNA] });
    app.post("/devices/shop/groups", body).await.refused(409, "device_offline");
    let add = json!({ "participants": [BEN] });
    app.post(&format!("{GROUP}/participants/add"), add.clone()).await.refused(409, "device_offline");
    app.post(&format!("{GROUP}/leave"), json!({})).await.refused(409, "device_offline");
    app.post("/devices/nowhere/groups/1-1@g.us/participants/add", add).await.refused(404, "device_not_found");
}

/// Removes the account from its group; a stall holds back the network's notification.
async fn remove_without_notification(app: &TestApp) {
    let me = app.get("/devices/shop").await.ok()["data"]["phoneNumber"].clone();
    if app.is_native() {
        // A completely silent network would not answer requests either.
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
    // The network waits for an acknowledgement that never comes.
    let unanswered = removed.timeout(Duration::from_millis(300)).send().await;
    assert!(unanswered.is_err_and(|error| error.is_timeout()));
}

#[tokio::test]
async fn group_without_membership_can_be_left() {
    let app = app_with_group().await;
    skip_unless!(app.can(|engine| engine.groups), "groups");
    app.post("/simulator/shop/incoming", json!({ "from": ANNA, "groupId": CREW, "body": "hello" }))
        .await
        .ok();
    remove_without_notification(&app).await;
    app.post(&format!("{GROUP}/leave"), json!({})).await.ok();
    assert_eq!(total(&app, "").await, 0);
    let chat = app.get(&format!("/devices/shop/chats/{CREW}")).await.ok()["data"].clone();
    assert_eq!((&chat["name"], &chat["lastMessage"]["body"]), (&json!("Crew"), &json!("hello")));
    app.fault("shop", json!({ "kind": "stall", "count": 0 })).await;
    wait_until_synced(&app).await;
    let emitted = updates(&app).await;
    assert_eq!((emitted.len(), &emitted[0]["change"]), (1, &json!("leave")), "{emitted:?}");
}

#[tokio::test]
async fn refused_group_change_removes_left_group() {
    let app = app_with_group().await;
    skip_unless!(app.can(|engine| engine.groups), "groups");
    remove_without_notification(&app).await;
    app.get(&format!("{GROUP}/invite-link")).await.refused(422, "refused_by_network");
    app.get(GROUP).await.refused(404, "group_not_found");
    assert_eq!(updates(&app).await[0]["change"], "leave");
}

/// Moves the account to another group while no notification reaches the daemon.
async fn move_to_other_group(app: &TestApp) {
    let other = "120363000000000078@g.us";
    if app.is_simulated() {
        let groups = json!([{ "id": other, "subject": "Other", "participants": [BEN] }]);
        app.patch("/devices/shop", json!({ "settings": { "simulator": { "groups": groups } } })).await.ok();
        return;
    }
    let me = app.get("/devices/shop").await.ok()["data"]["phoneNumber"].clone();
    for mut change in [
        json!({ "groupId": CREW, "change": "remove", "participants": [me] }),
        json!({ "groupId": other, "change": "created", "subject": "Other", "author": BEN }),
    ] {
        if app.is_native() {
            change["unheard"] = json!(true);
        }
        app.post("/simulator/shop/group", change).await.ok();
    }
}

#[tokio::test]
async fn groups_are_synced_on_each_connection() {
    let app = app_with_group().await;
    skip_unless!(app.can(|engine| engine.groups), "groups");
    app.post("/devices/shop/stop", json!({})).await.ok();
    move_to_other_group(&app).await;
    app.post("/devices/shop/start", json!({})).await.ok();
    app.wait_for_state("shop", "ready").await;
    // The network sends its groups after the device is ready.
    app.wait_until("the groups of the network", async || {
        let list = app.get("/devices/shop/groups").await.ok();
        (list["pagination"]["total"] == 1 && list["data"][0]["subject"] == "Other").then_some(())
    })
    .await;
    let emitted = app.logged("shop", "group:update").await;
    let mut changes: Vec<&Value> = emitted.iter().map(|update| &update["change"]).collect();
    // An upstream with its own log replays the exact changes later.
    let departure = if app.reports_failed_attempts() { "leave" } else { "remove" };
    if departure == "remove" {
        changes[1..].sort_by_key(|change| change.as_str() != Some(departure));
    }
    assert_eq!(changes, ["created", departure, "created"]);
    app.post("/devices/shop/restart", json!({})).await.ok();
    app.wait_for_state("shop", "ready").await;
    assert_eq!(app.logged("shop", "group:update").await.len(), 3, "an unchanged group emits nothing");
}

#[tokio::test]
async fn logout_removes_groups_and_keeps_chats() {
    let app = app_with_group().await;
    skip_unless!(app.can(|engine| engine.groups), "groups");
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
async fn deleted_device_leaves_no_groups() {
    let app = app_with_group().await;
    skip_unless!(app.can(|engine| engine.groups), "groups");
    app.delete("/devices/shop").await.ok();
    app.wait_until("the data to be gone", async || {
        let again = app.try_device("shop").await;
        (again.status == 201).then_some(())
    })
    .await;
    assert_eq!(total(&app, "").await, 0);
}
