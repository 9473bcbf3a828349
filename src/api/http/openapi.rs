//! The common parts of all operations in the OpenAPI document: security, path parameters and refusals.

use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn, PathItem, Paths};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Components, InfoBuilder, License, OpenApi, Ref, RefOr, Required, Server};
use utoipa::{PartialSchema as _, ToSchema as _};

use super::error::{ErrorBody, FieldError};
use super::schema;
use crate::domain::access::Scope;

#[cfg(test)]
mod completeness;
mod examples;
mod nullable;
mod open_objects;

const DESCRIPTION: &str = "Many messaging devices side by side in one small daemon. \
Answers are `{ success: true, data }` or `{ success: false, error, code, details? }`. \
Unknown JSON fields are ignored. Times are milliseconds since the epoch.";

/// The refusals with a shared response.
const REFUSALS: [(u16, &str); 12] = [
    (400, "Malformed or invalid; `details` names each wrong field"),
    (401, "No API key, or one that is not valid"),
    (403, "The key lacks the scope, or is not allowed for the device"),
    (404, "Not found"),
    (409, "The device is in the wrong state for this, or the id is taken"),
    (413, "The request body is too large"),
    (415, "The request body is not JSON"),
    (416, "The file has no such bytes"),
    (422, "Understood but impossible"),
    (429, "Too many failed logins or queued messages; see Retry-After"),
    (501, "A field needs a later version"),
    (503, "Overloaded, too slow or shutting down; see Retry-After"),
];

/// A parameter in a path, by its name.
fn path_parameter(name: &str) -> (&'static str, Schema) {
    let text = |pattern: &str| {
        ObjectBuilder::new().schema_type(Type::String).max_length(Some(64)).pattern(Some(pattern))
    };
    match name {
        "id" | "deviceId" => ("The device", schema::device_id().into()),
        "chatId" => (
            "The chat: `…@c.us`, `…@g.us`, `…@lid` or a phone number, percent-encoded or bare",
            schema::chat_id().into(),
        ),
        "gid" => ("The group: `…@g.us`", schema::group_id().into()),
        "cid" => ("The contact: `…@c.us`, `…@lid`, a phone number, or a group", schema::chat_id().into()),
        "mid" => ("The message id, such as `true_15550100001@c.us_3EB0A1B2C3`", schema::message_id().into()),
        "wid" => ("The webhook's id", text("^[A-Za-z0-9_-]{1,64}$").into()),
        "rid" => ("The rule's id", text("^[A-Za-z0-9_-]{1,64}$").into()),
        "pid" => ("The subscription's id", text("^[A-Za-z0-9_-]{1,64}$").into()),
        "chatMessageId" => ("The message of a conversation", text("^[1-9][0-9]*$").into()),
        "conversationId" => ("The conversation", text("^[1-9][0-9]*$").into()),
        "chatFileId" => ("The uploaded file", text("^[1-9][0-9]*$").into()),
        "chatNotificationId" => ("The notification", text("^[1-9][0-9]*$").into()),
        "userId" => (
            "The user",
            ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(128)).into(),
        ),
        "keyId" => ("The key's id: the part between `whf_` and the secret", text("^[!-~]+$").into()),
        _ => ("The request to the simulator", text("^[A-Za-z0-9_-]+$").into()),
    }
}

/// Describes operations that need `scope`; without one, any valid key.
pub fn describe(paths: &mut Paths, scope: Option<Scope>, refusals: &[u16]) {
    each_operation(paths, |path, operation| {
        let words: Vec<&str> = scope.iter().map(|scope| scope.as_str()).collect();
        let keys = ["apiKey", "bearer"].map(|scheme| SecurityRequirement::new(scheme, words.clone()));
        operation.security = Some(keys.into());
        let description = operation.description.take().map(|text| format!("{text}\n\n")).unwrap_or_default();
        let need =
            scope.map_or_else(|| "Needs no scope.".to_owned(), |scope| format!("Needs the scope `{scope}`."));
        operation.description = Some(format!("{description}{need}"));
        add_path_parameters(path, operation);
        let usual = [401, 403, 429, 503];
        for status in usual.iter().chain(refusals).chain(refusals_of_input(path, operation)) {
            refuse(operation, *status);
        }
    });
}

