//! Who reads notifications, as a request says: its key, and the access token if it has one.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use url::form_urlencoded;

use super::ApiState;
use super::error::ApiError;
use super::guard::Caller;
use crate::domain::notify::OperatorId;
use crate::service::{AccessTokenError, operator_id};

/// The operator behind a request: the header `access-token`, or the query's, as sockets take it, and the key.
pub struct Operator(pub OperatorId);

impl FromRequestParts<ApiState> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let header = parts.headers.get("access-token").and_then(|value| value.to_str().ok());
        let query = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
            .find(|(name, _)| name == "access-token")
            .map(|(_, value)| value.into_owned());
        let token = header.map(str::to_owned).or(query);
        let token = token.as_deref().map(str::trim).filter(|token| !token.is_empty());
        let Some(token) = token else { return Ok(Self(operator_id(&caller.0, None))) };
        match state.services.access.operator(Some(token)).await {
            Ok(operator) => Ok(Self(operator_id(&caller.0, operator.as_ref()))),
            Err(AccessTokenError::Invalid) => Err(ApiError::field("access-token", "is not valid")),
            Err(AccessTokenError::Misconfigured | AccessTokenError::KeysUnavailable(_)) => {
                Err(ApiError::field("access-token", "cannot be checked: the daemon is not set up for it"))
            }
        }
    }
}
