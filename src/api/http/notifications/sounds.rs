//! The sounds of notification rules, and their files. Browsers play the files without a key.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::http::ApiState;
use crate::api::http::envelope::Success;
use crate::api::http::error::ApiError;
use crate::api::http::guard::guarded;
use crate::api::http::request_labels::LabelledRoute;
use crate::domain::access::Scope;
use crate::service::Services;

/// A browser may cache a sound for an hour.
const CACHED: &str = "public, max-age=3600";

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(guarded(Scope::EventsRead, &[], routes!(list)))
}

/// `/assets/sounds/{name}`
pub fn assets() -> Router<ApiState> {
    Router::new().route("/assets/sounds/{name}", get(file))
}

/// A sound.
#[derive(Serialize, ToSchema)]
#[schema(as = NotificationSound)]
#[serde(rename_all = "camelCase")]
struct SoundObject {
    /// Its name in rules.
    #[schema(example = "message")]
    name: String,
    /// The address of its file; no key is needed.
    #[schema(example = "/assets/sounds/message")]
    url: String,
    /// Whether it is part of Wharf.
    #[schema(example = true)]
    built_in: bool,
}

/// List sounds
#[utoipa::path(get, path = "/notifications/sounds", operation_id = "listSounds", tag = "notifications",
    responses((status = 200, description = "The built-in sounds, then the files of `effects.sound.dir`", body = Success<Vec<SoundObject>>)))]
async fn list(State(services): State<Services>) -> Result<Success<Vec<SoundObject>>, ApiError> {
    let sounds = services.notify.sounds().await?.into_iter();
    Ok(Success::new(
        sounds
            .map(|sound| SoundObject { name: sound.name, url: sound.url, built_in: sound.built_in })
            .collect(),
    ))
}

async fn file(
    _: LabelledRoute,
    State(services): State<Services>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let sound = services.notify.sound(&name).await?;
    let etag = format!("\"{}\"", sound.etag);
    let etags = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let same = etags
        .flat_map(|line| line.split(','))
        .any(|tag| matches!(tag.trim(), tag if tag == etag || tag == "*"));
    let about = [(ETAG, etag.as_str()), (CACHE_CONTROL, CACHED), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    if same {
        return Ok((StatusCode::NOT_MODIFIED, about).into_response());
    }
    Ok((about, [(CONTENT_TYPE, sound.mimetype)], sound.bytes).into_response())
}