/// Describes operations that accept a signed address as well as a key, after [`describe`].
pub fn describe_signed(paths: &mut Paths) {
    each_operation(paths, |_, operation| {
        let signed = SecurityRequirement::new("signature", [] as [&str; 0]);
        operation.security.get_or_insert_default().push(signed);
        let description = operation.description.take().unwrap_or_default();
        operation.description =
            Some(format!("{description} The signature of the file's own address is accepted too."));
    });
}

/// Describes operations that need the signature of an address.
pub fn describe_signature(paths: &mut Paths, refusals: &[u16]) {
    each_operation(paths, |path, operation| {
        operation.security = Some(vec![SecurityRequirement::new("signature", [] as [&str; 0])]);
        add_path_parameters(path, operation);
        for status in refusals {
            refuse(operation, *status);
        }
    });
}

/// Describes operations that accept the ticket of a link with a passkey.
pub fn describe_ticket(paths: &mut Paths) {
    each_operation(paths, |_, operation| {
        let ticket = SecurityRequirement::new("passkeyTicket", [] as [&str; 0]);
        operation.security.get_or_insert_default().push(ticket);
        let description = operation.description.take().unwrap_or_default();
        operation.description =
            Some(format!("{description} A ticket of the attempt is accepted too, in X-Passkey-Ticket."));
    });
}

/// Describes operations that need a user token of operator chat.
pub fn describe_user(paths: &mut Paths, refusals: &[u16]) {
    each_operation(paths, |path, operation| {
        operation.security = Some(vec![SecurityRequirement::new("userToken", [] as [&str; 0])]);
        let description = operation.description.take().map(|text| format!("{text}\n\n")).unwrap_or_default();
        operation.description =
            Some(format!("{description}Needs a user token. Exists while `chat.enabled` is set."));
        add_path_parameters(path, operation);
        let usual = [401, 429, 503];
        for status in usual.iter().chain(refusals).chain(refusals_of_input(path, operation)) {
            refuse(operation, *status);
        }
    });
}

/// Describes operations that accept a user token as well as a key, after [`describe`].
pub fn describe_user_or_key(paths: &mut Paths) {
    each_operation(paths, |_, operation| {
        let user = SecurityRequirement::new("userToken", [] as [&str; 0]);
        operation.security.get_or_insert_default().push(user);
        let description = operation.description.take().unwrap_or_default();
        operation.description =
            Some(format!("{description} A user token is accepted too. Exists while `chat.enabled` is set."));
    });
}

/// Describes operations without a key.
pub fn describe_open(paths: &mut Paths, refusals: &[u16]) {
    each_operation(paths, |path, operation| {
        operation.security = Some(Vec::new());
        add_path_parameters(path, operation);
        for status in refusals {
            refuse(operation, *status);
        }
    });
}

fn each_operation(paths: &mut Paths, mut change: impl FnMut(&str, &mut Operation)) {
    for (path, item) in &mut paths.paths {
        let PathItem { get, put, post, delete, patch, .. } = item;
        for operation in [get, put, post, delete, patch].into_iter().flatten() {
            change(path, operation);
        }
    }
}

fn refusals_of_input(path: &str, operation: &Operation) -> &'static [u16] {
    let has_parameters = operation.parameters.as_ref().is_some_and(|list| !list.is_empty());
    match (operation.request_body.is_some(), path.contains("{id}"), has_parameters) {
        (true, true, _) => &[400, 404, 413, 415],
        (true, false, _) => &[400, 413, 415],
        (false, true, _) => &[400, 404],
        (false, false, true) => &[400],
        (false, false, false) => &[],
    }
}

