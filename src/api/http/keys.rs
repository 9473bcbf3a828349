//! API keys: make, list, revoke.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::envelope::{Created, Success};
use super::error::ApiError;
use super::guard::{Caller, guarded};
use super::input::{Body, Fields, FromFields, Key};
use super::schema;
use crate::domain::access::{ApiKey, Scope};
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::service::{CreatedKey, NewKey, Services};

const NAME_CHARS: usize = 128;
const MAX_DEVICES: usize = 10_000;
/// Latest end of a key: the year 9999.
const LATEST: i64 = 253_402_300_799_999;

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(guarded(Scope::Admin, &[422], routes!(create)))
        .routes(guarded(Scope::Admin, &[], routes!(list)))
        .routes(guarded(Scope::Admin, &[400, 404, 409], routes!(revoke)))
}

/// What a key may do, in words.
#[derive(ToSchema)]
#[schema(as = Scope)]
#[expect(dead_code, reason = "for the document")]
enum ScopeWord {
    #[schema(rename = "admin")]
    Admin,
    #[schema(rename = "devices:read")]
    DevicesRead,
    #[schema(rename = "devices:write")]
    DevicesWrite,
    #[schema(rename = "messages:read")]
    MessagesRead,
    #[schema(rename = "messages:send")]
    MessagesSend,
    #[schema(rename = "events:read")]
    EventsRead,
}

/// A key to be made.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[schema(example = json!({ "name": "Dashboard", "scopes": ["devices:read", "events:read"], "devices": ["shop"] }))]
struct CreateKey {
    /// What people call it.
    #[schema(min_length = 1, max_length = 128, pattern = r"\S")]
    name: String,
    /// What it may do; `admin` holds all.
    #[schema(value_type = Vec<ScopeWord>, min_items = 1)]
    scopes: Vec<Scope>,
    /// To which devices; all, when left out.
    #[schema(schema_with = schema::key_devices, required = false)]
    devices: Option<Vec<DeviceId>>,
    /// When it ends by itself, in milliseconds since the epoch.
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 253_402_300_799_999i64)]
    expires_at: Option<Millis>,
}

impl FromFields for CreateKey {
    fn read(fields: &mut Fields) -> Option<Self> {
        let name = fields.text("name", NAME_CHARS);
        let name = fields.require("name", name, "what people call the key");
        let scopes = read_scopes(fields);
        let name_of_list = fields.given(&["devices", "deviceIds"]);
        let devices = fields.list(name_of_list, MAX_DEVICES);
        let expires_at = fields.integer("expiresAt", &(0..=LATEST)).map(Millis);
        Some(Self { name: name?, scopes: scopes?, devices, expires_at })
    }
}

fn read_scopes(fields: &mut Fields) -> Option<Vec<Scope>> {
    let words: Option<Vec<String>> = fields.list("scopes", 100);
    let words = fields.require("scopes", words, "a list of what the key may do")?;
    let mut scopes = Vec::new();
    for (index, word) in words.iter().enumerate() {
        match Scope::ALL.iter().find(|scope| scope.as_str() == word) {
            Some(scope) if scopes.contains(scope) => {}
            Some(scope) => scopes.push(*scope),
            None => {
                let all: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
                fields.wrong(format!("scopes[{index}]"), format!("must be one of {}", all.join(", ")));
            }
        }
    }
    Some(scopes)
}

/// A key without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKey)]
#[serde(rename_all = "camelCase")]
struct KeyObject {
    /// Its public part.
    #[schema(example = "k3v9x2m7q1zd")]
    id: String,
    /// What people call it.
    #[schema(example = "Dashboard")]
    name: String,
    /// What it may do.
    #[schema(value_type = Vec<ScopeWord>)]
    scopes: Vec<Scope>,
    /// To which devices; all, when `null`.
    #[schema(value_type = Option<Vec<String>>)]
    devices: Option<Vec<DeviceId>>,
    /// When it was made.
    #[schema(value_type = i64)]
    created_at: Millis,
    /// When it ends by itself.
    #[schema(value_type = Option<i64>)]
    expires_at: Option<Millis>,
    /// When it was last used, to within a minute.
    #[schema(value_type = Option<i64>)]
    last_used_at: Option<Millis>,
}

