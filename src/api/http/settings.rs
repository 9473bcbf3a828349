//! The settings in effect, for administrators of all devices. Secrets are masked.

use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::envelope::Success;
use super::error::ApiError;
use super::guard::{Caller, guarded};
use crate::api::EffectiveSetting;
use crate::domain::access::Scope;

/// The operations of this file.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(guarded(Scope::Admin, &[], routes!(list)))
}

/// A setting in effect.
#[derive(Serialize, ToSchema)]
#[schema(as = Setting)]
struct SettingObject {
    /// Its name: section and key.
    #[schema(example = "server.listen")]
    name: String,
    /// Its value; `********` for a secret that is set.
    #[schema(example = "127.0.0.1:3000")]
    value: Value,
    /// Its source: `default`, the path of a file, or `environment variable …`.
    #[schema(example = "default")]
    source: String,
}

impl From<&EffectiveSetting> for SettingObject {
    fn from(setting: &EffectiveSetting) -> Self {
        let EffectiveSetting { key, value, source } = setting.clone();
        Self { name: key, value, source }
    }
}

/// List the settings in effect
///
/// As `wharf config show` prints them, with the source of each. Secrets are masked. The key must be for all devices.
#[utoipa::path(get, path = "/settings", operation_id = "listSettings", tag = "settings",
    responses((status = 200, description = "The settings, by name", body = Success<Vec<SettingObject>>)))]
async fn list(
    caller: Caller,
    State(state): State<ApiState>,
) -> Result<Success<Vec<SettingObject>>, ApiError> {
    if caller.devices().is_some() {
        return Err(ApiError::DeviceNotAllowed);
    }
    Ok(Success::new(state.config.settings.iter().map(SettingObject::from).collect()))
}