fn refuse(operation: &mut Operation, status: u16) {
    let reference = RefOr::Ref(Ref::from_response_name(response_name(status)));
    operation.responses.responses.entry(status.to_string()).or_insert(reference);
}

fn response_name(status: u16) -> String {
    format!("Error{status}")
}

fn add_path_parameters(path: &str, operation: &mut Operation) {
    for name in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
        let (description, schema) = path_parameter(name);
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .description(Some(description))
            .schema(Some(schema))
            .example(examples::usual(name))
            .build();
        operation.parameters.get_or_insert_default().push(parameter.into());
    }
}

/// The document before any operation is in it.
pub fn frame() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Wharf")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(License::new(env!("CARGO_PKG_LICENSE"))))
        .build();
    let mut document = OpenApi::new(info, Paths::new());
    document.servers = Some(vec![Server::new("/")]);
    document.components = Some(components());
    document
}

fn components() -> Components {
    let mut components = Components::new();
    components.schemas.insert(ErrorBody::name().into_owned(), ErrorBody::schema());
    components.schemas.insert(FieldError::name().into_owned(), FieldError::schema());
    for (status, description) in REFUSALS {
        components.responses.insert(response_name(status), refusal(status, description));
    }
    let header = ApiKeyValue::with_description("X-API-KEY", "An API key, `whf_<id>_<secret>`.");
    components.add_security_scheme("apiKey", SecurityScheme::ApiKey(ApiKey::Header(header)));
    let query =
        ApiKeyValue::with_description("signature", "The signature in the address of a message's file.");
    components.add_security_scheme("signature", SecurityScheme::ApiKey(ApiKey::Query(query)));
    let ticket =
        ApiKeyValue::with_description("X-Passkey-Ticket", "A ticket of one attempt to link with a passkey.");
    components.add_security_scheme("passkeyTicket", SecurityScheme::ApiKey(ApiKey::Header(ticket)));
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("The same API key."));
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer.build()));
    let user = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("A user token of operator chat. In its place, a session cookie of the identity is accepted from a trusted origin."));
    components.add_security_scheme("userToken", SecurityScheme::Http(user.build()));
    components
}

/// Completes the document once it has every operation.
pub fn finish(document: &mut OpenApi) {
    link(document);
    let Some(components) = &mut document.components else { return };
    components.schemas.values_mut().for_each(open_objects::open);
    each_operation(&mut document.paths, |_, operation| nullable::outside_a_body(operation));
    let operations = document.paths.paths.values().flat_map(|item| {
        let PathItem { get, put, post, delete, patch, .. } = item;
        [get, put, post, delete, patch].into_iter().flatten()
    });
    nullable::allow_null(components, operations.clone().flat_map(nullable::body_of).collect());
    let answers = operations.flat_map(|operation| operation.responses.responses.values());
    examples::add(
        components,
        answers.filter_map(|answer| if let RefOr::T(it) = answer { Some(it) } else { None }),
    );
}

/// Replaces the content of envelopes, which generic definitions repeat, by references.
fn link(document: &mut OpenApi) {
    let Some(components) = &mut document.components else { return };
    let schemas: Vec<String> = components.schemas.keys().cloned().collect();
    for (name, schema) in &mut components.schemas {
        let RefOr::T(Schema::Object(envelope)) = schema else { continue };
        let Some((content, is_list)) = enveloped(name) else { continue };
        if !schemas.iter().any(|schema| schema == content) {
            continue;
        }
        let content = Ref::from_schema_name(content);
        let data = if is_list { ArrayBuilder::new().items(content).into() } else { RefOr::Ref(content) };
        envelope.properties.insert("data".to_owned(), data);
        let pagination = name.strip_prefix("Page_").and_then(|rest| rest.split('_').nth(1));
        if let Some(pagination) = pagination.filter(|name| schemas.iter().any(|schema| schema == name)) {
            let reference = RefOr::Ref(Ref::from_schema_name(pagination));
            envelope.properties.insert("pagination".to_owned(), reference);
        }
    }
}

