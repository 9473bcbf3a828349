//! The operator of a request: the user of its access token, else its API key.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use url::form_urlencoded;

use super::ApiState;
use super::error::ApiError;
use super::guard::Caller;
use crate::domain::notify::OperatorId;
use crate::service::{AccessTokenError, operator_id};

/// The operator of a request, from `access-token` in the header or the query, and from the key.
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
            Err(AccessTokenError::Misconfigured | AccessTokenError::KeysUnavailable(_)) => Err(
                ApiError::field("access-token", "cannot be verified: the daemon is not configured for it"),
            ),
        }
    }
}
