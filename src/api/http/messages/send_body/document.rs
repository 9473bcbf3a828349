//! The OpenAPI schemas of [`SendBody`]: one alternative for each content, each with the fields that go with
//! it. All properties come from the fields of the body's own types.

use std::borrow::Cow;

use serde_json::{Map, Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use super::{CardBody, MediaBody, SendBody};

/// A message to send: exactly one of text, media, location, contact, poll and template.
pub struct SendMessage;

/// A location to send.
pub struct SendLocation;

const OPTIONS: [&str; 9] = [
    "to",
    "quotedMessageId",
    "mentions",
    "priority",
    "sendAt",
    "isForwarded",
    "tempId",
    "useQueue",
    "enableTyping",
];
const MEDIA_OPTIONS: [&str; 6] = ["mimetype", "filename", "caption", "asVoice", "asSticker", "asDocument"];

type Schemas = Vec<(String, RefOr<Schema>)>;

impl PartialSchema for SendMessage {
    fn schema() -> RefOr<Schema> {
        let names = ["SendText", "SendMedia", "SendLocation", "SendContact", "SendPoll", "SendTemplate"];
        let about = "A message to send: exactly one of text, media, location, contact, poll and template.";
        one_of(&names, about, Some(json!({ "to": "15550100001", "text": "Hello", "tempId": "t1" })))
    }
}

impl ToSchema for SendMessage {
    fn name() -> Cow<'static, str> {
        "SendMessage".into()
    }

    fn schemas(schemas: &mut Schemas) {
        add_shared(schemas);
        add_contents(schemas);
        add_media(schemas);
        add_cards(schemas);
    }
}

impl PartialSchema for SendLocation {
    fn schema() -> RefOr<Schema> {
        let example = json!({ "to": "15550100001", "location": { "latitude": 52.52, "longitude": 13.405 } });
        content("location", json!({ "$ref": reference("Location") }), "A location to send.", example)
    }
}

impl ToSchema for SendLocation {
    fn name() -> Cow<'static, str> {
        "SendLocation".into()
    }

    fn schemas(schemas: &mut Schemas) {
        add_shared(schemas);
    }
}

fn add_shared(schemas: &mut Schemas) {
    let mut parts = Vec::new();
    SendBody::schemas(&mut parts);
    // Their fields are in the alternatives below.
    schemas.extend(parts.into_iter().filter(|(name, _)| !["MediaBody", "CardBody"].contains(&name.as_str())));
    let options =
        object(&properties::<SendBody>(), &OPTIONS, &["to"], "The fields of every message to send.");
    schemas.push(("SendOptions".to_owned(), schema_of(options)));
}

fn add_contents(schemas: &mut Schemas) {
    let to = "15550100001";
    let mut add = |name: &str, field: &str, value: Value, about: &str, example: Value| {
        schemas.push((name.to_owned(), content(field, value, about, example)));
    };
    let text = required(properties::<SendBody>()["text"].clone());
    let example = json!({ "to": to, "text": "Hello", "tempId": "t1" });
    add("SendText", "text", text, "A text to send.", example);
    let example = json!({ "to": to, "media": { "mediaId": "3f0c1e", "caption": "Our menu" } });
    add("SendMedia", "media", json!({ "$ref": reference("MediaToSend") }), "A file to send.", example);
    let example = json!({ "to": to, "contact": { "name": "Ada", "phoneNumber": "+15550100002" } });
    add(
        "SendContact",
        "contact",
        json!({ "$ref": reference("CardToSend") }),
        "Contact cards to send.",
        example,
    );
    let example = json!({ "to": to, "poll": { "name": "Lunch?", "options": ["yes", "no"] } });
    add("SendPoll", "poll", json!({ "$ref": reference("PollToSend") }), "A poll to send.", example);
    let template = json!({
        "name": "order_ready",
        "language": "en_US",
        "components": [{ "type": "body", "parameters": [{ "type": "text", "text": "A-17" }] }],
        "text": "Your order A-17 is ready."
    });
    let about = "A template to send, on devices whose network has templates (`cloud-api`).";
    let value = json!({ "$ref": reference("TemplateToSend") });
    add("SendTemplate", "template", value, about, json!({ "to": to, "template": template }));
    schemas.push(("SendLocation".to_owned(), SendLocation::schema()));
}

