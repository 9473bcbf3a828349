//! Tests that the document is complete for readers and for generators of clients.

use serde_json::Value;

use super::tests::{document, operations};

/// The target of a reference, or the value itself.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let pointer = value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    pointer.map_or(value, |pointer| document.pointer(pointer).unwrap())
}

/// The example of a body: at the body, or at its schema.
fn example<'a>(document: &'a Value, body: &'a Value) -> Option<&'a Value> {
    let schema = &body["schema"];
    let choice = schema["oneOf"].as_array().and_then(|all| all.iter().find(|one| one["type"] != "null"));
    body.get("example").or_else(|| resolved(document, choice.unwrap_or(schema)).get("example"))
}

#[test]
fn every_body_has_an_example() {
    let document = document();
    for (name, operation) in operations(&document) {
        let request = operation["requestBody"]["content"].as_object().into_iter().flatten();
        let answers = operation["responses"].as_object().unwrap().values();
        let answers = answers.flat_map(|answer| resolved(&document, answer)["content"].as_object());
        for (kind, body) in request.chain(answers.flatten()) {
            let is_binary = resolved(&document, &body["schema"])["format"] == "binary";
            assert!(is_binary || example(&document, body).is_some(), "{name}: no example of {kind}");
        }
    }
}

#[test]
fn every_parameter_of_a_path_has_an_example() {
    let document = document();
    for (name, operation) in operations(&document) {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(
                parameter["in"] != "path" || parameter.get("example").is_some(),
                "{name}: {}",
                parameter["name"]
            );
        }
    }
}

/// A text without an example has its field's name.
#[test]
fn every_field_of_an_example_says_something() {
    fn walk(value: &Value, path: &str) {
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    assert_ne!(field, name, "{path}: give the field {name} a #[schema(example = …)]");
                    walk(field, path);
                }
            }
            Value::Array(list) => list.iter().for_each(|value| walk(value, path)),
            _ => {}
        }
    }
    let document = document();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        walk(&schema["example"], name);
    }
}

#[test]
fn every_operation_names_its_scope_and_its_refusals() {
    let document = document();
    for (name, operation) in operations(&document).iter().filter(|(name, _)| name.contains(" /api/v1/")) {
        let description = operation["description"].as_str().unwrap();
        match operation["security"][0]["apiKey"][0].as_str() {
            Some(scope) => {
                assert!(description.contains(&format!("Needs the scope `{scope}`")), "{name}: {description}");
            }
            None => assert!(name.ends_with(" /api/v1/session"), "{name} names no scope"),
        }
        let answers = operation["responses"].as_object().unwrap();
        let usual = ["401", "403", "429", "503"].map(|status| (status, true));
        let body = operation.get("requestBody").is_some();
        let of_input = [("404", name.contains("{id}")), ("400", body), ("413", body)];
        for (status, _) in usual.into_iter().chain(of_input).filter(|(_, applies)| *applies) {
            assert!(answers.contains_key(status), "{name}: {status} is not documented");
        }
        assert!(answers.keys().any(|status| status.starts_with('2')), "{name}: no success");
    }
}

#[test]
fn every_refusal_has_an_example_with_its_status() {
    for (status, _) in super::REFUSALS {
        let error = super::examples::refusal(status).unwrap();
        assert_eq!(error.status().as_u16(), status, "{error}");
    }
}

#[test]
fn no_object_is_always_empty() {
    fn walk(value: &Value, path: &str) {
        if let Value::Object(fields) = value {
            let is_object = fields.get("type").is_some_and(|kind| {
                kind == "object" || kind.as_array().is_some_and(|all| all.iter().any(|one| one == "object"))
            });
            let says_more =
                ["properties", "additionalProperties"].iter().any(|word| fields.contains_key(*word));
            assert!(!is_object || says_more, "{path}");
            fields.iter().for_each(|(name, value)| walk(value, &format!("{path}/{name}")));
        } else if let Value::Array(list) = value {
            list.iter().for_each(|value| walk(value, path));
        }
    }
    walk(&document()["components"]["schemas"], "");
}
