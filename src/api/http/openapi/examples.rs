//! Examples of refusals and answers, so that readers and tools have realistic values.
//!
//! The example of an answer is generated from its schema: a field's own example, else a usual value of fields
//! of that name, else a value of its type. The example of a request is part of its schema, because its fields
//! must be consistent; a test requires it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::openapi::response::Response;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{Components, RefOr};

use crate::api::http::error::ApiError;
use crate::domain::access::Scope;
use crate::service::ServiceError;

/// The deepest nesting of schemas; deeper ones are omitted.
const DEEPEST: usize = 20;

/// An example of a refusal with this status.
pub fn refusal(status: u16) -> Option<ApiError> {
    Some(match status {
        400 => ApiError::field("limit", "must be a whole number from 1 to 100"),
        401 => ApiError::KeyMissing,
        403 => ApiError::MissingScope(Scope::MessagesSend),
        404 => ServiceError::DeviceNotFound.into(),
        409 => ServiceError::NotLinked.into(),
        413 => ApiError::TooLarge(6_291_456),
        415 => ApiError::NotJson,
        416 => ApiError::RangeNotSatisfiable(4_096),
        422 => ServiceError::NotSupported.into(),
        429 => ServiceError::OutboxFull(10_000).into(),
        501 => ApiError::NotBuilt("this call".to_owned()),
        503 => ServiceError::ShuttingDown.into(),
        _ => return None,
    })
}

/// Adds an example to each schema of a whole answer.
pub fn add<'a>(components: &mut Components, answers: impl Iterator<Item = &'a Response>) {
    let schemas: Schemas = components
        .schemas
        .iter()
        .filter_map(|(name, schema)| Some((name.clone(), serde_json::to_value(schema).ok()?)))
        .collect();
    for name in answers.flat_map(names) {
        let example = schemas.get(&name).and_then(|schema| example(schema, "", &schemas, 0));
        if let Some(RefOr::T(schema)) = components.schemas.get_mut(&name) {
            let field = match schema {
                Schema::Object(object) => &mut object.example,
                Schema::Array(list) => &mut list.example,
                Schema::OneOf(one) => &mut one.example,
                Schema::AllOf(all) => &mut all.example,
                _ => continue,
            };
            if field.is_none() {
                *field = example;
            }
        }
    }
}

/// The schemas that an answer refers to.
fn names(answer: &Response) -> Vec<String> {
    let schemas = answer.content.values().filter_map(|content| match content {
        RefOr::T(content) => content.schema.as_ref(),
        RefOr::Ref(_) => None,
    });
    let references = schemas.filter_map(|schema| match schema {
        RefOr::Ref(reference) => reference.ref_location.rsplit('/').next(),
        RefOr::T(_) => None,
    });
    references.map(str::to_owned).collect()
}

/// Schemas by their names, as they stand in the document.
type Schemas = BTreeMap<String, Value>;

/// A value of this schema, in a field of this name.
fn example(schema: &Value, field: &str, schemas: &Schemas, depth: usize) -> Option<Value> {
    if depth > DEEPEST {
        return None;
    }
    if let Some(example) = schema.get("example") {
        return Some(example.clone());
    }
    let within = |schema: &Value| example(schema, field, schemas, depth + 1);
    if let Some(reference) = schema["$ref"].as_str() {
        return within(schemas.get(reference.rsplit('/').next()?)?);
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let objects = parts.iter().filter_map(within);
        let fields =
            objects.filter_map(|value| if let Value::Object(map) = value { Some(map) } else { None });
        return Some(Value::Object(fields.flatten().collect()));
    }
    if let Some(choice) = ["oneOf", "anyOf"].iter().find_map(|word| schema[*word].as_array()) {
        return choice.iter().find(|schema| schema["type"] != "null").and_then(within);
    }
    if let Some(words) = schema["enum"].as_array() {
        return usual(field).filter(|word| words.contains(word)).or_else(|| words.first().cloned());
    }
    if schema["format"] == "binary" {
        return None;
    }
    match type_of(schema).unwrap_or("object") {
        "object" => Some(object(schema, schemas, depth)),
        "array" => Some(Value::Array(within(&schema["items"]).into_iter().collect())),
        "string" => Some(usual(field).filter(Value::is_string).unwrap_or_else(|| json!(field))),
        "boolean" => Some(json!(matches!(field, "success" | "safe" | "exists" | "deleted" | "revoked"))),
        "integer" => Some(usual(field).filter(Value::is_i64).unwrap_or_else(|| least(schema))),
        "number" => Some(usual(field).filter(Value::is_number).unwrap_or_else(|| least(schema))),
        _ => None,
    }
}

