//! Access tokens of sockets, which name an operator.
//!
//! In the `label` mode any text is a display name. In the `jwt` mode the token must be a valid JSON Web Token: HS256
//! with a shared secret, or RS256, ES256 and EdDSA with keys of a published JWK set. A token grants no permission;
//! permissions are those of the API key.
//!
//! Invariants: an algorithm is accepted only with its kind of key; key sets are fetched at most once a minute; no
//! token and no claim is logged.

use std::sync::Arc;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde_json::{Map, Value as Json};
use tokio::sync::Mutex;
use url::Url;

use crate::domain::clock::Millis;
use crate::net::{GuardedClient, NetError};

/// Maximum characters of a label; longer ones are truncated.
const LABEL_MAX_CHARS: usize = 200;
/// Maximum bytes of a token.
const TOKEN_MAX_BYTES: usize = 16 * 1024;
/// Allowed clock skew, in seconds.
const LEEWAY_S: f64 = 5.0;
/// Lifetime of a fetched key set.
const KEYS_FRESH_MS: i64 = 10 * 60 * 1000;
/// Minimum interval of fetches, successful or not.
const FETCH_PAUSE_MS: i64 = 60 * 1000;
/// Maximum bytes of a key set.
const KEYS_MAX_BYTES: usize = 256 * 1024;

/// The form of access tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenMode {
    /// Any text, used as a display name.
    Label,
    /// A JSON Web Token.
    Jwt,
}

/// Configuration of the verification of tokens; the composition root fills it.
pub struct AccessTokenConfig {
    /// The form of tokens.
    pub mode: TokenMode,
    /// The shared key of HS256 tokens.
    pub jwt_secret: Option<String>,
    /// The URL of the JWK set with the public keys of RS256, ES256 and EdDSA tokens.
    pub jwks_url: Option<Url>,
    /// The required audience; not checked if absent.
    pub audience: Option<String>,
    /// The required issuer; not checked if absent.
    pub issuer: Option<String>,
    /// The client that fetches the key set.
    pub http: GuardedClient,
}

/// The person or program that uses a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// The display name; not trusted.
    pub label: String,
    /// Whether a verified token has the name.
    pub verified: bool,
    /// The time of the token's expiry.
    pub expires_at: Option<Millis>,
}

/// The claims of a valid token.
#[derive(Debug, Clone)]
pub struct VerifiedClaims {
    /// All claims.
    pub claims: Map<String, Json>,
    /// The time of the token's expiry.
    pub expires_at: Millis,
}

