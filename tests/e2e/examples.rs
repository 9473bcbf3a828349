//! Every example in docs/openapi.json is accepted by the daemon.

use serde_json::{Value, json};

use crate::support::{ANNA, BEN, TestApp};

const GROUP: &str = "120363000000000001@g.us";

/// The OpenAPI document; resolves its references.
struct Document(Value);

impl Document {
    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        let pointer = value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
        pointer.map_or(value, |pointer| self.0.pointer(pointer).unwrap())
    }

    /// The example of a JSON body, given at the body or at its schema.
    fn example<'a>(&'a self, body: &'a Value) -> Option<&'a Value> {
        let schema = &body["schema"];
        let choice = schema["oneOf"].as_array().and_then(|all| all.iter().find(|one| one["type"] != "null"));
        body.get("example").or_else(|| self.resolved(choice.unwrap_or(schema)).get("example"))
    }

    /// Method, path and example of each operation with a JSON body.
    fn requests(&self) -> Vec<(String, String, Value)> {
        let mut all = Vec::new();
        for (path, item) in self.0["paths"].as_object().unwrap() {
            for (verb, operation) in item.as_object().unwrap() {
                let body = &operation["requestBody"]["content"]["application/json"];
                if let Some(example) = self.example(body) {
                    all.push((verb.to_uppercase(), path.clone(), example.clone()));
                }
            }
        }
        all
    }
}

#[tokio::test]
async fn openapi_request_examples_are_accepted() {
    let app = TestApp::start().await;
    let document = Document(app.get("//docs-json").await.json());
    let requests = document.requests();
    assert!(requests.len() >= 9, "{requests:?}");
    let groups = json!([{ "id": GROUP, "subject": "Friends", "participants": [ANNA, BEN] }]);
    for (number, (verb, path, example)) in requests.into_iter().enumerate() {
        // Each on its own device, because some requests end the device.
        let id = format!("d{number}");
        app.device_with(&id, json!({ "groups": groups })).await;
        let mid = app.incoming(&id, ANNA, "hello").await;
        let path = path
            .replace("{id}", &id)
            .replace("{chatId}", &format!("{ANNA}@c.us"))
            .replace("{cid}", ANNA)
            .replace("{mid}", &mid)
            .replace("{gid}", GROUP)
            .replace("{wid}", "wh_1")
            .replace("{rid}", "nr_1")
            .replace("{call}", "incoming");
        let reply = app.with_key(&app.key).send(app.request(&verb, &format!("/{path}")).json(&example)).await;
        assert!(
            !matches!(reply.status, 400 | 413 | 415 | 500..),
            "{verb} {path} {example}: {} {}",
            reply.status,
            reply.text()
        );
    }
}

#[tokio::test]
async fn openapi_error_examples_match_answers() {
    let app = TestApp::start().await;
    app.new_device("shop", json!({})).await;
    let document = Document(app.get("//docs-json").await.json());
    let shown = |status: u16| {
        let answer = &document.0["components"]["responses"][format!("Error{status}")];
        answer["content"]["application/json"]["example"].clone()
    };
    assert_eq!(shown(400), app.get("/devices/shop/chats?limit=0").await.with_status(400));
    let keyless = app.request("GET", "/devices").send().await.unwrap();
    assert_eq!(shown(401), serde_json::from_slice::<Value>(&keyless.bytes().await.unwrap()).unwrap());
    assert_eq!(shown(404), app.get("/devices/nowhere").await.with_status(404));
    let sent = app.post("/devices/shop/messages/send", json!({ "to": ANNA, "text": "hello" })).await;
    assert_eq!(shown(409), sent.with_status(409));
}