/// The name of an envelope's content, and whether it is a list.
fn enveloped(name: &str) -> Option<(&str, bool)> {
    if let Some(rest) = name.strip_prefix("Page_") {
        return Some((rest.split('_').next()?, true));
    }
    let content = name.strip_prefix("Success_")?;
    content.strip_prefix("Vec_").map_or(Some((content, false)), |entry| Some((entry, true)))
}

fn refusal(status: u16, description: &str) -> RefOr<utoipa::openapi::Response> {
    let example = examples::refusal(status).and_then(|error| serde_json::to_value(error.body()).ok());
    let schema = Ref::from_schema_name(ErrorBody::name());
    let body = ContentBuilder::new().schema(Some(schema)).example(example).build();
    let response = ResponseBuilder::new().description(description).content("application/json", body);
    let response = if matches!(status, 429 | 503) {
        let seconds = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .minimum(Some(0));
        let header = HeaderBuilder::new()
            .schema(Some(seconds))
            .description(Some("Seconds to wait, if they are predictable"));
        response.header("Retry-After", header.build())
    } else {
        response
    };
    response.build().into()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    pub(super) fn document() -> Value {
        serde_json::from_str(&crate::api::openapi_json()).unwrap()
    }

    pub(super) fn operations(document: &Value) -> Vec<(String, &Value)> {
        let paths = document["paths"].as_object().unwrap();
        let all = paths.iter().flat_map(|(path, item)| {
            let operations = item.as_object().unwrap();
            operations.iter().map(move |(method, operation)| (format!("{method} {path}"), operation))
        });
        all.collect()
    }

    #[test]
    fn it_is_openapi_3_1() {
        assert!(document()["openapi"].as_str().unwrap().starts_with("3.1"));
    }

    #[test]
    fn every_operation_says_what_it_does_and_needs() {
        let document = document();
        let operations = operations(&document);
        assert!(operations.len() > 30);
        let mut ids = std::collections::HashSet::new();
        for (name, operation) in operations {
            assert!(operation["summary"].as_str().is_some_and(|text| text.len() > 4), "{name}: no summary");
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{name}: id is taken");
            assert!(operation["tags"].as_array().is_some_and(|tags| !tags.is_empty()), "{name}: no tag");
            let security = operation["security"].as_array().unwrap();
            let needs_key = name.contains(" /api/") && name != "post /api/v1/session";
            assert_eq!(!security.is_empty(), needs_key, "{name}");
            if !security.is_empty() {
                assert_eq!(
                    operation["responses"]["401"]["$ref"], "#/components/responses/Error401",
                    "{name}"
                );
            }
        }
    }

    /// Generators treat a field with a default as always present, and then require it in requests.
    #[test]
    fn no_field_that_may_be_left_out_has_a_default() {
        fn walk(value: &Value, path: &str) {
            if let Some(fields) = value["properties"].as_object() {
                let required = value["required"].as_array().map_or(&[][..], Vec::as_slice);
                for (name, field) in fields {
                    let optional = !required.iter().any(|required| required == name);
                    assert!(!optional || field.get("default").is_none(), "{path}: {name}");
                }
            }
            match value {
                Value::Object(object) => {
                    object.iter().for_each(|(key, value)| walk(value, &format!("{path}/{key}")));
                }
                Value::Array(list) => list.iter().for_each(|value| walk(value, path)),
                _ => {}
            }
        }
        walk(&document(), "");
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn walk(value: &Value, document: &Value) {
            match value {
                Value::Object(object) => {
                    if let Some(Value::String(reference)) = object.get("$ref") {
                        let pointer = reference.strip_prefix('#').unwrap();
                        assert!(document.pointer(pointer).is_some(), "{reference}");
                    }
                    object.values().for_each(|value| walk(value, document));
                }
                Value::Array(list) => list.iter().for_each(|value| walk(value, document)),
                _ => {}
            }
        }
        let document = document();
        walk(&document, &document);
    }
}