/// Errors of an access token.
#[derive(Debug, thiserror::Error)]
pub enum AccessTokenError {
    /// The token is missing, malformed, expired, or not signed by a trusted key.
    #[error("Invalid access token")]
    Invalid,
    /// The daemon is not configured to verify tokens.
    #[error("Server configuration error")]
    Misconfigured,
    /// The published keys are not available.
    #[error("Server configuration error")]
    KeysUnavailable(#[source] KeySetError),
}

/// Errors of a published key set.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// The set cannot be fetched.
    #[error("the key set could not be fetched")]
    Fetch(#[from] NetError),
    /// The document is not a JWK set.
    #[error("the fetched document is not a JWK set")]
    Malformed(#[from] serde_json::Error),
    /// A fetch failed less than a minute ago.
    #[error("the last fetch failed; it is retried after a minute")]
    Waiting,
}

/// Verifies access tokens.
pub struct AccessTokens {
    config: AccessTokenConfig,
    published: Mutex<Published>,
}

/// The last fetched key set.
#[derive(Default)]
struct Published {
    keys: Option<Arc<JwkSet>>,
    fetched_at: Millis,
    tried_at: Option<Millis>,
}

impl AccessTokens {
    /// Creates a verifier.
    #[must_use]
    pub fn new(config: AccessTokenConfig) -> Self {
        Self { config, published: Mutex::default() }
    }

    /// The operator of `token`; `None` without a token.
    ///
    /// # Errors
    /// [`AccessTokenError::Invalid`] if the token must be valid and is not; the others if the configuration or the
    /// key set is at fault.
    pub async fn verify(
        &self,
        token: Option<&str>,
        now: Millis,
    ) -> Result<Option<Operator>, AccessTokenError> {
        let Some(token) = token.map(str::trim).filter(|token| !token.is_empty()) else {
            return Ok(None);
        };
        match self.config.mode {
            TokenMode::Label => Ok(named(token)),
            TokenMode::Jwt => self.verify_claims(token, now).await.map(|verified| Some(operator(&verified))),
        }
    }

    /// The claims of a JSON Web Token.
    ///
    /// # Errors
    /// [`AccessTokenError::Invalid`] if the token is not valid now; the others if the configuration or the key set is
    /// at fault.
    pub async fn verify_claims(&self, token: &str, now: Millis) -> Result<VerifiedClaims, AccessTokenError> {
        if self.config.jwt_secret.is_none() && self.config.jwks_url.is_none() {
            return Err(AccessTokenError::Misconfigured);
        }
        if token.len() > TOKEN_MAX_BYTES {
            return Err(AccessTokenError::Invalid);
        }
        let header = jsonwebtoken::decode_header(token).map_err(invalid)?;
        let key = self.key(&header, now).await?;
        let validation = self.validation(header.alg);
        let claims =
            jsonwebtoken::decode::<Map<String, Json>>(token, &key, &validation).map_err(invalid)?.claims;
        let expires_at = valid_until(&claims, now).ok_or(AccessTokenError::Invalid)?;
        Ok(VerifiedClaims { claims, expires_at })
    }

    /// The key for a token. Its header is not verified yet, so it only selects one of the trusted keys.
    async fn key(&self, header: &Header, now: Millis) -> Result<DecodingKey, AccessTokenError> {
        match (header.alg, &self.config.jwt_secret, &self.config.jwks_url) {
            (Algorithm::HS256, Some(secret), _) => Ok(DecodingKey::from_secret(secret.as_bytes())),
            (Algorithm::RS256 | Algorithm::ES256 | Algorithm::EdDSA, _, Some(url)) => {
                self.published_key(url, header, now).await
            }
            _ => Err(AccessTokenError::Invalid),
        }
    }

    async fn published_key(
        &self,
        url: &Url,
        header: &Header,
        now: Millis,
    ) -> Result<DecodingKey, AccessTokenError> {
        // Held while fetching, so that concurrent tokens cause one fetch.
        let mut published = self.published.lock().await;
        let known = published.keys.as_ref().and_then(|keys| choose(keys, header).cloned());
        let stale = now.since(published.fetched_at) >= KEYS_FRESH_MS;
        if (known.is_none() || stale)
            && let Err(error) = published.refresh(&self.config.http, url, now).await
            && published.keys.is_none()
        {
            return Err(AccessTokenError::KeysUnavailable(error));
        }
        let keys = published.keys.clone().ok_or(AccessTokenError::Misconfigured)?;
        drop(published);
        let key = choose(&keys, header).ok_or(AccessTokenError::Invalid)?;
        DecodingKey::from_jwk(key).map_err(invalid)
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        // Times are compared with the clock that was passed in, in `Claims::operator`.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        // Otherwise a token without an audience or issuer would be accepted.
        let mut required = vec!["exp"];
        match &self.config.audience {
            Some(audience) => {
                validation.set_audience(&[audience]);
                required.push("aud");
            }
            None => validation.validate_aud = false,
        }
        if let Some(issuer) = &self.config.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        validation.set_required_spec_claims(&required);
        validation
    }
}

impl Published {
    /// Fetches the key set, unless the last attempt was less than a minute ago. After a failure the previous keys
    /// stay valid.
    async fn refresh(&mut self, http: &GuardedClient, url: &Url, now: Millis) -> Result<(), KeySetError> {
        if self.tried_at.is_some_and(|at| (0..FETCH_PAUSE_MS).contains(&now.since(at))) {
            return Err(KeySetError::Waiting);
        }
        self.tried_at = Some(now);
        match fetch(http, url).await {
            Ok(keys) => {
                self.keys = Some(Arc::new(keys));
                self.fetched_at = now;
                Ok(())
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "keys of access tokens not fetched");
                Err(error)
            }
        }
    }
}

async fn fetch(http: &GuardedClient, url: &Url) -> Result<JwkSet, KeySetError> {
    let bytes = http.get_bytes(url, KEYS_MAX_BYTES).await?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// The key with the token's key id; without a key id, the only key of its algorithm.
fn choose<'a>(keys: &'a JwkSet, header: &Header) -> Option<&'a Jwk> {
    let mut fitting = keys.keys.iter().filter(|key| fits(key, header.alg));
    match &header.kid {
        Some(kid) => fitting.find(|key| key.common.key_id.as_ref() == Some(kid)),
        None => fitting.next().filter(|_| fitting.next().is_none()),
    }
}

fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    let signs = matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature));
    let kind = match (&key.algorithm, key.common.key_algorithm, algorithm) {
        (AlgorithmParameters::RSA(_), None | Some(KeyAlgorithm::RS256), Algorithm::RS256) => true,
        (AlgorithmParameters::EllipticCurve(curve), None | Some(KeyAlgorithm::ES256), Algorithm::ES256) => {
            curve.curve == EllipticCurve::P256
        }
        (AlgorithmParameters::OctetKeyPair(pair), None | Some(KeyAlgorithm::EdDSA), Algorithm::EdDSA) => {
            pair.curve == EllipticCurve::Ed25519
        }
        _ => false,
    };
    signs && kind
}

/// The time of the token's expiry; `None` if it is not valid now.
pub(in crate::service) fn valid_until(claims: &Map<String, Json>, now: Millis) -> Option<Millis> {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since the epoch are far below 2^52")]
    let now_s = now.0 as f64 / 1000.0;
    let exp = claims.get("exp")?.as_f64()?;
    let nbf = match claims.get("nbf") {
        None | Some(Json::Null) => None,
        Some(nbf) => Some(nbf.as_f64()?),
    };
    if exp + LEEWAY_S <= now_s || nbf.is_some_and(|nbf| nbf - LEEWAY_S > now_s) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the conversion must saturate")]
    let expires_at = ((exp + LEEWAY_S) * 1000.0) as i64;
    Some(Millis(expires_at))
}

fn operator(verified: &VerifiedClaims) -> Operator {
    let names = ["name", "preferred_username", "sub"].into_iter();
    let mut names = names.filter_map(|claim| verified.claims.get(claim)?.as_str());
    let name = names.find(|name| !name.trim().is_empty());
    let label = name.map_or_else(|| "operator".to_owned(), label);
    Operator { label, verified: true, expires_at: Some(verified.expires_at) }
}

/// The operator of an unverified label.
fn named(text: &str) -> Option<Operator> {
    let label = Some(label(text)).filter(|label| !label.is_empty())?;
    Some(Operator { label, verified: false, expires_at: None })
}

/// A display name: bounded and in one line.
fn label(text: &str) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(LABEL_MAX_CHARS).collect()
}

fn invalid(_: jsonwebtoken::errors::Error) -> AccessTokenError {
    AccessTokenError::Invalid
}

#[cfg(test)]
mod tests;