impl From<ApiKey> for KeyObject {
    fn from(key: ApiKey) -> Self {
        let ApiKey { id, name, grant, created_at, expires_at, last_used_at } = key;
        Self { id, name, scopes: grant.scopes, devices: grant.devices, created_at, expires_at, last_used_at }
    }
}

/// A key that was made.
#[derive(Serialize, ToSchema)]
struct CreatedKeyObject {
    /// The whole key. It is not shown again.
    key: String,
    /// What is known of it.
    #[serde(flatten)]
    about: KeyObject,
}

/// Make an API key
///
/// It is shown once. It cannot do more than the key that makes it.
#[utoipa::path(post, path = "/api-keys", operation_id = "createApiKey", tag = "keys",
    request_body = CreateKey,
    responses((status = 201, description = "The key, with the only copy of its secret", body = Success<CreatedKeyObject>)))]
async fn create(
    caller: Caller,
    State(services): State<Services>,
    Body(body): Body<CreateKey>,
) -> Result<Created<CreatedKeyObject>, ApiError> {
    let CreateKey { name, scopes, devices, expires_at } = body;
    let CreatedKey { key, secret } =
        services.access.create_key(&caller.0, NewKey { name, scopes, devices, expires_at }).await?;
    Ok(Created(CreatedKeyObject { key: secret, about: key.into() }))
}

/// List API keys
///
/// Those that can do no more than the key that asks.
#[utoipa::path(get, path = "/api-keys", operation_id = "listApiKeys", tag = "keys",
    responses((status = 200, description = "Keys without their secrets, oldest first", body = Success<Vec<KeyObject>>)))]
async fn list(caller: Caller, State(services): State<Services>) -> Success<Vec<KeyObject>> {
    Success::new(services.access.keys(&caller.0).into_iter().map(KeyObject::from).collect())
}

/// A key that is revoked.
#[derive(Serialize, ToSchema)]
struct RevokedKey {
    /// Its public part.
    #[schema(example = "k3v9x2m7q1zd")]
    id: String,
    /// `true`.
    revoked: bool,
}

/// Revoke an API key
///
/// Its requests fail from now on; its sockets and streams end.
#[utoipa::path(delete, path = "/api-keys/{keyId}", operation_id = "revokeApiKey", tag = "keys",
    responses((status = 200, description = "It is revoked", body = Success<RevokedKey>)))]
async fn revoke(
    caller: Caller,
    State(services): State<Services>,
    Key(id): Key,
) -> Result<Success<RevokedKey>, ApiError> {
    services.access.revoke_key(&caller.0, &id).await?;
    Ok(Success::new(RevokedKey { id, revoked: true }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn parse(body: Value) -> Result<CreateKey, ApiError> {
        let Value::Object(object) = body else { panic!("not an object") };
        Fields::of_json(object).parse()
    }

    #[test]
    fn every_scope_has_its_word() {
        let all: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
        assert_eq!(parse(json!({ "name": "n", "scopes": all })).unwrap().scopes, Scope::ALL);
    }

    #[test]
    fn no_devices_is_not_all_devices() {
        assert_eq!(
            parse(json!({ "name": "n", "scopes": ["admin"], "devices": null })).unwrap().devices,
            None
        );
        let none = parse(json!({ "name": "n", "scopes": ["admin"], "devices": [] })).unwrap();
        assert_eq!(none.devices, Some(Vec::new()));
    }

    #[test]
    fn every_wrong_field_is_named() {
        let body = json!({ "scopes": ["admin", "root"], "devices": "a", "expiresAt": "soon" });
        let Err(ApiError::Invalid(errors)) = parse(body) else { panic!("accepted") };
        let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["name", "scopes[1]", "devices", "expiresAt"]);
    }
}
