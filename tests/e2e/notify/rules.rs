//! Notification rules over REST, in settings and in device files.

use serde_json::{Value, json};

use super::{app, app_with, message_notifications};
use crate::support::ANNA;

// covers: GET /notifications/rules
// covers: POST /notifications/rules
// covers: GET /notifications/rules/{rid}
// covers: PATCH /notifications/rules/{rid}
// covers: DELETE /notifications/rules/{rid}
// covers: GET /devices/{id}/notifications/rules
// covers: POST /devices/{id}/notifications/rules
// covers: GET /devices/{id}/notifications/rules/{rid}
// covers: PATCH /devices/{id}/notifications/rules/{rid}
// covers: DELETE /devices/{id}/notifications/rules/{rid}
#[tokio::test]
async fn rules_are_created_shown_changed_and_deleted() {
    let app = app().await;
    app.device("shop").await;
    for path in ["/notifications/rules", "/devices/shop/notifications/rules"] {
        let rule = json!({ "name": "orders", "match": { "text": "order" }, "actions": ["sound"] });
        let made = app.post(path, rule).await.created()["data"].clone();
        let id = made["id"].as_str().unwrap();
        let device = if path.starts_with("/devices") { json!("shop") } else { Value::Null };
        assert_eq!(
            (&made["origin"], &made["deviceId"], &made["quiet"]),
            (&json!("api"), &device, &json!(true))
        );
        let one = format!("{path}/{id}");
        assert_eq!(app.get(&one).await.ok()["data"], made);
        let changed = app.patch(&one, json!({ "group": "30s", "match": {} })).await.ok()["data"].clone();
        assert_eq!(
            (&changed["group"], &changed["name"], &changed["match"]),
            (&json!("30s"), &json!("orders"), &json!({}))
        );
        let all = app.get(path).await.ok()["data"].clone();
        assert_eq!(all[0], changed);
        assert_eq!(all.as_array().unwrap().last().unwrap()["origin"], "default");
        app.delete(&one).await.ok();
        app.get(&one).await.refused(404, "rule_not_found");
    }
    app.patch("/notifications/rules/default-1", json!({ "enabled": false })).await.refused(409, "fixed_rule");
}

#[tokio::test]
async fn invalid_rule_is_rejected_with_field() {
    let app = app().await;
    for (rule, field) in [
        (json!({}), "actions"),
        (json!({ "actions": ["mail"] }), "actions[0]"),
        (
            json!({ "actions": [], "match": { "hours": { "from": "25:00", "to": "07:00" } } }),
            "match.hours.from",
        ),
        (json!({ "actions": ["command"], "command": "rm" }), "command"),
        (json!({ "actions": [], "match": { "txt": "order" } }), "match.txt"),
        (json!({ "actions": [], "trottle": "5m" }), "trottle"),
        (json!({ "actions": ["sound"], "sound": "bell" }), "sound"),
    ] {
        let refused = app.post("/notifications/rules", rule).await.refused(400, "invalid_field");
        assert_eq!(refused["details"][0]["field"], field, "{refused}");
    }
}

#[tokio::test]
async fn misspelt_rule_field_error_suggests_field() {
    let app = app().await;
    app.device("shop").await;
    let field_error = async |path: &str, body: Value| {
        let refused = app.post(path, body).await.refused(400, "invalid_field");
        refused["details"][0]["message"].as_str().unwrap().to_owned()
    };
    let rule = json!({ "actions": [], "match": { "txt": "order" } });
    assert_eq!(field_error("/notifications/rules", rule).await, "is no field of a rule; did you mean text?");
    for (path, body, meant) in [
        ("/devices/shop/notifications/read", json!({ "id": ["shop-1"] }), "ids"),
        ("/devices/shop/notifications/mute", json!({ "chatID": "15550100001" }), "chatId"),
        ("/devices/shop/notifications/unmute", json!({ "evrybody": true }), "everybody"),
        ("/notifications/test", json!({ "action": "sound", "sounds": "call" }), "sound"),
    ] {
        assert_eq!(
            field_error(path, body).await,
            format!("is no field here; did you mean {meant}?"),
            "{path}"
        );
    }
    let sound_error =
        field_error("/notifications/rules", json!({ "actions": ["sound"], "sound": "bell" })).await;
    assert_eq!(sound_error, "must be the name of a sound: message, call, system, error");
}

#[tokio::test]
async fn null_in_rule_patch_resets_default() {
    let app = app().await;
    let rule = json!({
        "match": { "text": "order" }, "actions": ["sound"], "priority": "high", "sound": "call", "volume": 0.5,
        "group": "10s", "throttle": "5m", "quiet": false,
    });
    let made = app.post("/notifications/rules", rule).await.created()["data"].clone();
    let path = format!("/notifications/rules/{}", made["id"].as_str().unwrap());
    let unset = json!({
        "match": null, "priority": null, "sound": null, "volume": null, "group": null, "throttle": null,
        "quiet": null,
    });
    let changed = app.patch(&path, unset).await.ok()["data"].clone();
    for field in ["priority", "sound", "volume", "group", "throttle"] {
        assert_eq!(changed[field], Value::Null, "{field}");
    }
    assert_eq!((&changed["match"], &changed["quiet"]), (&json!({}), &json!(true)));
    app.patch(&path, json!({ "sound": "bell" })).await.refused(400, "invalid_field");
}

