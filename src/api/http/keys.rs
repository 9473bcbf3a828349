//! API keys: create, list, revoke. A key cannot create one with wider rights.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::envelope::{Created, Success};
use super::error::ApiError;
use super::guard::{Caller, guarded};
use super::input::loose::distinct;
use super::input::{Alias, Body, Key, Query, Request};
use super::schema;
use crate::domain::access::Scope;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::service::{CreatedKey, KeyView, NewKey, Services};

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(guarded(Scope::Admin, &[422], routes!(create)))
        .routes(guarded(Scope::Admin, &[], routes!(list)))
        .routes(guarded(Scope::Admin, &[400, 404, 409], routes!(revoke)))
}

/// The words of a key's permissions.
#[derive(ToSchema)]
#[schema(as = Scope)]
#[expect(dead_code, reason = "only in the OpenAPI document")]
pub(super) enum ScopeWord {
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
    #[schema(rename = "chat:read")]
    ChatRead,
    #[schema(rename = "chat:write")]
    ChatWrite,
}

/// A key to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({ "name": "Dashboard", "scopes": ["devices:read", "events:read"], "devices": ["shop"] }))]
struct CreateKey {
    /// The key's name.
    #[schema(min_length = 1, max_length = 128, pattern = r"\S")]
    name: String,
    /// The key's permissions; `admin` includes all others.
    #[schema(value_type = Vec<ScopeWord>, min_items = 1)]
    scopes: Vec<Scope>,
    /// The key's devices; all devices when absent.
    #[schema(schema_with = schema::key_devices, required = false)]
    devices: Option<Vec<DeviceId>>,
    /// The end of its validity, in milliseconds since the epoch. At the latest the end of the creating key.
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 253_402_300_799_999i64)]
    expires_at: Option<Millis>,
}

impl Request for CreateKey {
    const ALIASES: &'static [Alias] = &[("devices", &["deviceIds"])];
}

/// A key without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKey)]
#[serde(rename_all = "camelCase")]
struct KeyObject {
    /// Its public part.
    #[schema(example = "k3v9x2m7q1zd")]
    id: String,
    /// Its name.
    #[schema(example = "Dashboard")]
    name: String,
    /// Its permissions.
    #[schema(value_type = Vec<ScopeWord>)]
    scopes: Vec<Scope>,
    /// Its devices, without those that were deleted; all devices when `null`.
    #[schema(value_type = Option<Vec<String>>)]
    devices: Option<Vec<DeviceId>>,
    /// The id of the key that created it; `null` for the first key.
    #[schema(example = "k3v9x2m7q1zd")]
    created_by: Option<String>,
    /// The time of its creation.
    #[schema(value_type = i64)]
    created_at: Millis,
    /// The end of its validity.
    #[schema(value_type = Option<i64>)]
    expires_at: Option<Millis>,
    /// The time of its last use, to within a minute.
    #[schema(value_type = Option<i64>)]
    last_used_at: Option<Millis>,
}

impl From<KeyView> for KeyObject {
    fn from(KeyView { key, grant }: KeyView) -> Self {
        Self {
            id: key.id,
            name: key.name,
            scopes: grant.scopes,
            devices: grant.devices,
            created_by: key.created_by,
            created_at: key.created_at,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
        }
    }
}

/// A created key.
#[derive(Serialize, ToSchema)]
struct CreatedKeyObject {
    /// The whole key. It is not shown again.
    key: String,
    /// The key without its secret.
    #[serde(flatten)]
    about: KeyObject,
}

/// Create an API key
///
/// The key is shown once. It cannot have more rights than the key of the request, and expires no later.
#[utoipa::path(post, path = "/api-keys", operation_id = "createApiKey", tag = "keys",
    request_body = CreateKey,
    responses((status = 201, description = "The key, with the only copy of its secret", body = Success<CreatedKeyObject>)))]
async fn create(
    caller: Caller,
    State(services): State<Services>,
    Body(body): Body<CreateKey>,
) -> Result<Created<CreatedKeyObject>, ApiError> {
    let CreateKey { name, scopes, devices, expires_at } = body;
    let CreatedKey { key, secret } = services
        .access
        .create_key(&caller.0, NewKey { name, scopes: distinct(scopes), devices, expires_at })
        .await?;
    Ok(Created(CreatedKeyObject { key: secret, about: services.access.view(key).into() }))
}

/// List API keys
///
/// The keys without more rights than the key of the request.
#[utoipa::path(get, path = "/api-keys", operation_id = "listApiKeys", tag = "keys",
    responses((status = 200, description = "Keys without their secrets, oldest first", body = Success<Vec<KeyObject>>)))]
async fn list(caller: Caller, State(services): State<Services>) -> Success<Vec<KeyObject>> {
    Success::new(services.access.keys(&caller.0).into_iter().map(KeyObject::from).collect())
}

/// A revoked key.
#[derive(Serialize, ToSchema)]
struct RevokedKey {
    /// Its public part.
    #[schema(example = "k3v9x2m7q1zd")]
    id: String,
    /// `true`.
    revoked: bool,
    /// The ids of the keys that were revoked with it.
    #[schema(example = json!([]))]
    descendants: Vec<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct RevokeKey {
    /// Revokes the keys that it created too, directly or through other keys.
    #[serde(default)]
    #[param(value_type = Option<bool>, default = false)]
    with_descendants: bool,
}

impl Request for RevokeKey {}

/// Revoke an API key
///
/// Its requests fail from now on, and its sockets and streams end. Keys that it created stay, unless `withDescendants` is
/// `true`.
#[utoipa::path(delete, path = "/api-keys/{keyId}", operation_id = "revokeApiKey", tag = "keys",
    params(RevokeKey),
    responses((status = 200, description = "The key is revoked", body = Success<RevokedKey>)))]
async fn revoke(
    caller: Caller,
    State(services): State<Services>,
    Key(id): Key,
    Query(query): Query<RevokeKey>,
) -> Result<Success<RevokedKey>, ApiError> {
    let descendants = services.access.revoke_key(&caller.0, &id, query.with_descendants).await?;
    Ok(Success::new(RevokedKey { id, revoked: true, descendants }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::http::input::request_tests::{body_of, invalid_fields};
    use serde_json::{Value, json};

    fn parse(body: Value) -> Result<CreateKey, ApiError> {
        body_of(body)
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
    fn every_invalid_field_is_named() {
        let body = json!({ "scopes": ["admin", "root"], "devices": "a", "expiresAt": "soon" });
        assert_eq!(invalid_fields::<CreateKey>(body), ["devices", "expiresAt", "name", "scopes[1]"]);
    }
}