/// Without optional fields, unless they have an example of their own.
fn object(schema: &Value, schemas: &Schemas, depth: usize) -> Value {
    let always =
        |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|it| it == name));
    let fields = schema["properties"].as_object().into_iter().flatten().filter_map(|(name, schema)| {
        let value = if always(name) || schema.get("example").is_some() || schema.get("oneOf").is_some() {
            example(schema, name, schemas, depth + 1)?
        } else if is_nullable(schema) {
            usual(name).unwrap_or(Value::Null)
        } else {
            return None;
        };
        Some((name.clone(), value))
    });
    Value::Object(fields.collect::<Map<_, _>>())
}

fn is_nullable(schema: &Value) -> bool {
    schema["type"].as_array().is_some_and(|types| types.iter().any(|word| word == "null"))
}

/// The type that is not `null`.
fn type_of(schema: &Value) -> Option<&str> {
    match &schema["type"] {
        Value::String(word) => Some(word),
        Value::Array(words) => words.iter().filter_map(Value::as_str).find(|word| *word != "null"),
        _ => None,
    }
}

fn least(schema: &Value) -> Value {
    schema.get("minimum").filter(|least| least.as_i64() > Some(0)).cloned().unwrap_or_else(|| json!(0))
}

/// The usual value of fields and parameters of this name.
pub fn usual(field: &str) -> Option<Value> {
    const CHAT: &str = "15550100001@c.us";
    const MESSAGE: &str = "true_15550100001@c.us_3EB0A1B2C3D4E5F60718";
    Some(match field {
        "timestamp" | "lastSeen" | "lastUpdated" | "lastActivity" | "lastMessageTime" | "lastUsedAt" => {
            json!(1_767_225_600_000_i64)
        }
        "createdAt" => json!(1_764_547_200_000_i64),
        "expiresAt" => json!(1_767_225_660_000_i64),
        "id" | "deviceId" => json!("shop"),
        "chatId" | "contactId" | "cid" | "from" | "participant" => json!(CHAT),
        "to" => json!("15550100099@c.us"),
        "mid" | "messageId" | "messageIds" | "referenceId" | "before" | "after" => json!(MESSAGE),
        "mentionedIds" => json!("15550100002@c.us"),
        "phoneNumber" => json!("15550100099"),
        "number" => json!("15550100001"),
        "lid" => json!("271828182845904@lid"),
        "name" | "pushname" | "notifyName" => json!("Anna"),
        "clientName" => json!("Corner shop"),
        "engine" => json!("simulator"),
        "body" | "text" => json!("Hello"),
        "query" => json!("hello"),
        "tempId" => json!("t1"),
        "keyId" => json!("k3v9x2m7q1zd"),
        "wid" => json!("wh_3f0a8c5e9b7d41261122"),
        "rid" => json!("nr_3f0a8c5e9b7d41261122"),
        "pid" => json!("np_3f0a8c5e9b7d41261122"),
        "call" => json!("network"),
        "emoji" => json!("👍"),
        "qr" => json!("2@J5xRzq0m8Yk1vT4h"),
        "qrDataUrl" => json!("data:image/png;base64,iVBORw0KGgo="),
        "key" => json!("whf_k3v9x2m7q1zd_<secret>"),
        "version" => json!(env!("CARGO_PKG_VERSION")),
        "url" => json!("/api/v1/devices/shop/chats/15550100001@c.us/messages"),
        "profilePicUrl" => json!("https://pictures.example/anna.jpg"),
        "ackName" => json!("pending"),
        "referenceType" => json!("before"),
        "searchScope" => json!("all_chats"),
        "devices" => json!(["shop"]),
        "scopes" => json!("devices:read"),
        "state" | "status" => json!("ready"),
        "score" | "successRate" => json!(100),
        "limit" | "requestedLimit" => json!(50),
        "total" | "returned" | "totalResults" | "oldestSeq" => json!(1),
        "newestSeq" | "nextAfter" => json!(4),
        "subject" => json!("Friends"),
        "description" => json!("Where friends meet"),
        "groupId" | "gid" => json!("120363000000000001@g.us"),
        "inviteLink" => json!("https://invite.example/AbCdEf123456"),
        "chatFileId" => json!("9"),
        "chatMessageId" => json!("1042"),
        "chatNotificationId" => json!("88"),
        "conversationId" => json!("17"),
        "userId" => json!("u7"),
        "operatorId" => json!("desk:u7"),
        "mediaId" => json!("3f0a8c5e9b7d4126"),
        "mimetype" => json!("image/jpeg"),
        "filename" => json!("picture.jpg"),
        "filesize" => json!(48_213),
        _ => return None,
    })
}