#[tokio::test]
async fn device_key_cannot_use_host_effects_or_see_others() {
    let app = app_with(&[("WHARF__NOTIFY__COMMANDS", r#"[{ "name": "lamp", "run": ["true"] }]"#)]).await;
    app.device("shop").await;
    let body = json!({ "name": "k", "scopes": ["devices:read", "devices:write"], "devices": ["shop"] });
    let key = app.post("/api-keys", body).await.created()["data"]["key"].as_str().unwrap().to_owned();
    let tenant = app.with_key(&key);
    let path = "/devices/shop/notifications/rules";
    for rule in [
        json!({ "actions": ["dashboard", "command"], "command": "lamp" }),
        json!({ "actions": ["desktop"] }),
        json!({ "actions": ["sound"] }),
    ] {
        tenant.post(path, rule.clone()).await.refused(403, "device_not_allowed");
        let made = app.post(path, rule).await.created()["data"]["id"].as_str().unwrap().to_owned();
        let change = app.request("PATCH", &format!("{path}/{made}")).json(&json!({ "match": {} }));
        tenant.send(change).await.refused(403, "device_not_allowed");
    }
    tenant.post(path, json!({ "actions": ["dashboard", "push"] })).await.created();

    for (name, condition) in [
        ("plain", json!({ "text": "order" })),
        ("mine", json!({ "devices": ["shop"], "people": ["15550100001"] })),
        ("other", json!({ "devices": ["shop", "bakery"] })),
        ("person", json!({ "people": ["15550100009"] })),
        ("chat", json!({ "chats": ["15550100009"] })),
    ] {
        let rule = json!({ "name": name, "match": condition, "actions": [] });
        let made = app.post("/notifications/rules", rule).await.created()["data"].clone();
        let seen = name == "plain" || name == "mine";
        let one = tenant.get(&format!("/notifications/rules/{}", made["id"].as_str().unwrap())).await;
        if seen {
            drop(one.ok());
        } else {
            drop(one.refused(404, "rule_not_found"));
        }
        for list in ["/notifications/rules", path] {
            let list = tenant.get(list).await.ok()["data"].clone();
            assert_eq!(list.as_array().unwrap().iter().any(|rule| rule["name"] == name), seen, "{name}");
        }
    }
}

#[tokio::test]
async fn device_key_sets_rules_of_its_devices_only() {
    let app = app().await;
    app.device("shop").await;
    let body = json!({ "name": "k", "scopes": ["devices:read", "devices:write"], "devices": ["shop"] });
    let key = app.post("/api-keys", body).await.created()["data"]["key"].as_str().unwrap().to_owned();
    let asker = app.with_key(&key);
    let rule = json!({ "actions": [] });
    asker.post("/notifications/rules", rule.clone()).await.refused(403, "device_not_allowed");
    asker.post("/devices/shop/notifications/rules", rule).await.created();
}

#[tokio::test]
async fn first_matching_rule_decides() {
    let rules = r#"[{ "name": "silent", "match": { "text": "spam*" }, "actions": [] }]"#;
    let app = app_with(&[("WHARF__NOTIFY__RULES", rules)]).await;
    app.device("shop").await;
    let loud = json!({ "match": { "text": "urgent" }, "actions": ["dashboard"], "priority": "high", "sound": "error" });
    app.post("/devices/shop/notifications/rules", loud).await.created();
    app.incoming("shop", "15550100004", "spam and more").await;
    app.incoming("shop", ANNA, "urgent: come").await;
    let notifications = message_notifications(&app, "shop", 1).await;
    assert_eq!(
        (&notifications[0]["body"], &notifications[0]["priority"]),
        (&json!("urgent: come"), &json!("high"))
    );
    assert_eq!((notifications.len(), &notifications[0]["sound"]), (1, &json!("error")));
}

#[tokio::test]
async fn declared_device_has_own_rules() {
    let app = app().await;
    std::fs::create_dir_all(app.devices_dir()).unwrap();
    let declare = async |text: &str| {
        std::fs::write(app.devices_dir().join("shop.toml"), format!("id = 'shop'\n{text}")).unwrap();
        app.app().reconcile().await.unwrap();
        let all = app.get("/devices/shop/notifications/rules").await.ok()["data"].as_array().unwrap().clone();
        all.into_iter().filter(|rule| rule["origin"] == "file").collect::<Vec<_>>()
    };
    let rule = "[[notify]]\nname = 'night'\nactions = ['dashboard']\nmatch = { in = 'group', hours = { from = '22:00', to = '07:00', timeZone = 'Europe/Berlin' } }";
    let rules = declare(rule).await;
    assert_eq!(
        (rules.len(), &rules[0]["name"], &rules[0]["match"]["in"]),
        (1, &json!("night"), &json!("group"))
    );
    let path = format!("/devices/shop/notifications/rules/{}", rules[0]["id"].as_str().unwrap());
    app.delete(&path).await.refused(409, "set_by_file");
    assert_eq!(declare(rule).await, rules);
    assert!(declare("").await.is_empty());
}