fn add_media(schemas: &mut Schemas) {
    let fields = properties::<MediaBody>();
    let about = "How a file is sent. At most one of `asVoice`, `asSticker` and `asDocument`.";
    let options = object(&fields, &MEDIA_OPTIONS, &[], about);
    schemas.push(("MediaOptions".to_owned(), schema_of(options)));
    for (name, field, about) in [
        ("UploadedMedia", "mediaId", "A file that was uploaded before."),
        ("MediaAtUrl", "url", "A file at an address, fetched when the message is accepted."),
        ("InlineMedia", "data", "A small file in the request."),
    ] {
        let mut source = object(&fields, &[field], &[field], "");
        source.as_object_mut().map(|object| object.remove("description"));
        let all = json!({ "allOf": [{ "$ref": reference("MediaOptions") }, source], "description": about });
        schemas.push((name.to_owned(), schema_of(all)));
    }
    let about = "A file to send: uploaded before, fetched from an address, or in the request.";
    let names = ["UploadedMedia", "MediaAtUrl", "InlineMedia"];
    schemas.push(("MediaToSend".to_owned(), one_of(&names, about, None)));
}

fn add_cards(schemas: &mut Schemas) {
    let fields = properties::<CardBody>();
    let person = ["name", "phoneNumber", "organization"];
    let person = object(&fields, &person, &["phoneNumber"], "A person by number.");
    let ready = object(&fields, &["name", "vcard"], &["vcard"], "A complete vCard.");
    schemas.push(("PersonCard".to_owned(), schema_of(person)));
    schemas.push(("ReadyCard".to_owned(), schema_of(ready)));
    let about = "A contact card: a person by number, or a complete vCard.";
    schemas.push(("CardToSend".to_owned(), one_of(&["PersonCard", "ReadyCard"], about, None)));
}

/// The properties of a type's schema.
fn properties<T: ToSchema>() -> Map<String, Value> {
    match serde_json::to_value(T::schema()).unwrap_or_default()["properties"].take() {
        Value::Object(properties) => properties,
        _ => Map::new(),
    }
}

/// An object with some of the properties.
fn object(fields: &Map<String, Value>, names: &[&str], always: &[&str], about: &str) -> Value {
    let pick = |name: &&str| {
        let field = fields.get(*name).cloned().unwrap_or_default();
        let field = if always.contains(name) { required(field) } else { field };
        ((*name).to_owned(), field)
    };
    let properties: Map<String, Value> = names.iter().map(pick).collect();
    json!({ "type": "object", "description": about, "required": always, "properties": properties })
}

/// A property that is required, and therefore never `null`.
fn required(mut field: Value) -> Value {
    if let Some(kind) = field["type"].as_array().and_then(|kinds| kinds.first()).cloned() {
        field["type"] = kind;
    }
    field
}

/// A message with one content.
fn content(field: &str, mut value: Value, about: &str, example: Value) -> RefOr<Schema> {
    if value.get("$ref").is_some() {
        let description = description_of(&properties::<SendBody>()[field]);
        value["description"] = description;
    }
    let part = json!({ "type": "object", "required": [field], "properties": { field: value } });
    let all = [json!({ "$ref": reference("SendOptions") }), part];
    let mut schema = json!({ "allOf": all, "description": about });
    schema["example"] = example;
    schema_of(schema)
}

/// The description of a property, also of an optional reference.
fn description_of(field: &Value) -> Value {
    let choices = field["oneOf"].as_array().into_iter().flatten();
    let described = choices.chain([field]).find_map(|choice| choice.get("description"));
    described.cloned().unwrap_or_default()
}

fn one_of(names: &[&str], about: &str, example: Option<Value>) -> RefOr<Schema> {
    let choices: Vec<Value> = names.iter().map(|name| json!({ "$ref": reference(name) })).collect();
    let mut schema = json!({ "oneOf": choices, "description": about });
    if let Some(example) = example {
        schema["example"] = example;
    }
    schema_of(schema)
}

fn reference(name: &str) -> String {
    format!("#/components/schemas/{name}")
}

/// A schema from JSON. The tests compare the document, so they detect a schema that cannot be read.
fn schema_of(schema: Value) -> RefOr<Schema> {
    RefOr::T(serde_json::from_value(schema).unwrap_or_default())
}
